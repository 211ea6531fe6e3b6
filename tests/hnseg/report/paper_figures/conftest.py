"""A finished run with masks of the test and the training cases, scored; and copies of it to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hnseg.evaluation.evaluate import evaluate_workdir
from hnseg.inference.baselines import predict_baselines
from hnseg.inference.out_of_fold import postprocess_out_of_fold, predict_out_of_fold
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_cohort


@pytest.fixture(scope="session")
def scored_run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained run, predicted and evaluated; read-only."""
    work = tmp_path_factory.mktemp("scored") / "work"
    shutil.copytree(trained_run, work)
    postprocess_out_of_fold(work, predict_out_of_fold(work, device="cpu"))
    assert predict_cohort(work, options=InferenceOptions(device="cpu")) == []
    predict_baselines(work)
    evaluate_workdir(work)
    return work


@pytest.fixture
def own_run(scored_run: Path, tmp_path: Path) -> Path:
    """A scored run of one's own."""
    shutil.copytree(scored_run, tmp_path / "work")
    return tmp_path / "work"
