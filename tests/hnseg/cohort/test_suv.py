"""Units: Bq/ml becomes SUV once, by the cohort's table; an unknown unit is refused with the evidence."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hnseg.cohort.cases import discover_cases
from hnseg.cohort.suv import read_suv
from hnseg.cohort.suv_table import read_suv_factors
from hnseg.cohort.unit_checks import check_ct_units
from hnseg.errors import CaseError, CohortError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image
from tests.facts import raises_naming

FACTOR = 2.42903e-4
GRID = Grid((6, 5, 4), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))


@pytest.fixture
def bqml_case(make_case):
    """The hand-made case with its PET stored in Bq/ml, and no factor."""
    (case,) = discover_cases(make_case())
    pet, grid = read_image(case.pet, case.id)
    write_image(case.pet, pet / np.float32(FACTOR), grid)
    return case, pet


def test_bqml_becomes_the_suv_it_was_made_from(bqml_case):
    case, suv = bqml_case
    pet = read_suv(replace(case, suv_factor=FACTOR))
    np.testing.assert_allclose(pet.suv, suv, rtol=1e-6)
    assert (pet.stored, pet.factor, pet.suv.dtype) == ("Bq/ml", FACTOR, np.float32)
    assert "mean of" in pet.evidence


def test_bqml_without_a_factor_is_refused_with_the_evidence(bqml_case):
    case, suv = bqml_case
    mean = f"{suv[suv > 0].mean() / FACTOR:.3g}"
    with raises_naming(CaseError, "Bq/ml", "SUV", mean, 50, "suv_conversion_tags.csv", case_id=case.id, path=case.pet):
        read_suv(case)


def test_bqml_in_a_wide_field_of_faint_air_is_told_by_its_hottest_voxel(make_case):
    """Positive noise all around a small body: the mean alone would pass for SUV."""
    pet = np.full((20, 20, 20), 3.0, np.float32)
    pet[9:11, 9:11, 9:11] = 9000.0
    (case,) = discover_cases(make_case(pet=(pet, Grid((20, 20, 20), (4.0, 4.0, 4.0), (-40.0, -40.0, 40.0)))))
    with raises_naming(CaseError, "Bq/ml", "SUV", 9000, 1000, case_id=case.id, path=case.pet):
        read_suv(case)
    assert read_suv(replace(case, suv_factor=FACTOR)).stored == "Bq/ml"


def test_what_is_suv_already_is_not_converted_again(make_case):
    (case,) = discover_cases(make_case())
    before, _ = read_image(case.pet, case.id)
    pet = read_suv(replace(case, suv_factor=FACTOR))
    np.testing.assert_array_equal(pet.suv, before)
    assert (pet.stored, pet.factor) == ("SUV", 1.0)


def test_a_factor_that_does_not_lead_to_suv_is_refused(bqml_case):
    case, suv = bqml_case
    with raises_naming(CaseError, "SUV", 0.9, "suv_conversion_tags.csv", case_id=case.id, path=case.pet):
        read_suv(replace(case, suv_factor=0.9))
    peak = f"{suv.max() * FACTOR:.3g}"
    with raises_naming(CaseError, "SUV", peak, case_id=case.id, path=case.pet):
        read_suv(replace(case, suv_factor=FACTOR**2))


@pytest.mark.parametrize(
    ("values", "facts"),
    [
        (np.full(GRID.shape, 2.5), [2.5]),
        (-1 - np.arange(120.0).reshape(GRID.shape), ["-120", "-1"]),
        (np.random.default_rng(0).normal(0, 1, GRID.shape), ["-0.1", "SUV", "Bq/ml"]),
        (np.linspace(0, 0.016, 120).reshape(GRID.shape), [0.016, "SUV"]),
    ],
)
def test_what_is_no_pet_is_refused(make_case, values, facts):
    (case,) = discover_cases(make_case(pet=(values.astype(np.float32), GRID)))
    with raises_naming(CaseError, "PET", *facts, case_id=case.id, path=case.pet):
        read_suv(case)


@pytest.mark.parametrize("offset", [1000, 1024])
@pytest.mark.parametrize("padding", [0, 24, -1024])
def test_a_ct_with_its_offset_left_in_is_refused(make_case, offset, padding):
    """Padding of −1024 outside the body makes the lower end look right."""
    (case,) = discover_cases(make_case())
    ct, _ = read_image(case.ct, case.id)
    stored = np.where(ct > -500, ct + offset, padding)
    with raises_naming(CaseError, "HU + 1000", "HU + 1024", case_id=case.id, path=case.ct) as caught:
        check_ct_units(case, stored)
    assert re.search(r"\b10\d5\b", caught.value.reason)  # where its soft tissue lies


@pytest.mark.parametrize(
    ("header", "row", "factor"),
    [
        ("pid,units,bqml_to_suvbw_factor", "ONE-001,BQML,0.00025", 2.5e-4),
        ("PID,patient_weight_kg,dose_for_suv_bq", "ONE-001,80,3.2e8", 2.5e-4),  # 80 000 g / 3.2e8 Bq
        ("patient_id,patient_weight_kg,dose_for_suv_bq,bqml_to_suvbw_factor", "ONE-001,80,3.2e8,2.5e-4", 2.5e-4),
        ("PatientID,SUVFactor", "ONE-001,2.5e-4", 2.5e-4),
        ("pid,patient_weight_kg,decay_corrected_dose_bq,suv_factor", "ONE-001,,,2.5e-4", 2.5e-4),
    ],
)
def test_factors_are_read_or_computed(tmp_path, header, row, factor):
    path = tmp_path / "suv_conversion_tags.csv"
    path.write_text(f"{header}\n{row}\n")
    assert read_suv_factors(path) == {"ONE-001": pytest.approx(factor, rel=1e-12)}


def test_the_table_is_found_beside_the_images_and_reaches_the_case(make_case):
    root = make_case()
    for place in (root, root / "Task 1"):
        (place / "suv_conversion_tags.csv").write_text("pid,bqml_to_suvbw_factor\nONE-001,3e-4\n")
        assert discover_cases(root)[0].suv_factor == 3e-4
        (place / "suv_conversion_tags.csv").unlink()
    assert discover_cases(root)[0].suv_factor is None


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("name,factor\nONE-001,1\n", ["name, factor;", "pid", "bqml_to_suvbw_factor"]),
        ("pid,suv_factor\nONE-001,2e-4\nONE-001,2e-4\n", ["line 3", "ONE-001"]),
        ("pid,suv_factor\n,2e-4\n", ["line 2", "ID"]),
        ("pid,suv_factor\nONE-001,-1\n", ["line 2", "ONE-001", "suv_factor", "-1"]),
        ("pid,suv_factor\nONE-001,nan\n", ["line 2", "ONE-001", "suv_factor", "nan"]),
        ("pid,suv_factor\nONE-001,abc\n", ["line 2", "ONE-001", "suv_factor", "point"]),
        ("pid,suv_factor\nONE-001,\n", ["line 2", "ONE-001", "factor", "weight", "dose"]),
        ("pid,units,suv_factor\nONE-001,CNTS,2e-4\n", ["line 2", "ONE-001", "units", "BQML"]),
        (
            "pid,patient_weight_kg,dose_for_suv_bq,suv_factor\nONE-001,80,3.2e8,3e-4\n",
            ["line 2", "ONE-001", "0.0003", "0.00025", "80 kg", "3.2e+08 Bq"],
        ),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, facts):
    path = tmp_path / "suv_conversion_tags.csv"
    path.write_text(text)
    with raises_naming(CohortError, *facts, path=path):
        read_suv_factors(path)
