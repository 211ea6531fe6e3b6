"""A disk that fills while a command writes: exit status 1, the path in the message, nothing truncated behind."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hnseg.processes import fork, run_command
from tests.hnseg.training.runs import change

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")


@pytest.fixture
def run_limited(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs a command that cannot write larger files than the first argument; its standard error."""
    errors = tmp_path_factory.mktemp("errors") / "errors.txt"

    def run_limited(limit_bytes: int, *arguments: object) -> str:
        process = fork(run_command, errors, arguments, limit_bytes)
        process.join(600)
        text = errors.read_text()
        assert process.exitcode == 1, text
        assert "File too large" in text
        assert "Traceback" not in text
        return text.replace("\n", "")

    return run_limited


def hidden(folder: Path) -> list[Path]:
    return list(folder.rglob(".*"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_prepare(run, run_limited, jobs):
    before = {path.name for path in (run / "prepared").iterdir()}
    shutil.rmtree(run / "prepared")
    error = run_limited(20_000, "prepare", run, "--jobs", jobs)
    assert any(str(run / "prepared" / case_id) in error for case_id in before)
    assert not list((run / "prepared").glob("*/case.json"))


def test_train(run, run_limited):
    change(run, epochs=1)
    error = run_limited(5_000, "train", run, "--fold", "0", "--device", "cpu")
    assert str(run / "models" / "fold_0" / "best.pt") in error
    assert not hidden(run)


def test_predict(trained_run, run_limited, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    error = run_limited(400, "predict", work, "--device", "cpu")
    assert str(work / "predictions") in error
    assert not list((work / "predictions").glob("*.nii.gz"))
    assert not hidden(work)


def test_phantom(run_limited, tmp_path):
    error = run_limited(50_000, "phantom", tmp_path / "cohort", "--cases-per-center", "1")
    assert str(tmp_path / "cohort") in error
    assert "__CT.nii.gz" in error
    assert not list((tmp_path / "cohort" / "Task 1").glob("*"))
