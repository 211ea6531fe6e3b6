"""The command split: by lists and by center, of a check that is up to date."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import load_splits
from hnseg.workdir import change_config, load_config
from tests.hnseg.cohort.split_cases import published


def test_the_command_splits_by_lists_and_by_center(prepared_run, tmp_path):
    """The small cohort has four cases each of ALFA and BETA."""
    ids = [case.id for case in load_check(prepared_run).cases]
    (tmp_path / "test.txt").write_text(f"{ids[0]}\n{ids[5]}\n")
    published_folds = [{"train": list(fold.train), "val": list(fold.val)} for fold in published([*ids, "CHUV-001"])]
    (tmp_path / "splits_final.json").write_text(json.dumps(published_folds))

    def command(*options: str) -> tuple[int, str]:
        work = tmp_path / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        for name in ("config.yaml", "run.json", "check.json"):
            shutil.copy(prepared_run / name, work / name)
        result = CliRunner().invoke(app, ["split", str(work), *options])
        return result.exit_code, result.output

    status, output = command("--test", str(tmp_path / "test.txt"))
    assert (status, load_splits(tmp_path / "work").test) == (0, (ids[0], ids[5])), output
    status, output = command("--folds", str(tmp_path / "splits_final.json"))
    assert status == 0
    assert "note: 1 IDs of the list are no usable case of the cohort and left out: CHUV-001" in output
    assert load_config(tmp_path / "work").split.folds == 3
    status, output = command("--leave-one-center-out")  # two centers, and the run's harmonization needs a reference
    assert (status, "2 center(s), ALFA, BETA; a fold per center needs 3" in output) == (1, True)
    assert not (tmp_path / "work" / "splits.json").exists()
    status, output = command("--leave-one-center-out", "--folds", str(tmp_path / "splits_final.json"))
    assert (status, "--folds and --leave-one-center-out" in output) == (2, True)


def test_a_listed_test_case_that_check_left_out_is_told(prepared_run, tmp_path):
    check = json.loads((prepared_run / "check.json").read_text())
    lost = check["cases"].pop(0)["id"]
    check["overviews"][0]["usable"] = False
    (tmp_path / "check.json").write_text(json.dumps(check))
    for name in ("config.yaml", "run.json"):
        shutil.copy(prepared_run / name, tmp_path / name)
    (tmp_path / "test.txt").write_text(f"{lost}\n{check['cases'][0]['id']}\n")
    result = CliRunner().invoke(app, ["split", str(tmp_path), "--test", str(tmp_path / "test.txt")])
    assert result.exit_code == 0, result.output
    assert f"note: check left out 1 of the 2 cases of the test list: {lost}" in result.output
    assert load_splits(tmp_path).test == (check["cases"][0]["id"],)


@pytest.fixture
def checked(prepared_run, tmp_path):
    for name in ("config.yaml", "run.json", "check.json"):
        shutil.copy(prepared_run / name, tmp_path / name)
    return tmp_path


def test_a_check_with_another_crop_is_refused(checked):
    change_config(checked, {"prepare.crop": "center", "prepare.swap_threshold": 7})
    result = CliRunner().invoke(app, ["split", str(checked)])
    assert result.exit_code == 1
    facts = ("check.json", "prepare.crop is center, was head", f"`hnseg check {checked}`")
    assert [fact in result.output for fact in facts] == [True] * 3
    assert "swap_threshold" not in result.output
    assert not (checked / "splits.json").exists()


def test_a_fold_of_one_case_is_noted(checked):
    """Of eight cases one is the reference: four folds validate on two, two, two and one."""
    result = CliRunner().invoke(
        app, ["split", str(checked), "--set", "split.folds=4", "--set", "split.test_fraction=0"]
    )
    assert result.exit_code == 0, result.output
    assert [len(fold) for fold in load_splits(checked).folds] == [2, 2, 2, 1]
    assert "note: fold 3 validates on a single case" in result.output
    assert "cases that each fold validates on: 0: 2, 1: 2, 2: 2, 3: 1" in result.output
