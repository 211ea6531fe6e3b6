"""examples/hecktor_task1.py, as a user runs it: from end to end on a small cohort, interrupted, and on bad input."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.phantom import DEFAULT_CENTERS, generate_cohort

EXAMPLE = Path(__file__).parents[2] / "examples" / "hecktor_task1.py"
SCORES = ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The example in a process of its own, with the test run's warnings left to their defaults."""
    command = [sys.executable, str(EXAMPLE), "--device", "cpu", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=580, check=False)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two centers of three coarse cases, the second of them without its PET."""
    root = tmp_path_factory.mktemp("example") / "cohort"
    generate_cohort(
        root, seed=5, cases_per_center=3, centers=DEFAULT_CENTERS[:2], pixel_mm=4.0, traps={"ALFA-002": "missing-pet"}
    )
    return root


@pytest.mark.slow
def test_the_whole_pipeline_with_one_bad_case(cohort, tmp_path):
    work = tmp_path / "work"
    first = run("--data-root", cohort, "--work-dir", work, "--folds", "2")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "ALFA-002: the file does not exist" in first.stderr
    assert "ALFA-002__PT.nii.gz" in first.stderr
    assert "1 case(s) were left out" in first.stderr
    assert f"report: {work / 'report.html'}" in first.stdout

    metrics = json.loads((work / "metrics.json").read_text())
    assert {"ensemble", "threshold_baseline", "empty_baseline"} <= set(metrics)
    assert all(name in metrics[system] for system in ("ensemble", "empty_baseline") for name in SCORES)
    for case_id in json.loads((work / "splits.json").read_text())["test"]:
        mask = sitk.ReadImage(str(work / "predictions" / f"{case_id}.nii.gz"))
        ct = sitk.ReadImage(str(cohort / "Task 1" / case_id / f"{case_id}__CT.nii.gz"))
        assert mask.GetSize() == ct.GetSize()
        assert mask.GetOrigin() == ct.GetOrigin()
        assert mask.GetSpacing() == ct.GetSpacing()
        assert mask.GetDirection() == ct.GetDirection()
    assert not list(work.rglob(".writing-*"))

    # The same again: refused without --resume, nothing to do with it, and the same scores after a loss.
    again = run("--data-root", cohort, "--work-dir", work, "--folds", "2")
    assert again.returncode == 1
    assert "holds a run already; continue it with --resume" in again.stderr
    shutil.rmtree(work / "predictions")
    (work / "metrics.json").unlink()
    shutil.rmtree(work / "models" / "fold_1")
    resumed = run("--data-root", cohort, "--work-dir", work, "--folds", "2", "--resume")
    assert resumed.returncode == 1, resumed.stdout + resumed.stderr
    assert json.loads((work / "metrics.json").read_text()) == metrics


def _nothing(cohort: Path, root: Path) -> None:
    pass


def _empty(cohort: Path, root: Path) -> None:
    root.mkdir()


def _copy(cohort: Path, root: Path) -> Path:
    shutil.copytree(cohort / "Task 1" / "BETA-001", root / "Task 1" / "BETA-001")
    return root / "Task 1" / "BETA-001"


def _no_pet(cohort: Path, root: Path) -> None:
    (_copy(cohort, root) / "BETA-001__PT.nii.gz").unlink()


def _unreadable(cohort: Path, root: Path) -> None:
    (_copy(cohort, root) / "BETA-001__CT.nii.gz").write_bytes(b"\x1f\x8b rubbish")


def _label_seven(cohort: Path, root: Path) -> None:
    path = _copy(cohort, root) / "BETA-001.nii.gz"
    label = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(label)
    array[:2] = 7
    changed = sitk.GetImageFromArray(np.asarray(array))
    changed.CopyInformation(label)
    sitk.WriteImage(changed, str(path))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_nothing, "does not exist"),
        (_empty, "no case found"),
        (_no_pet, "BETA-001: the file does not exist"),
        (_unreadable, "BETA-001: not a readable image"),
        (_label_seven, "BETA-001: label values must be 0 (background), 1 (GTVp), 2 (GTVn); found 7"),
    ],
)
def test_bad_input_gets_one_clear_message_and_leaves_nothing(cohort, tmp_path, spoil, message):
    root, work = tmp_path / "data", tmp_path / "work"
    spoil(cohort, root)
    done = run("--data-root", root, "--work-dir", work, "--folds", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    # What was found, as data and as a page; the same folder can be used again once the files are repaired.
    assert not work.exists() or {path.name for path in work.iterdir()} == {"run.json", "check.json", "check.html"}


def test_usage_errors_exit_with_two():
    assert run("--preset", "huge").returncode == 2
    assert run("--folds", "1").returncode == 2


def test_help_names_every_option():
    shown = run("--help")
    assert shown.returncode == 0
    for option in ("data-root", "work-dir", "preset", "folds", "device", "seed", "resume"):
        assert f"--{option}" in shown.stdout


def test_the_example_uses_no_private_path():
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    assert spec is not None
    source = EXAMPLE.read_text()
    assert "import _" not in source
    assert "._" not in source.replace("__", "")
