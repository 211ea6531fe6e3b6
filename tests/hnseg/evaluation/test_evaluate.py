"""Scoring files: the work directory, a folder, and every kind of bad input."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from hnseg.cli.commands import app
from hnseg.cohort.labels import read_label
from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError, CohortError, WorkDirError
from hnseg.evaluation.evaluate import ReferenceLabels, evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.overlap import dice
from hnseg.evaluation.records import read_metrics
from hnseg.evaluation.rules import HECKTOR_2022, Rules
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from tests.facts import raises_naming
from tests.hnseg.workdirs import CT_GRID

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
    assert result["by_center"]["B"]["gtvn_f1_agg"] == 0.0
    assert [case["case_id"] for case in result["cases"]] == ["A-1", "B-1"]
    assert result["cases"][0]["gtvp_truth_ml"] == pytest.approx(3 * 6 / 1000)
    assert result.rules.matching == "greedy"
    assert "IoU > 0.3" in result["definitions"]["gtvn_f1_agg"]
    json.dumps(result.as_dict(), allow_nan=False)


def test_options_reach_the_scores(tmp_path):
    args = folders(tmp_path, {"A-1": (label(gtvn=(0, 3)), label())})
    assert evaluate_folder(*args)["gtvp_dice_mean"] == 1.0
    skipped = evaluate_folder(args[0], ReferenceLabels(args[1], {"A-1": "Oslo"}), rules=Rules(empty_truth="skip"))
    assert skipped["gtvp_dice_mean"] is None
    assert skipped["undefined"]["gtvp_dice_mean"]
    assert list(skipped["by_center"]) == ["Oslo"]


def test_the_work_directory(small_workdir):
    result = evaluate_workdir(small_workdir)
    assert read_metrics(small_workdir / "metrics.json") == result
    ensemble, empty = result["ensemble"], result["empty_baseline"]
    for name in ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg"):
        low, high = ensemble["bootstrap"]["intervals"][name]
        assert low <= ensemble[name] <= high
        assert ensemble[name] > empty[name]
    assert (ensemble["tp"], ensemble["fp"], ensemble["fn"]) == (3, 1, 1)
    assert empty["gtvp_dice_mean"] == 0.5  # two of four cases have no GTVp, and an empty mask is right there
    assert empty["gtvn_f1_agg"] == 0.0
    assert sorted(ensemble["by_center"]) == ["AAA", "BBB"]
    truth, _ = read_label(small_workdir / "cohort/Task 1/AAA-002/AAA-002.nii.gz", "AAA-002")
    pred, _ = read_label(small_workdir / "predictions/AAA-002.nii.gz", "AAA-002")
    by_id = {case["case_id"]: case for case in ensemble["cases"]}
    assert by_id["AAA-002"]["gtvp_dice"] == pytest.approx(dice(pred == 1, truth == 1), abs=1e-12)
    assert by_id["BBB-002"]["gtvn_dice"] is None
    assert not [name for name in os.listdir(small_workdir) if name.startswith(".writing")]


def test_progress_is_told(small_workdir):
    calls = []
    evaluate_workdir(small_workdir, progress=lambda done, total, what: calls.append((done, total, what)))
    assert [done for done, _, _ in calls] == list(range(1, 13))
    assert {total for _, total, _ in calls} == {12}  # four cases of the ensemble and of both baselines
    assert calls[0][2] == "ensemble: AAA-001"
    assert calls[-1][2] == "empty baseline: BBB-002"


def test_processes_give_the_same_scores(small_workdir):
    """Joblib's own processes, which load no torch for this; other stages have forked ones in the tests."""
    one = evaluate_workdir(small_workdir)
    assert evaluate_workdir(small_workdir, jobs=2) == one


def test_out_of_fold_masks_are_scored_as_validation(small_workdir):
    assert evaluate_workdir(small_workdir)["validation"] is None
    folder = small_workdir / "out_of_fold"
    folder.mkdir()
    trained = sorted(path.name for path in (small_workdir / "cohort/Task 1").iterdir() if path.name[-1] in "34")
    for case_id in trained:
        shutil.copy(small_workdir / f"cohort/Task 1/{case_id}/{case_id}.nii.gz", folder)
    assert evaluate_workdir(small_workdir)["validation"] is None  # not all of them yet, as far as anybody knows
    (folder / "cases.json").write_text(json.dumps({"cases": trained}))
    validation = evaluate_workdir(small_workdir)["validation"]
    assert validation["n_cases"] == len(trained) == 4
    assert validation["gtvp_dice_mean"] == validation["gtvn_f1_agg"] == 1.0
    (folder / "cases.json").write_text(json.dumps({"cases": [*trained, "ZZZ-1"]}))
    with raises_naming(WorkDirError, "ZZZ-1", "check.json", path=folder / "cases.json"):
        evaluate_workdir(small_workdir)


def test_a_data_root_and_a_folder_of_labels_are_the_same_truth(small_workdir, tmp_path):
    root, flat = small_workdir / "cohort", tmp_path / "labels"
    flat.mkdir()
    for path in (root / "Task 1").iterdir():
        shutil.copy(path / f"{path.name}.nii.gz", flat)
    by_root, by_folder = find_labels(root), find_labels(flat)
    assert list(by_root.labels) == list(by_folder.labels)
    tests = {k: v for k, v in by_root.labels.items() if k.endswith(("1", "2")) and not k.startswith("CCC")}
    a = evaluate_folder(small_workdir / "predictions", ReferenceLabels(tests, by_root.centers))
    b = evaluate_folder(small_workdir / "predictions", {k: by_folder.labels[k] for k in tests})
    assert a == b
    assert a["gtvp_dice_mean"] == evaluate_workdir(small_workdir)["ensemble"]["gtvp_dice_mean"]


def test_cases_without_a_label_are_named(small_workdir):
    root = small_workdir / "cohort"
    (root / "Task 1/CCC-001/CCC-001.nii.gz").unlink()
    truths = find_labels(root)
    assert truths.unlabeled == ("CCC-001",)
    tests = ReferenceLabels(
        {k: truths.labels[k] for k in ("AAA-001", "AAA-002", "BBB-001", "BBB-002")}, {}, truths.unlabeled
    )
    result = evaluate_folder(small_workdir / "predictions", tests)
    assert [entry.case_id for entry in result.skipped] == ["CCC-001"]
    for path in (root / "Task 1").iterdir():
        (path / f"{path.name}.nii.gz").unlink(missing_ok=True)
    with raises_naming(CohortError, "9 cases", path=root):
        find_labels(root)


# --- the 2022 rules ---------------------------------------------------------------------------------------------------
def cropped_case(tmp_path, grid, pred):
    args = folders(tmp_path, {"A-1": (label(), label(gtvp=(1, 4)))})
    write_image(args[0] / "A-1.nii.gz", pred, grid)
    return args


def test_2022_accepts_a_cropped_mask_with_a_right_origin(tmp_path):
    # Columns 1 to 3 of the truth's grid alone, all GTVp: spacing 1 mm, so the origin moves by 1 mm.
    grid = Grid((3, 1, 1), GRID.spacing_mm, (6.0, -7.0, 2.0))
    args = cropped_case(tmp_path, grid, np.ones(grid.shape, np.uint8))
    assert evaluate_folder(*args, rules=HECKTOR_2022)["gtvp_dice_agg"] == 1.0
    with raises_naming(CaseError, "size", (3, 1, 1), GRID.size, case_id="A-1", path=args[0] / "A-1.nii.gz"):
        evaluate_folder(*args)


def test_2022_brings_a_turned_mask_back_by_geometry(tmp_path):
    turned = Grid(GRID.size, GRID.spacing_mm, (10.0, -7.0, 2.0), (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    args = cropped_case(tmp_path, turned, label(gtvp=(1, 4))[:, :, ::-1])
    assert evaluate_folder(*args, rules=HECKTOR_2022)["gtvp_dice_agg"] == 1.0


def test_2022_refuses_another_spacing_and_other_labels(tmp_path):
    grid = Grid(GRID.size, (1.0, 2.0, 3.1), GRID.origin_mm)
    with raises_naming(CaseError, "spacing", (1.0, 2.0, 3.1), case_id="A-1", path=tmp_path / "pred" / "A-1.nii.gz"):
        evaluate_folder(*cropped_case(tmp_path, grid, label()), rules=HECKTOR_2022)
    with raises_naming(CaseError, 3, case_id="A-1", path=tmp_path / "pred" / "A-1.nii.gz"):
        evaluate_folder(*cropped_case(tmp_path, GRID, label() + np.uint8(3)), rules=HECKTOR_2022)
    close = Grid(GRID.size, (1.0, 2.0, 3.000001), GRID.origin_mm)
    assert evaluate_folder(*cropped_case(tmp_path, close, label()), rules=HECKTOR_2022)["n_cases"] == 1


# --- missing masks ----------------------------------------------------------------------------------------------------
def test_missing_masks_are_an_error_or_scored_as_empty_and_named(tmp_path):
    pred, truths = folders(tmp_path, {n: (label(gtvp=(0, 2)), label(gtvp=(0, 2))) for n in ("A-1", "A-2", "A-3")})
    (pred / "A-2.nii.gz").unlink()
    with raises_naming(CaseError, case_id="A-2", path=pred / "A-2.nii.gz"):
        evaluate_folder(pred, truths)
    result = evaluate_folder(pred, truths, missing="empty")
    assert result["gtvp_dice_mean"] == pytest.approx(2 / 3)
    assert result.missing == ("A-2",)
    assert [case["missing"] for case in result["cases"]] == [False, True, False]
    with raises_naming(ValueError, "missing 'skip'", "error, empty"):
        evaluate_folder(pred, truths, missing="skip")


@pytest.mark.parametrize("missing", ["error", "empty"])
def test_a_folder_with_no_mask_of_these_cases_is_never_a_score(tmp_path, missing):
    pred, truths = folders(tmp_path, {"A-1": (label(), label()), "A-2": (label(), label())})
    for path in pred.iterdir():
        path.unlink()
    with raises_naming(CohortError, "<ID>.nii.gz", 2, "A-1, A-2", path=pred):
        evaluate_folder(pred, truths, missing=missing)
    with raises_naming(CohortError, "<ID>.nii.gz", path=tmp_path / "nowhere"):
        evaluate_folder(tmp_path / "nowhere", truths, missing=missing)


def test_masks_under_other_names_are_both_extra_and_missing(tmp_path):
    pred, truths = folders(tmp_path, {"A-1": (label(), label()), "A-2": (label(), label())})
    (pred / "A-1.nii.gz").rename(pred / "a_1.nii.gz")
    with raises_naming(CohortError, "a_1;", "A-1", path=pred):
        evaluate_folder(pred, truths)


def test_a_test_case_without_label_is_skipped_with_a_note(small_workdir, edit_json):
    edit_json(small_workdir / "check.json", lambda c: c["cases"][1].update(label=None))
    result = evaluate_workdir(small_workdir)
    assert [entry.case_id for entry in result.skipped] == ["AAA-002"]
    assert result["ensemble"]["n_cases"] == 3


def test_without_any_label_every_score_is_undefined_with_a_reason(small_workdir, edit_json):
    edit_json(small_workdir / "check.json", lambda c: [case.update(label=None) for case in c["cases"]])
    result = evaluate_workdir(small_workdir)["ensemble"]
    assert result["gtvp_dice_mean"] is None
    assert result["undefined"]["gtvn_f1_agg"] == "no case to score"


# --- bad input --------------------------------------------------------------------------------------------------------
def test_a_missing_prediction_names_case_and_file(small_workdir):
    (small_workdir / "predictions" / "BBB-001.nii.gz").unlink()
    with raises_naming(CaseError, case_id="BBB-001", path=small_workdir / "predictions" / "BBB-001.nii.gz"):
        evaluate_workdir(small_workdir)
    assert not (small_workdir / "metrics.json").exists()


@pytest.mark.parametrize(
    ("grid", "facts"),
    [
        (Grid((6, 5, 3), (1, 2, 3), (5, -7, 2)), ["size", (6, 5, 3), (6, 5, 4)]),
        (Grid((6, 5, 4), (1, 2, 2.5), (5, -7, 2)), ["spacing_mm", (1.0, 2.0, 2.5)]),
        (Grid((6, 5, 4), (1, 2, 3), (5, -6, 2)), ["origin_mm", (5.0, -6.0, 2.0)]),
        (Grid((6, 5, 4), (1, 2, 3), (5, -7, 2), (-1, 0, 0, 0, -1, 0, 0, 0, 1)), ["direction (-1.0"]),
    ],
    ids=["size", "spacing", "origin", "direction"],
)
def test_a_prediction_on_another_grid(tmp_path, grid, facts):
    pred, truths = folders(tmp_path, {"A-1": (label(), label())})
    write_image(pred / "A-1.nii.gz", np.zeros(grid.shape, np.uint8), grid)
    with raises_naming(CaseError, *facts, case_id="A-1", path=pred / "A-1.nii.gz"):
        evaluate_folder(pred, truths)


@pytest.mark.parametrize(("value", "dtype"), [(7, np.uint8), (0.5, np.float32), (-1, np.int16), (258, np.int16)])
@pytest.mark.parametrize("side", ["pred", "truth"])
def test_a_label_value_that_does_not_exist(tmp_path, value, dtype, side):
    pred, truths = folders(tmp_path, {"A-1": (label(), label())})
    bad = np.zeros(GRID.shape, dtype)
    bad[1, 1, 1] = value
    path = tmp_path / side / "A-1.nii.gz"
    write_image(path, bad, GRID)
    with raises_naming(CaseError, value, case_id="A-1", path=path):
        evaluate_folder(pred, truths)


def test_a_float_file_of_whole_labels_is_fine(tmp_path):
    pred, truths = folders(tmp_path, {"A-1": (label(gtvp=(0, 2)).astype(np.float32), label(gtvp=(0, 2)))})
    assert evaluate_folder(pred, truths)["gtvp_dice_mean"] == 1.0


def test_an_unreadable_prediction(tmp_path):
    pred, truths = folders(tmp_path, {"A-1": (label(), label())})
    (pred / "A-1.nii.gz").write_bytes(b"not an image")
    with raises_naming(CaseError, case_id="A-1", path=pred / "A-1.nii.gz"):
        evaluate_folder(pred, truths)


def test_extra_predictions_are_refused_unless_allowed(tmp_path):
    pred, truths = folders(tmp_path, {"A-1": (label(), label()), "A-2": (label(), label())})
    del truths["A-2"]
    with raises_naming(CohortError, "A-2", path=pred):
        evaluate_folder(pred, truths)
    result = evaluate_folder(pred, truths, allow_extra=True)
    assert result["n_cases"] == 1
    assert [entry.case_id for entry in result.skipped] == ["A-2"]


def test_no_truth_at_all(tmp_path):
    with raises_naming(CohortError, path=tmp_path):
        evaluate_folder(tmp_path, {})


def test_a_run_without_test_cases_is_scored_by_its_out_of_fold_masks(small_workdir, edit_json):
    edit_json(small_workdir / "splits.json", lambda splits: splits.update(test=[]))
    with raises_naming(WorkDirError, "hnseg tune", small_workdir / "splits.json"):
        evaluate_workdir(small_workdir)
    folder = small_workdir / "out_of_fold"
    folder.mkdir()
    folds = load_splits(small_workdir).folds
    for case_id in (case_id for fold in folds for case_id in fold):
        shutil.copy(small_workdir / f"cohort/Task 1/{case_id}/{case_id}.nii.gz", folder / f"{case_id}.nii.gz")
    write_image(folder / f"{folds[1][0]}.nii.gz", np.zeros(CT_GRID.shape, np.uint8), CT_GRID)
    (folder / "cases.json").write_text(json.dumps({"cases": [case_id for fold in folds for case_id in fold]}))
    scores = evaluate_workdir(small_workdir)
    assert (scores.ensemble, scores.threshold_baseline, scores.main_method) == (None, None, "validation")
    first, second = scores.folds.folds
    assert (first.n_cases, second.n_cases) == (len(folds[0]), len(folds[1]))
    assert (first.gtvp_dice_mean, second.gtvp_dice_mean) == (1.0, 0.5)
    assert scores.folds.mean["gtvp_dice_mean"] == 0.75
    assert scores.folds.sd["gtvp_dice_mean"] == pytest.approx(0.5 / 2**0.5)
    assert read_metrics(small_workdir) == scores
    assert "no test case" in CliRunner().invoke(app, ["evaluate", str(small_workdir)]).stderr


@pytest.mark.parametrize(("name", "verb"), [("splits.json", "split"), ("check.json", "check")])
def test_a_work_directory_without_its_lists(small_workdir, name, verb):
    (small_workdir / name).unlink()
    with raises_naming(WorkDirError, f"`hnseg {verb}`", path=small_workdir / name):
        evaluate_workdir(small_workdir)


def test_a_test_case_that_check_does_not_know(small_workdir, edit_json):
    edit_json(small_workdir / "splits.json", lambda s: s["test"].append("ZZZ-9"))
    with raises_naming(WorkDirError, "ZZZ-9", "check.json", path=small_workdir / "splits.json"):
        evaluate_workdir(small_workdir)


def test_broken_lists(small_workdir, edit_json):
    edit_json(small_workdir / "check.json", lambda c: c["cases"][0].pop("center"))
    with raises_naming(WorkDirError, "cases.0.center", path=small_workdir / "check.json"):
        evaluate_workdir(small_workdir)


# --- real labels, against SimpleITK -----------------------------------------------------------------------------------
@pytest.mark.realdata
def test_real_labels_are_scored_as_simpleitk_does(realdata_dir, tmp_path):
    """Ten real tumors, each moved by two columns: Dice and Hausdorff distance of another library, on the CT's grid."""
    truths = find_labels(realdata_dir / "sts_petct")
    assert len(truths.labels) == 10
    expected = {}
    for case_id, path in truths.labels.items():
        truth = sitk.ReadImage(str(path), sitk.sitkUInt8)
        pred = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(truth), 2, axis=2))
        pred.CopyInformation(truth)
        (tmp_path / "pred").mkdir(exist_ok=True)
        sitk.WriteImage(pred, str(tmp_path / f"pred/{case_id}.nii.gz"))
        overlap, far = sitk.LabelOverlapMeasuresImageFilter(), sitk.HausdorffDistanceImageFilter()
        overlap.Execute(truth, pred)
        far.Execute(truth, pred)
        volume_ml = sitk.GetArrayViewFromImage(truth).sum() * np.prod(truth.GetSpacing()) / 1000
        expected[case_id] = overlap.GetDiceCoefficient(1), far.GetHausdorffDistance(), volume_ml
    result = evaluate_folder(tmp_path / "pred", truths)
    assert len(result["by_center"]) == 2
    for case in result["cases"]:
        dice_itk, hausdorff_itk, volume_ml = expected[case["case_id"]]
        assert case["gtvp_dice"] == pytest.approx(dice_itk, abs=1e-12)
        assert case.gtvp.hd95_mm <= hausdorff_itk + 1e-6
        assert case["gtvp_truth_ml"] == pytest.approx(volume_ml, abs=1e-4)
        assert case["gtvn_dice"] is None
    assert result["gtvp_dice_mean"] == pytest.approx(np.mean([d for d, _, _ in expected.values()]), abs=1e-12)
    assert result["gtvn_dice_agg"] is None
