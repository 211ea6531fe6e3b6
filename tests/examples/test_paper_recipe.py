"""The published recipe from end to end, coarse: early stopping, no test set, report, figures, an external cohort."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.phantom import DEFAULT_CENTERS, generate_cohort
from hnseg.report.data import load_run
from hnseg.report.page import write_report
from hnseg.settings.building import build_config
from hnseg.settings.config import Config
from hnseg.settings.presets import DEMO_VALUES
from hnseg.workdir import read_config
from tests.examples.loading import HECKTOR_TASK1, load_script

COARSE = {f"{section}.{name}": value for section, values in DEMO_VALUES.items() for name, value in values.items()}
QUICK = {
    "split.folds": 2,
    "train.epochs": 8,
    "train.patches_per_case": 1,
    "train.filters": 4,
    "train.learning_rate": 0.02,  # too high: the loss rises soon
    "train.warmup_epochs": 0,
    "train.validate_every": 1,
    "train.patience": 1,
}


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    """Roots of the cohort of the run and of an external one."""
    roots = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("external")
    for root, seed, centers in zip(roots, (1, 2), (DEFAULT_CENTERS[:2], DEFAULT_CENTERS[2:3]), strict=True):
        generate_cohort(root, seed=seed, cases_per_center=3, centers=centers, pixel_mm=6.0)
    return roots


@pytest.mark.slow
def test_the_published_recipe(cohorts, monkeypatch, tmp_path):
    """Pictures are few and coarse here; test_hecktor_task1.py has those of a run as they are."""
    monkeypatch.setattr("hnseg.report.page_parts.draw_overlays", lambda case_id, images: [])
    monkeypatch.setattr("hnseg.report.paper_figures.figure_files.PNG_DPI", 100)
    own, external = cohorts
    work, masks = tmp_path / "work", tmp_path / "masks"
    config = build_config({**COARSE, **QUICK}, base=Config.from_preset("paper"))
    left_out = load_script(HECKTOR_TASK1).run(config, own, work, device="cpu", jobs=1, resume=False)
    assert left_out == set()
    assert read_config(work) == config

    run = load_run(work)
    assert run.splits.test == ()
    assert sorted([run.splits.reference, *(case_id for fold in run.splits.folds for case_id in fold)]) == sorted(
        run.inputs
    )
    stopped = [len(log) < config.train.epochs for log in run.logs.values()]
    assert any(stopped)
    for log in run.logs.values():
        losses = [row["val_loss"] for row in log]
        assert log[-1]["kept_epoch"] == 1 + losses.index(min(losses))
    assert run.metrics.ensemble is None
    assert [fold.n_cases for fold in run.metrics.folds.folds] == [len(fold) for fold in run.splits.folds]
    page = write_report(work).read_text()
    assert "mean ± SD over the folds" in page
    for number in range(1, 6):
        for suffix in ("png", "pdf"):
            assert (work / "figures" / f"figure_{number}.{suffix}").stat().st_size > 5000

    for command in (
        ("predict", work, external, "--out", masks),
        ("evaluate", masks, external),
        ("report", work, "--external", masks),
        ("figures", work, "--external", masks, "--only", "4"),
    ):
        done = CliRunner().invoke(app, [str(argument) for argument in command])
        assert done.exit_code == 0, done.output
    assert json.loads((masks / "metrics.json").read_text())["n_cases"] == 3
    assert "External − validation" in (masks / "report.html").read_text()
