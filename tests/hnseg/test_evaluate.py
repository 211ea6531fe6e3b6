"""Scoring files: the work directory, a folder, and every kind of bad input."""

from __future__ import annotations

import json
import os
import runpy
from pathlib import Path

import numpy as np
import pytest

from hnseg.errors import CaseError, CohortError, WorkDirError
from hnseg.evaluate import evaluate_folder, evaluate_workdir, read_label
from hnseg.geometry import Grid
from hnseg.images import write_image
from hnseg.metrics import Rules, dice

WORKDIRS = runpy.run_path(str(Path(__file__).with_name("workdirs.py")))
_workdir_template, small_workdir, edit_json = (WORKDIRS[n] for n in ("_workdir_template", "small_workdir", "edit_json"))
GRID = Grid((6, 5, 4), (1.0, 2.0, 3.0), (5.0, -7.0, 2.0))


def label(**runs):
    """A label whose first row holds the runs, e.g. gtvp=(0, 3)."""
    mask = np.zeros(GRID.shape, np.uint8)
    for value, name in ((1, "gtvp"), (2, "gtvn")):
        if name in runs:
            mask[0, 0, slice(*runs[name])] = value
    return mask


def folders(tmp_path, pairs):
    """Prediction and truth files from {ID: (prediction, truth)}; the arguments of evaluate_folder."""
    truths = {}
    for case_id, (pred, truth) in pairs.items():
        write_image(tmp_path / "pred" / f"{case_id}.nii.gz", pred, GRID)
        truths[case_id] = tmp_path / "truth" / f"{case_id}.nii.gz"
        write_image(truths[case_id], truth, GRID)
    return tmp_path / "pred", truths


def test_a_folder_by_hand(tmp_path):
    one = (label(gtvp=(0, 2), gtvn=(4, 6)), label(gtvp=(0, 3), gtvn=(5, 6)))  # Dice 4/5; GTVn 1 of 2+1, IoU 1/2
    two = (label(), label(gtvn=(0, 1)))  # both without GTVp: 1.0; one node missed
    result = evaluate_folder(*folders(tmp_path, {"A-1": one, "B-1": two}))
    assert result["gtvp_dice_mean"] == pytest.approx((0.8 + 1) / 2, abs=1e-12)
    assert result["gtvn_dice_agg"] == pytest.approx(2 * 1 / (3 + 1), abs=1e-12)
    assert (result["tp"], result["fp"], result["fn"]) == (1, 0, 1)
    assert result["gtvn_f1_agg"] == pytest.approx(2 / 3, abs=1e-12)
    assert result["by_centre"]["B"]["gtvn_f1_agg"] == 0.0
    assert [case["case_id"] for case in result["cases"]] == ["A-1", "B-1"]
    assert result["cases"][0]["gtvp_truth_ml"] == pytest.approx(3 * 6 / 1000)
    assert result["rules"]["matching"] == "greedy"
    assert "IoU > 0.3" in result["definitions"]["gtvn_f1_agg"]
    json.dumps(result, allow_nan=False)


def test_options_reach_the_scores(tmp_path):
    args = folders(tmp_path, {"A-1": (label(gtvn=(0, 3)), label())})
    assert evaluate_folder(*args)["gtvp_dice_mean"] == 1.0
    skipped = evaluate_folder(*args, rules=Rules(empty_truth="skip"), centres={"A-1": "Oslo"})
    assert skipped["gtvp_dice_mean"] is None
    assert skipped["undefined"]["gtvp_dice_mean"]
    assert list(skipped["by_centre"]) == ["Oslo"]


def test_the_work_directory(small_workdir):
    result = evaluate_workdir(small_workdir)
    assert json.loads((small_workdir / "metrics.json").read_text()) == json.loads(json.dumps(result))
    assert {"ensemble", "threshold_baseline", "empty_baseline", "definitions", "skipped"} <= set(result)
    ensemble, empty = result["ensemble"], result["empty_baseline"]
    for name in ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg"):
        low, high = ensemble["bootstrap"]["intervals"][name]
        assert low <= ensemble[name] <= high
        assert ensemble[name] > empty[name]
    assert (ensemble["tp"], ensemble["fp"], ensemble["fn"]) == (3, 1, 1)
    assert empty["gtvp_dice_mean"] == 0.5  # two of four cases have no GTVp, and an empty mask is right there
    assert empty["gtvn_f1_agg"] == 0.0
    assert sorted(ensemble["by_centre"]) == ["AAA", "BBB"]
    truth, _ = read_label(small_workdir / "cohort/Task 1/AAA-002/AAA-002.nii.gz", "AAA-002")
    pred, _ = read_label(small_workdir / "predictions/AAA-002.nii.gz", "AAA-002")
    by_id = {case["case_id"]: case for case in ensemble["cases"]}
    assert by_id["AAA-002"]["gtvp_dice"] == pytest.approx(dice(pred == 1, truth == 1), abs=1e-12)
    assert by_id["BBB-002"]["gtvn_dice"] is None
    assert not [name for name in os.listdir(small_workdir) if name.startswith(".writing")]


def test_progress_is_told(small_workdir):
    told = []
    evaluate_workdir(small_workdir, progress=lambda done, total, what: told.append((done, total, what)))
    assert told == [(1, 3, "ensemble"), (2, 3, "threshold baseline"), (3, 3, "empty baseline")]


def test_a_test_case_without_label_is_skipped_with_a_note(small_workdir, edit_json):
    edit_json(small_workdir / "check.json", lambda c: c["cases"][1].update(label=None))
    result = evaluate_workdir(small_workdir)
    assert [s["case_id"] for s in result["skipped"]] == ["AAA-002"]
    assert result["ensemble"]["n_cases"] == 3


def test_without_any_label_every_score_is_undefined_with_a_reason(small_workdir, edit_json):
    edit_json(small_workdir / "check.json", lambda c: [case.update(label=None) for case in c["cases"]])
    result = evaluate_workdir(small_workdir)["ensemble"]
    assert result["gtvp_dice_mean"] is None
    assert result["undefined"]["gtvn_f1_agg"] == "no case to score"


# --- bad input --------------------------------------------------------------------------------------------------------
def test_a_missing_prediction_names_case_and_file(small_workdir):
    (small_workdir / "predictions" / "BBB-001.nii.gz").unlink()
    with pytest.raises(CaseError, match=r"BBB-001: there is no prediction .*predictions/BBB-001\.nii\.gz"):
        evaluate_workdir(small_workdir)
    assert not (small_workdir / "metrics.json").exists()


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (Grid((6, 5, 3), (1, 2, 3), (5, -7, 2)), r"size \(6, 5, 3\) instead of \(6, 5, 4\)"),
        (Grid((6, 5, 4), (1, 2, 2.5), (5, -7, 2)), "spacing"),
        (Grid((6, 5, 4), (1, 2, 3), (5, -6, 2)), "origin"),
        (Grid((6, 5, 4), (1, 2, 3), (5, -7, 2), (-1, 0, 0, 0, -1, 0, 0, 0, 1)), "direction"),
    ],
    ids=["size", "spacing", "origin", "direction"],
)
def test_a_prediction_on_another_grid(tmp_path, grid, said):
    pred, truths = folders(tmp_path, {"A-1": (label(), label())})
    write_image(pred / "A-1.nii.gz", np.zeros(grid.shape, np.uint8), grid)
    with pytest.raises(CaseError, match=said) as caught:
        evaluate_folder(pred, truths)
    assert caught.value.case_id == "A-1"
    assert caught.value.path == pred / "A-1.nii.gz"


@pytest.mark.parametrize(("value", "dtype"), [(7, np.uint8), (0.5, np.float32), (-1, np.int16), (258, np.int16)])
@pytest.mark.parametrize("side", ["pred", "truth"])
def test_a_label_value_that_does_not_exist(tmp_path, value, dtype, side):
    pred, truths = folders(tmp_path, {"A-1": (label(), label())})
    bad = np.zeros(GRID.shape, dtype)
    bad[1, 1, 1] = value
    path = tmp_path / side / "A-1.nii.gz"
    write_image(path, bad, GRID)
    with pytest.raises(CaseError, match=f"found {value}") as caught:
        evaluate_folder(pred, truths)
    assert caught.value.path == path


def test_a_float_file_of_whole_labels_is_fine(tmp_path):
    pred, truths = folders(tmp_path, {"A-1": (label(gtvp=(0, 2)).astype(np.float32), label(gtvp=(0, 2)))})
    assert evaluate_folder(pred, truths)["gtvp_dice_mean"] == 1.0


def test_an_unreadable_prediction(tmp_path):
    pred, truths = folders(tmp_path, {"A-1": (label(), label())})
    (pred / "A-1.nii.gz").write_bytes(b"not an image")
    with pytest.raises(CaseError, match="A-1"):
        evaluate_folder(pred, truths)


def test_extra_predictions_are_refused_unless_allowed(tmp_path):
    pred, truths = folders(tmp_path, {"A-1": (label(), label()), "A-2": (label(), label())})
    del truths["A-2"]
    with pytest.raises(CohortError, match="A-2"):
        evaluate_folder(pred, truths)
    assert evaluate_folder(pred, truths, allow_extra=True)["n_cases"] == 1


def test_no_truth_at_all(tmp_path):
    with pytest.raises(CohortError, match="no case to score"):
        evaluate_folder(tmp_path, {})


def test_an_empty_test_list(small_workdir, edit_json):
    edit_json(small_workdir / "splits.json", lambda s: s.update(test=[]))
    with pytest.raises(CohortError, match="no test case"):
        evaluate_workdir(small_workdir)


@pytest.mark.parametrize("name", ["splits.json", "check.json"])
def test_a_work_directory_without_its_lists(small_workdir, name):
    (small_workdir / name).unlink()
    with pytest.raises(WorkDirError, match=name):
        evaluate_workdir(small_workdir)


def test_a_test_case_that_check_does_not_know(small_workdir, edit_json):
    edit_json(small_workdir / "splits.json", lambda s: s["test"].append("ZZZ-9"))
    with pytest.raises(WorkDirError, match="ZZZ-9"):
        evaluate_workdir(small_workdir)


def test_broken_lists(small_workdir, edit_json):
    edit_json(small_workdir / "check.json", lambda c: c["cases"][0].pop("centre"))
    with pytest.raises(WorkDirError, match="centre"):
        evaluate_workdir(small_workdir)
