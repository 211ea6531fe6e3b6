"""A disk that fills while a command writes: exit status 1, the path in the message, nothing truncated behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hnseg.training.runs import change

LIMITED = """
import resource, sys
from hnseg.cli.main import main
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")


def run_limited(limit_bytes: int, *arguments: object) -> str:
    """Standard error of a command that cannot write larger files."""
    command = [sys.executable, "-c", LIMITED, str(limit_bytes), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.replace("\n", "")


def hidden(folder: Path) -> list[Path]:
    return list(folder.rglob(".*"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_prepare(run, jobs):
    before = {path.name for path in (run / "prepared").iterdir()}
    shutil.rmtree(run / "prepared")
    error = run_limited(20_000, "prepare", run, "--jobs", jobs)
    assert any(str(run / "prepared" / case_id) in error for case_id in before)
    assert not list((run / "prepared").glob("*/case.json"))


def test_train(run):
    change(run, epochs=1)
    error = run_limited(5_000, "train", run, "--fold", "0", "--device", "cpu")
    assert str(run / "models" / "fold_0" / "best.pt") in error
    assert not hidden(run)


def test_predict(trained_run, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    error = run_limited(400, "predict", work, "--device", "cpu")
    assert str(work / "predictions") in error
    assert not list((work / "predictions").glob("*.nii.gz"))
    assert not hidden(work)


def test_phantom(tmp_path):
    error = run_limited(50_000, "phantom", tmp_path / "cohort", "--cases-per-center", "1")
    assert str(tmp_path / "cohort") in error
    assert "__CT.nii.gz" in error
    assert not list((tmp_path / "cohort" / "Task 1").glob("*"))
