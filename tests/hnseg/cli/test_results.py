"""The commands after training, as a user types them: options reach the scores, mistakes become one message."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image

GRID = Grid((20, 2, 2), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def label(*, gtvp=(), gtvn=()):
    mask = np.zeros(GRID.shape, np.uint8)
    for value, runs in ((1, gtvp), (2, gtvn)):
        for start, stop in runs:
            mask[0, 0, start:stop] = value
    return mask


@pytest.fixture
def masks(tmp_path):
    """Two cases: a node found twice over, and a corner that joins two nodes; no true GTVp in either."""
    corner = label(gtvn=[(0, 2)])
    corner[1, 1, 2:4] = 2
    pairs = {
        "A-1": (label(gtvn=[(0, 4), (5, 10)]), label(gtvn=[(0, 10)])),
        "B-1": (corner, corner),
    }
    for case_id, (pred, truth) in pairs.items():
        write_image(tmp_path / "pred" / f"{case_id}.nii.gz", pred, GRID)
        write_image(tmp_path / "truth" / f"{case_id}.nii.gz", truth, GRID)
    return tmp_path


def evaluated(masks, *options):
    done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json", *options)
    assert done.exit_code == 0, done.output
    return json.loads((masks / "m.json").read_text())


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ((), (2, 1, 0)),
        (("--connectivity", "6"), (3, 1, 0)),
        (("--matching", "grouped"), (2, 0, 0)),
        (("--matching", "hungarian", "--connectivity", "18"), (3, 1, 0)),
        (("--iou-threshold", "0.5"), (1, 2, 1)),
        (("--iou-threshold", "0.5", "--at-least"), (2, 1, 0)),
        (("--min-lesion-ml", "4.5"), (1, 0, 0)),
    ],
)
def test_options_of_evaluate_reach_the_counts(masks, options, counts):
    result = evaluated(masks, *options)
    assert (result["tp"], result["fp"], result["fn"]) == counts


def test_other_options_of_evaluate(masks):
    assert evaluated(masks)["gtvp_dice_mean"] == 1.0
    assert evaluated(masks, "--empty-truth", "zero")["gtvp_dice_mean"] == 0.0
    assert evaluated(masks, "--empty-truth", "skip")["gtvp_dice_mean"] is None
    assert evaluated(masks)["gtvp_dice_agg"] is None
    assert evaluated(masks, "--zero-division", "one")["gtvp_dice_agg"] == 1.0
    rules = evaluated(masks, "--rules", "2022", "--aggregate", "voxels", "--tolerance-mm", "2")["rules"]
    assert (rules["challenge"], rules["aggregate"], rules["tolerance_mm"]) == ("2022", "voxels", 2.0)
    done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json", "--rules", "2022")
    assert list(json.loads(done.stdout)) == ["dice_agg_mean", "gtvp_dice_agg", "gtvn_dice_agg"]


def test_evaluate_says_what_it_left_out_or_made_up(masks):
    (masks / "pred/A-1.nii.gz").unlink()
    write_image(masks / "pred/C-9.nii.gz", label(), GRID)
    target = ("--out", masks / "m.json")
    done = run("evaluate", masks / "pred", masks / "truth", *target, "--missing", "empty", "--allow-extra")
    assert done.exit_code == 0, done.output
    assert "scored as an empty mask: A-1" in done.stderr
    assert "not scored: C-9: no truth" in done.stderr
    assert json.loads(done.stdout)["gtvp_dice_mean"] == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--connectivity", "8"), "connectivity 8: choose one of 6, 18, 26"),
        (("--connectivity", "six"), "connectivity 'six'"),
        (("--matching", "best"), "choose one of greedy, hungarian, grouped"),
        (("--iou-threshold", "1"), r"iou_threshold 1.0 must be in [0, 1)"),
        (("--tolerance-mm", "0"), "tolerance_mm 0.0 > 0"),
    ],
)
def test_a_rule_that_does_not_exist_is_one_message(masks, options, said):
    done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json", *options)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert not (masks / "m.json").exists()


def test_a_folder_of_masks_without_its_truth_is_one_message(masks):
    done = run("evaluate", masks / "pred")
    assert done.exit_code == 1
    assert "is a folder of masks: name the truth" in done.stderr


def test_bad_masks_name_the_case_and_write_nothing(masks):
    for bad, said in ((label() + np.uint8(7), "found 7"), (label() + np.float32(0.5), "found 0.5")):
        write_image(masks / "pred/B-1.nii.gz", bad, GRID)
        done = run("evaluate", masks / "pred", masks / "truth", "--out", masks / "m.json")
        assert done.exit_code == 1
        assert said in done.stderr
        assert "B-1" in done.stderr
    assert not (masks / "m.json").exists()


def test_evaluate_of_a_run(small_workdir):
    done = run("evaluate", small_workdir)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["gtvp_dice_mean"] > 0.5
    assert "not scored" not in done.stderr
    assert run("evaluate", small_workdir, "--allow-extra").exit_code == 1


def test_a_run_with_an_unpredicted_case_is_scored_when_asked_and_says_so(small_workdir):
    (small_workdir / "predictions/AAA-001.nii.gz").unlink()
    done = run("evaluate", small_workdir)
    assert done.exit_code == 1
    assert "AAA-001: there is no prediction" in done.stderr
    done = run("evaluate", small_workdir, "--missing", "empty")
    assert done.exit_code == 0, done.output
    assert "scored as an empty mask: AAA-001" in done.stderr
    ensemble = json.loads((small_workdir / "metrics.json").read_text())["ensemble"]
    assert (ensemble["n_cases"], ensemble["missing"]) == (4, ["AAA-001"])
    assert ensemble["cases"][0]["gtvp_dice"] == 0.0


# --- compare ----------------------------------------------------------------------------------------------------------
def test_compare_of_two_runs_of_a_run_with_itself_and_of_folders(small_workdir, tmp_path):
    assert run("evaluate", small_workdir).exit_code == 0
    target = tmp_path / "c.json"
    done = run("compare", small_workdir, small_workdir, "--method-b", "threshold_baseline", "--out", target)
    assert done.exit_code == 0, done.output
    runs = json.loads(target.read_text())
    assert runs["n_cases"] == 4
    assert runs["scores"]["gtvp_dice_mean"]["difference"] < 0
    assert "gtvn_f1_agg" in done.stdout

    for case_id in ("AAA-003", "AAA-004", "BBB-003", "BBB-004", "CCC-001"):  # the folders hold the test cases only
        (small_workdir / f"cohort/Task 1/{case_id}/{case_id}.nii.gz").unlink()
    folders = small_workdir / "predictions", small_workdir / "baselines/threshold"
    done = run("compare", *folders, "--truth", small_workdir / "cohort", "--out", target)
    assert done.exit_code == 0, done.output
    assert json.loads(target.read_text())["scores"] == runs["scores"]


def test_compare_refuses_what_cannot_be_compared(small_workdir, tmp_path):
    done = run("compare", small_workdir, small_workdir)
    assert done.exit_code == 1
    assert "run `hnseg evaluate` first" in done.stderr
    run("evaluate", small_workdir)
    done = run("compare", small_workdir, small_workdir, "--method-b", "magic")
    assert done.exit_code == 1
    assert "no scores of 'magic'" in done.stderr


# --- tune -------------------------------------------------------------------------------------------------------------
def test_tune_makes_the_masks_says_what_it_chose_and_validation_can_be_scored(trained_run, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(trained_run, work)
    done = run("tune", work, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "too few to choose by" in done.stdout
    assert (work / "tuning.json").is_file()
    cases = json.loads((work / "out_of_fold/cases.json").read_text())["cases"]
    assert len(cases) == 5
    assert all((work / f"out_of_fold/{case_id}.nii.gz").is_file() for case_id in cases)


def test_tune_of_an_untrained_run_is_one_message(prepared_run):
    done = run("tune", prepared_run)
    assert done.exit_code == 1
    assert "run `hnseg train`" in done.stderr
