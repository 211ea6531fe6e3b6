"""Check on real scans finds what one would find by eye, and nothing else."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.check.check_case import check_case
from hnseg.check.check_cohort import check_cohort
from hnseg.cohort.cases import Case, discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.suv import read_suv
from hnseg.errors import CaseError, CohortError
from hnseg.settings.config import Config
from tests.facts import raises_naming

pytestmark = pytest.mark.realdata
PREPARE = Config.from_preset("recommended").prepare
SUV_PER_BQML = 2.42903e-4  # stated with the data; decay over 2711 s
SUV_MAX_IN_MASS = 7.91  # of the same case, prepared by others


def test_sarcomas_of_the_limbs_have_no_head_and_short_scans(realdata_dir):
    result = check_cohort(realdata_dir / "sts_petct", PREPARE)
    assert len(result.cases) == 10
    assert {finding.code for finding in result.findings} == {"no-head", "field-of-view", "pet-coverage"}
    found = {(finding.code, finding.case_id) for finding in result.findings}
    assert {case_id for code, case_id in found if code == "no-head"} == {case.id for case in result.cases}
    assert ("pet-coverage", "SOFT-019") in found  # its PET begins 6.6 mm off the CT
    with (realdata_dir / "sts_petct" / "Task 1" / "HECKTOR_2025_Training_Task_1.csv").open() as file:
        stated = {row["PatientID"]: float(row["GTV_ml"]) for row in csv.DictReader(file)}
    for case in result.cases:
        assert case.gtvp_ml == pytest.approx(stated[case.id], rel=0.01)


def test_head_and_neck_cts_are_a_cohort_without_pet_and_not_in_hu(realdata_dir, tmp_path):
    scans = sorted((realdata_dir / "openkbp_ct").glob("*/*_ct.nii.gz"))
    lines = ["id,ct,center", *(f"{path.name.split('_')[0]},{path},{path.parent.name}" for path in scans)]
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n")
    with raises_naming(CohortError, "PET", "28 cases", "CT"):
        check_cohort(tmp_path / "cases.csv", PREPARE, work=tmp_path / "work")
    found: dict[str, set[str]] = {}
    for finding in load_check(tmp_path / "work").findings:
        found.setdefault(finding.code, set()).add(finding.case_id)
    everyone = {path.name.split("_")[0] for path in scans}
    assert found.pop("no-pet") == {"cohort"}
    assert found["pet"] == found["ct-units"] == found["no-label"] == everyone
    assert found["masked-ct"] == {"A-005", "D-051", "F-016"}  # only a part of the body was kept in most sections
    assert found["coarse"] == {name for name in everyone if name.startswith("C-")}  # 5.08 mm pixels
    assert found.keys() == {"pet", "ct-units", "no-label", "masked-ct", "coarse"}


@pytest.fixture(scope="module")
def whole_body(realdata_dir, tmp_path_factory) -> Path:
    """The whole-body PET, in Bq/ml as in its DICOM files."""
    reader = sitk.ImageSeriesReader()
    folder = realdata_dir / "dicom" / "STS_001_wholebody_FDG_PET_BQML" / "image"
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    path = tmp_path_factory.mktemp("whole") / "Task 1" / "STS-001" / "STS-001__PT.nii.gz"
    path.parent.mkdir(parents=True)
    sitk.WriteImage(reader.Execute(), str(path))
    return path


def test_the_whole_body_pet_is_converted_once_and_its_box_ends_at_the_top(whole_body):
    root = whole_body.parents[2]
    (bare,) = discover_cases(root)
    with raises_naming(CaseError, "Bq/ml", "SUV", 757, 50, case_id="STS-001", path=bare.pet):
        read_suv(bare)
    (root / "suv_conversion_tags.csv").write_text(f"pid,units,bqml_to_suvbw_factor\nSTS-001,BQML,{SUV_PER_BQML}\n")
    (case,) = discover_cases(root)
    pet = read_suv(case)
    assert (pet.stored, pet.factor) == ("Bq/ml", SUV_PER_BQML)
    result = check_case(case, PREPARE, pictures=False)
    assert [(f.severity, f.code) for f in result.findings] == [("error", "ct"), ("info", "bqml"), ("info", "no-label")]
    crop = result.overview.crop
    assert crop is not None
    top_mm = crop["grid"]["origin_mm"][2] + (crop["grid"]["size"][2] - 0.5) * crop["grid"]["spacing_mm"][2]
    assert top_mm == pytest.approx(pet.grid.bounds_mm()[1][2], abs=5)


def test_the_converted_pet_has_the_suv_that_others_found(whole_body, realdata_dir):
    """SOFT-001 is the same patient, cropped and converted by others: its PET lies inside the whole body."""
    home = realdata_dir / "sts_petct" / "Task 1" / "SOFT-001"
    others = read_suv(Case("SOFT-001", home / "SOFT-001__CT.nii.gz", home / "SOFT-001__PT.nii.gz", None))
    whole = read_suv(Case("STS-001", whole_body, whole_body, None, suv_factor=SUV_PER_BQML))
    index = np.rint(whole.grid.to_index(others.grid.to_physical([0, 0, 0]))).astype(int)[::-1]
    part = whole.suv[tuple(slice(start, start + n) for start, n in zip(index, others.suv.shape, strict=True))]
    assert part.shape == others.suv.shape
    np.testing.assert_allclose(part, others.suv, atol=0.02 * SUV_MAX_IN_MASS)
