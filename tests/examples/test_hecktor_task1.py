"""examples/hecktor_task1.py, as a user runs it: from end to end on a small cohort, interrupted, and on bad input."""

from __future__ import annotations

import ast
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import typer
from typer.testing import CliRunner, Result

import hnseg
from hnseg import Config, save_config
from hnseg.cohort.checked_cohort import CohortCheck, read_settings, save_check
from hnseg.phantom import DEFAULT_CENTERS, generate_cohort
from tests.examples.loading import HECKTOR_TASK1 as EXAMPLE
from tests.examples.loading import load_script

# Two folds of a coarse grid and a few epochs: every stage, with little to compute.
SMALL = (
    *("--set", "split.folds=2", "--set", "prepare.spacing_mm=6.25"),
    *("--set", "train.patch_vox=32,32,32", "--set", "train.epochs=2"),
)
SCORES = ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The example in a process of its own, with the test run's warnings left to their defaults."""
    command = [sys.executable, str(EXAMPLE), "--device", "cpu", "--jobs", "1", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=580, check=False)


def run_here(example: ModuleType, *arguments: str | Path) -> Result:
    """The example in this process, which has loaded everything already."""
    app = typer.Typer()
    app.command()(example.main)
    return CliRunner().invoke(app, ["--device", "cpu", "--jobs", "1", *map(str, arguments)])


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_script(EXAMPLE)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two centers of three coarse cases, the second of them without its PET."""
    root = tmp_path_factory.mktemp("example") / "cohort"
    generate_cohort(
        root, seed=5, cases_per_center=3, centers=DEFAULT_CENTERS[:2], pixel_mm=6.0, traps={"ALFA-002": "missing-pet"}
    )
    return root


@pytest.mark.slow
def test_the_whole_pipeline_with_one_bad_case(example, cohort, monkeypatch, tmp_path):
    work = tmp_path / "work"
    first = run("--data-root", cohort, "--work-dir", work, *SMALL)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "ALFA-002: the file does not exist" in first.stderr
    assert "ALFA-002__PT.nii.gz" in first.stderr
    assert "1 case(s) were left out" in first.stderr
    assert f"pictures of all cases: {work / 'check.html'}" in first.stdout
    assert first.stdout.splitlines()[-1] == f"open in a browser: {work / 'report.html'}"
    assert f"figures: {work / 'figures'}" in first.stdout
    assert len(list((work / "figures").glob("figure_[1-5].pdf"))) == 5

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
    drawn = []  # the report and the figures of the first call are the ones that are looked at
    monkeypatch.setattr(example, "write_report", lambda work, **_: drawn.append(work) or work)
    monkeypatch.setattr(example, "write_figures", lambda work: drawn.append(work) or SimpleNamespace(paths=[work]))
    again = run_here(example, "--data-root", cohort, "--work-dir", work, *SMALL)
    assert again.exit_code == 1
    assert "holds a run already; continue it with --resume" in again.stderr
    shutil.rmtree(work / "predictions")
    (work / "metrics.json").unlink()
    shutil.rmtree(work / "models" / "fold_1")
    resumed = run_here(example, "--data-root", cohort, "--work-dir", work, "--resume")
    assert resumed.exit_code == 1, resumed.output
    rescored = json.loads((work / "metrics.json").read_text())
    # The masks come from another file of weights (a checkpoint holds seconds); the scores are the same.
    origins = [content.pop("made_from") for content in (metrics, rescored)]
    assert origins[0].keys() == origins[1].keys()
    assert origins[0]["split"] == origins[1]["split"]
    assert rescored == metrics
    assert drawn == [work, work]


def test_a_page_of_the_first_cases_comes_before_the_others(example, monkeypatch, tmp_path):
    """And not again where generation goes on."""
    root, calls = tmp_path / "cohort", []

    def generate(root: Path, *, cases_per_center: int, **_: object) -> None:
        root.mkdir(exist_ok=True)
        calls.append(cases_per_center)

    monkeypatch.setattr(example, "generate_cohort", generate)
    monkeypatch.setattr(example, "check_cohort", lambda *_, work, **__: calls.append(work))
    for _ in range(2):
        example.generate(root, Config.from_preset("demo"), jobs=1)
    assert calls == [1, root, 10, 10]


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


FOUND = {"config.yaml", "run.json", "check.json", "check.html"}


@pytest.mark.parametrize(
    ("spoil", "facts", "left"),
    [
        (_nothing, ("data",), set()),
        (_empty, ("data",), set()),
        (_no_pet, ("BETA-001", "BETA-001__PT.nii.gz"), FOUND),
        (_unreadable, ("BETA-001", "BETA-001__CT.nii.gz"), FOUND),
        (_label_seven, ("BETA-001", "BETA-001.nii.gz", "7"), FOUND),
    ],
)
def test_bad_input_gets_one_clear_message_and_leaves_nothing(example, cohort, tmp_path, spoil, facts, left):
    """What was found is left as data and as a page; the folder can be used again once the files are repaired."""
    root, work = tmp_path / "data", tmp_path / "work"
    spoil(cohort, root)
    done = run_here(example, "--data-root", root, "--work-dir", work, "--set", "split.folds=2")
    assert done.exit_code == 1, done.output
    assert all(fact in done.stderr for fact in facts)
    assert isinstance(done.exception, SystemExit)  # and nothing else, which would be a traceback
    assert ({path.name for path in work.iterdir()} if work.exists() else set()) == left


def test_usage_errors_exit_with_two(example):
    assert run_here(example, "--preset", "huge").exit_code == 2
    assert run_here(example, "--set", "split.folds=1").exit_code == 2


def test_a_resumed_run_keeps_its_own_settings(example, monkeypatch, tmp_path):
    configs = []
    monkeypatch.setattr(example, "run", lambda config, *args, **kwargs: configs.append(config) or set())
    app = typer.Typer()
    app.command()(example.main)
    save_config(Config.from_preset("paper", seed=4), tmp_path)
    (tmp_path / "run.json").write_text('{"data_root": ""}')
    for more in ([], ["--preset", "paper"], ["--set", "train.epochs=3"]):
        assert CliRunner().invoke(app, ["--work-dir", str(tmp_path), "--resume", *more]).exit_code == 0
    assert [(config.preset, config.seed, config.train.epochs) for config in configs] == [
        ("paper", 4, 300),
        ("paper", 0, 300),
        ("demo", 0, 3),
    ]


def test_a_resumed_run_is_checked_again_with_another_crop(example, monkeypatch, tmp_path):
    config = Config.from_preset("demo")
    kept = CohortCheck((), (), (), read_settings(config.prepare))
    save_check(kept, tmp_path)
    again = CohortCheck((), (), (), {})
    monkeypatch.setattr(example, "check_cohort", lambda *args, **kwargs: again)
    for values, found in (({}, kept), ({"prepare.swap_threshold": 5}, kept), ({"prepare.spacing_mm": 3.0}, again)):
        assert example.check(tmp_path, tmp_path, hnseg.build_config(values, base=config), 1) == found


OPTIONS = {
    "--data-root": "data",
    "--work-dir": "work",
    "--preset": "paper",
    "--config": "mine.yaml",
    "--set": "train.epochs=7",
    "--device": "mps",
    "--seed": "8",
    "--jobs": "7",
    "--resume": None,
}


@pytest.mark.parametrize(("option", "value"), OPTIONS.items())
def test_an_option_changes_what_is_run(example, monkeypatch, tmp_path, option, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("preset: demo\ntrain:\n  epochs: 5\n")
    calls = []
    monkeypatch.setattr(example, "run", lambda *args, **kwargs: calls.append((args, kwargs)) or set())
    app = typer.Typer()
    app.command()(example.main)
    for arguments in ([], [option] if value is None else [option, value]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert calls[0] != calls[1]


def test_every_option_is_in_the_table_and_in_the_help(example):
    shown = run_here(example, "--help")
    assert shown.exit_code == 0
    renamed = {"config_file": "--config", "assignments": "--set"}
    parameters = inspect.signature(example.main).parameters
    named = {renamed.get(name, f"--{name.replace('_', '-')}") for name in parameters}
    assert named == set(OPTIONS)
    assert all(option in shown.stdout for option in named)


def test_the_example_imports_public_names_only():
    modules = [
        node for node in ast.walk(ast.parse(EXAMPLE.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    ours = [node for node in modules if "hnseg" in ast.unparse(node) or "ssimh" in ast.unparse(node)]
    assert [node.module for node in ours] == ["hnseg"]
    assert {alias.name for alias in ours[0].names} <= set(hnseg.__all__)
