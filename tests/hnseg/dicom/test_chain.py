"""What hnseg dicom writes goes through check and prepare like any other cohort."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.check.check_cohort import check_cohort
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.dicom.convert import convert_dicom
from hnseg.errors import CohortError
from hnseg.images.image_io import read_image
from hnseg.preprocessing.harmonization import NoHarmonization
from hnseg.preprocessing.prepare_case import prepare_case
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.prepare import PrepareConfig
from tests.facts import raises_naming
from tests.hnseg.dicom import phantoms, studies

COARSE = PrepareConfig(spacing_mm=6.25, harmonization="none")


def prepared(root, home):
    check_cohort(root, COARSE, work=home)
    (case,) = load_check(home).cases
    assert case.pet_unit == "SUV"
    folder = home / "prepared" / case.id
    prepare_case(case.as_case(), COARSE, folder, NoHarmonization())
    return open_case(folder)


def test_a_folder_of_dicom_is_no_cohort_and_the_message_says_how_to_make_one(tmp_path):
    phantoms.make_ct(tmp_path / "in" / "series", shape=(2, 4, 4))
    with raises_naming(CohortError, tmp_path / "in", "hnseg dicom"):
        discover_cases(tmp_path / "in")


def test_dicom_and_nifti_of_the_same_images_are_prepared_alike(make_case, tmp_path):
    """A ball of water with a hot lesion, as NIfTI in SUV and as DICOM in Bq/ml."""
    root = make_case(root=tmp_path / "nifti")
    home = root / "Task 1" / "ONE-001"
    images = {
        kind: read_image(home / f"ONE-001{suffix}.nii.gz", "x") for kind, suffix in (("ct", "__CT"), ("pet", "__PT"))
    }
    for kind, make in (("ct", phantoms.make_ct), ("pet", phantoms.make_pet)):
        values, grid = images[kind]
        unit = studies.FACTOR if kind == "pet" else 1.0
        center = tuple(grid.to_physical((np.array(grid.size) - 1) / 2))
        options = {"slopes": 1.0} if kind == "pet" else {}
        make(
            tmp_path / "in" / kind,
            values=values / unit,
            shape=grid.shape,
            spacing_mm=grid.spacing_mm,
            center_mm=center,
            **options,
        )
    assert convert_dicom(tmp_path / "in", tmp_path / "out").failures == ()
    expected, made = prepared(root, tmp_path / "a"), prepared(tmp_path / "out", tmp_path / "b")
    np.testing.assert_allclose(made.image[:], expected.image[:], atol=2e-3)
    assert made.record.suv_factor == 1.0
    assert made.image[1].max() == pytest.approx(expected.image[1].max(), abs=2e-3)
