"""One reader of labels: no value that a cast would turn into a legal one gets through, whoever reads the file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.check.check_case import check_case
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.labels import GTVN, GTVP, LESION_CLASSES, NUM_CLASSES, invalid_label_values, read_label
from hnseg.errors import CaseError
from hnseg.evaluation.evaluate import evaluate_folder
from hnseg.evaluation.rules import HECKTOR_2025
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image
from hnseg.inference.out_of_fold import postprocess_out_of_fold
from hnseg.inference.tune import _read_table
from hnseg.preprocessing.crop_case import crop_case
from hnseg.report.figures import load_images
from hnseg.report.records import CheckRecord
from hnseg.settings.prepare import PrepareConfig
from tests.examples.loading import GRAND_CHALLENGE, load_script

GRID = Grid((6, 5, 4), (1.0, 2.0, 3.0), (5.0, -7.0, 2.0))
ILLEGAL = [(1.5, np.float32), (257, np.int16), (-255, np.int16), (3, np.uint8), (2.0001, np.float64)]
CAST_AWAY = ILLEGAL[:3]  # as uint8 they are 1


def write_label(path: Path, value: float = 1, dtype: type = np.uint8, grid: Grid = GRID) -> Path:
    array = np.zeros(grid.shape, dtype)
    array[1, 2, 3] = value
    write_image(path, array, grid)
    return path


def assert_names(error: CaseError, case_id: str, path: Path, value: float) -> None:
    assert (error.case_id, error.path) == (case_id, path)
    assert f"{value:g}" in re.findall(r"-?[\d.]+", error.reason.split("found")[-1])


def test_the_classes():
    assert [(c.value, c.key, c.name) for c in LESION_CLASSES] == [(1, "gtvp", "GTVp"), (2, "gtvn", "GTVn")]
    assert (GTVP, GTVN, NUM_CLASSES) == (1, 2, 3)


@pytest.mark.parametrize(("value", "dtype"), ILLEGAL)
def test_a_value_that_no_label_has(tmp_path, value, dtype):
    path = write_label(tmp_path / "A-1.nii.gz", value, dtype)
    with pytest.raises(CaseError) as caught:
        read_label(path, "A-1")
    assert_names(caught.value, "A-1", path, round(value, 4) if value < 100 else value)


def test_nan_is_no_label(tmp_path):
    path = tmp_path / "A-1.nii.gz"
    array = np.zeros(GRID.shape, np.float32)
    array[0, 0, 0] = np.nan
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(GRID.spacing_mm)
    sitk.WriteImage(image, str(path))
    with pytest.raises(CaseError) as caught:
        read_label(path, "A-1")
    assert (caught.value.case_id, caught.value.path) == ("A-1", path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_legal_labels_of_any_type(tmp_path, dtype):
    array = np.zeros(GRID.shape, dtype)
    array[0, 0, :2] = 1, 2
    write_image(tmp_path / "A-1.nii.gz", array, GRID)
    found, grid = read_label(tmp_path / "A-1.nii.gz", "A-1", like=GRID)
    assert found.dtype == np.uint8
    assert grid.matches(GRID)
    np.testing.assert_array_equal(found, array)


def test_another_grid(tmp_path):
    path = write_label(tmp_path / "A-1.nii.gz")
    with pytest.raises(CaseError) as caught:
        read_label(path, "A-1", like=Grid(GRID.size, (1.0, 2.0, 2.5), GRID.origin_mm))
    assert caught.value.path == path
    assert "(1.0, 2.0, 2.5)" in caught.value.reason


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (np.zeros((0,), np.uint8), []),
        (np.array([0, 1, 2], np.uint8), []),
        (np.array([True, False]), []),
        (np.array([9, 8, 7, 6, 5, 4, 3], np.uint8), [3, 4, 5, 6, 7]),
        (np.array([-255, 257], np.int32), [-255, 257]),
        (np.array([1.5, 0.0]), [1.5]),
    ],
)
def test_values_that_no_label_has(array, values):
    assert invalid_label_values(array) == values


# --- everybody who reads a label or a mask ----------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "dtype"), CAST_AWAY)
@pytest.mark.parametrize("side", ["mask", "label"])
def test_tune_refuses(tmp_path, value, dtype, side):
    paths = {name: write_label(tmp_path / f"{name}.nii.gz") for name in ("mask", "label")}
    write_label(paths[side], value, dtype)
    case = CheckedCase("A-1", "A", "ct", "pet", str(paths["label"]), 1.0, 0.0, True, 1.0)
    with pytest.raises(CaseError) as caught:
        _read_table((paths["mask"], case), HECKTOR_2025)
    assert_names(caught.value, "A-1", paths[side], value)


@pytest.mark.parametrize(("value", "dtype"), CAST_AWAY)
def test_out_of_fold_post_processing_refuses(small_workdir, value, dtype):
    path = write_label(small_workdir / "out_of_fold" / "raw" / "AAA-003.nii.gz", value, dtype)
    with pytest.raises(CaseError) as caught:
        postprocess_out_of_fold(small_workdir, ["AAA-003"])
    assert_names(caught.value, "AAA-003", path, value)


@pytest.mark.parametrize(("value", "dtype"), CAST_AWAY)
def test_crop_and_check_refuse(make_case, value, dtype):
    root = make_case("ONE-001")
    path = root / "Task 1" / "ONE-001" / "ONE-001.nii.gz"
    array, grid = read_image(path, "ONE-001", dtype=np.float64)
    array[array == 1] = value
    write_image(path, array.astype(dtype), grid)
    (case,) = discover_cases(root)
    with pytest.raises(CaseError) as caught:
        crop_case(case, PrepareConfig(spacing_mm=6.25))
    assert_names(caught.value, "ONE-001", path, value)
    errors = [finding for finding in check_case(case, PrepareConfig(), pictures=False).findings if finding.path]
    assert ("error", "label", str(path)) in [(f.severity, f.code, f.path) for f in errors]


@pytest.mark.parametrize(("value", "dtype"), CAST_AWAY)
@pytest.mark.parametrize("side", ["label", "prediction"])
def test_the_report_refuses(small_workdir, value, dtype, side):
    check = CheckRecord.model_validate_json((small_workdir / "check.json").read_text())
    (files,) = [case for case in check.cases if case.id == "AAA-001"]
    prediction = small_workdir / "predictions" / "AAA-001.nii.gz"
    path = Path(str(files.label)) if side == "label" else prediction
    array, grid = read_image(path, "AAA-001", dtype=np.float64)
    array[array == 1] = value
    write_image(path, array.astype(dtype), grid)
    with pytest.raises(CaseError) as caught:
        load_images(files, prediction, None)
    assert_names(caught.value, "AAA-001", path, value)


@pytest.mark.parametrize(("value", "dtype"), CAST_AWAY)
@pytest.mark.parametrize("side", ["pred", "truth"])
def test_evaluate_refuses(tmp_path, value, dtype, side):
    for name in ("pred", "truth"):
        write_label(tmp_path / name / "A-1.nii.gz")
    path = write_label(tmp_path / side / "A-1.nii.gz", value, dtype)
    with pytest.raises(CaseError) as caught:
        evaluate_folder(tmp_path / "pred", {"A-1": tmp_path / "truth" / "A-1.nii.gz"})
    assert_names(caught.value, "A-1", path, value)


@pytest.mark.parametrize(("value", "dtype"), CAST_AWAY)
def test_the_grand_challenge_algorithm_refuses(tmp_path, value, dtype):
    module = load_script(GRAND_CHALLENGE)
    path = write_label(tmp_path / "mask.mha", value, dtype)
    with pytest.raises(CaseError) as caught:
        module.check_mask(path, GRID)
    assert_names(caught.value, "mask", path, value)
