"""A row of a table belongs to one study, and one that belongs to none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnseg.dicom.assign_overrides import assign_overrides
from hnseg.suv.overrides import PetOverrides

TABLE = Path("tags.csv")
ONE, OTHER = PetOverrides(weight_kg=50.0), PetOverrides(weight_kg=60.0)
PATIENTS = {1: frozenset({"P-a"}), 2: frozenset({"P-a"}), 3: frozenset({"P-b"})}
IDS = {1: "case-001", 2: "case-002", 3: "case-003"}


@pytest.mark.parametrize("key", ["case-003", "P-b"])
def test_a_row_is_found_by_case_id_and_by_patient_id(key):
    assert assign_overrides(PATIENTS, IDS, {key: ONE}, TABLE) == ({3: ONE}, {}, ())


def test_a_patient_with_two_studies_cannot_have_one_dose():
    own, problems, unused = assign_overrides(PATIENTS, IDS, {"P-a": ONE, "case-003": OTHER}, TABLE)
    assert own == {3: OTHER}
    assert problems.keys() == {1, 2}
    assert all("tags.csv" in text and "2 studies" in text and "P-a" not in text for text in problems.values())
    assert unused == ()


def test_two_rows_for_one_study_are_a_problem():
    own, problems, _ = assign_overrides(PATIENTS, IDS, {"P-b": ONE, "case-003": OTHER}, TABLE)
    assert own == {}
    assert problems.keys() == {3}


def test_rows_that_name_no_study_are_counted_and_not_quoted():
    own, problems, (message,) = assign_overrides(PATIENTS, IDS, {"P-c": ONE, "case-003": OTHER, "case-04": ONE}, TABLE)
    assert (own, problems) == ({3: OTHER}, {})
    assert "2 of 3" in message
    assert "P-c" not in message


def test_a_study_without_a_case_id_is_found_by_patient_id():
    assert assign_overrides(PATIENTS, {1: "case-001"}, {"P-b": ONE}, TABLE) == ({3: ONE}, {}, ())
    own, _, unused = assign_overrides(PATIENTS, {}, {"case-001": ONE}, TABLE)
    assert (own, len(unused)) == ({}, 1)
