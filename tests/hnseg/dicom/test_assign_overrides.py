"""A row of a table belongs to one study, and one that belongs to none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnseg.dicom.assign_overrides import assign_overrides
from hnseg.dicom.case_ids import StudySource
from hnseg.suv.overrides import PetOverrides

TABLE = Path("tags.csv")
ONE, OTHER = PetOverrides(weight_kg=50.0), PetOverrides(weight_kg=60.0)
SOURCES = (
    StudySource(1, "x", (), frozenset({"P-a"})),
    StudySource(2, "y", (), frozenset({"P-a"})),
    StudySource(3, "z", (), frozenset({"P-b"})),
)
IDS = {1: "case-001", 2: "case-002", 3: "case-003"}


@pytest.mark.parametrize("key", ["case-003", "P-b"])
def test_a_row_is_found_by_case_id_and_by_patient_id(key):
    assert assign_overrides(SOURCES, IDS, {key: ONE}, TABLE) == ({3: ONE}, {}, ())


def test_a_patient_with_two_studies_cannot_have_one_dose():
    own, problems, unused = assign_overrides(SOURCES, IDS, {"P-a": ONE, "case-003": OTHER}, TABLE)
    assert own == {3: OTHER}
    assert problems.keys() == {1, 2}
    assert all("tags.csv" in text and "2 studies" in text and "P-a" not in text for text in problems.values())
    assert unused == ()


def test_two_rows_for_one_study_are_a_problem():
    own, problems, _ = assign_overrides(SOURCES, IDS, {"P-b": ONE, "case-003": OTHER}, TABLE)
    assert own == {}
    assert problems.keys() == {3}


def test_rows_that_name_no_study_are_counted_and_not_quoted():
    own, problems, (message,) = assign_overrides(SOURCES, IDS, {"P-c": ONE, "case-003": OTHER, "case-04": ONE}, TABLE)
    assert (own, problems) == ({3: OTHER}, {})
    assert "2 of 3" in message
    assert "P-c" not in message


def test_a_study_without_an_id_gets_nothing():
    own, problems, unused = assign_overrides(SOURCES, {1: "case-001"}, {"P-b": ONE}, TABLE)
    assert (own, problems) == ({}, {})
    assert len(unused) == 1
