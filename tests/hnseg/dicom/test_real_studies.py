"""The shared DICOM data become the cases that others made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hnseg.check.check_cohort import check_cohort
from hnseg.cohort.checked_cohort import load_check
from hnseg.dicom.convert import DicomReport, convert_dicom
from hnseg.dicom.options import DicomOptions
from hnseg.images.image_io import read_image
from hnseg.images.resample import resample
from hnseg.settings.prepare import PrepareConfig

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def converted(realdata_dir, tmp_path_factory) -> tuple[Path, DicomReport]:
    out = tmp_path_factory.mktemp("real") / "out"
    return out, convert_dicom(realdata_dir / "dicom", out, DicomOptions(pet_only=True))


def read_case(out: Path, case_id: str) -> tuple[np.ndarray, np.ndarray]:
    """SUV within the mask, sampled at the voxels of the mask's grid, and the mask."""
    home = out / "Task 1" / case_id
    label, grid = read_image(home / f"{case_id}.nii.gz", case_id)
    pet, pet_grid = read_image(home / f"{case_id}__PT.nii.gz", case_id)
    return resample(pet, pet_grid, grid, outside=0.0, interpolation="nearest")[label == 1], label


def test_a_whole_body_pet_in_bqml(converted):
    """STS_001: factor 2.42903e-4, SUVmax 7.91 and 365 ml in GTV_Mass."""
    out, report = converted
    record = report.states[0].record
    assert record["pet"]["suv_factor"] == pytest.approx(2.42903e-4, rel=1e-5)
    assert record["label"]["gtvp_ml"] == pytest.approx(365, abs=3)
    suv, _ = read_case(out, "case-001")
    assert suv.max() == pytest.approx(7.91, abs=0.005)
    assert record["label"]["gtvp_suv_max"] == pytest.approx(float(suv.max()), abs=1e-4)
    assert "ct" not in record


def test_a_study_with_ct_and_pet_in_suv(converted, realdata_dir):
    """STS_002: SUV already, 21.68 at most; the mask is that of STAN-002."""
    out, report = converted
    record = report.states[1].record
    assert (record["pet"]["is_converted"], record["pet"]["suv_factor"]) == (False, 1.0)
    suv, label = read_case(out, "case-002")
    assert suv.max() == pytest.approx(21.68, abs=0.005)
    assert record["label"]["gtvp_suv_max"] == pytest.approx(float(suv.max()), abs=1e-4)
    home = realdata_dir / "sts_petct" / "Task 1" / "STAN-002"
    other, other_grid = read_image(home / "STAN-002.nii.gz", "STAN-002")
    _, grid = read_image(out / "Task 1" / "case-002" / "case-002.nii.gz", "case-002")
    other = resample(other, other_grid, grid, outside=0.0, interpolation="nearest")
    assert 2 * np.sum((label == 1) & (other == 1)) / (np.sum(label == 1) + np.sum(other == 1)) >= 0.95


def test_check_takes_the_cohort_in_suv(converted, tmp_path):
    check_cohort(converted[0], PrepareConfig(), work=tmp_path)
    (case,) = load_check(tmp_path).cases  # a PET alone is none
    assert (case.id, case.pet_unit) == ("case-002", "SUV")
