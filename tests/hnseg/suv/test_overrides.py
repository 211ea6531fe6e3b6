"""What a table says replaces what a header says, and is noted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from hnseg.suv.conversion import compute_suv_conversion
from hnseg.suv.overrides import PetOverrides, apply_overrides
from tests.hnseg.suv.headers import AT_SCAN, SCANNED, make_beds, make_header


def test_an_empty_table_changes_nothing():
    header = make_header()
    assert apply_overrides(header, None) is header
    assert apply_overrides(header, PetOverrides()) == header


def test_each_value_of_a_table_replaces_its_own():
    values = {
        "suv_factor": 3e-4,
        "dose_at_reference_bq": 2e8,
        "weight_kg": 80.0,
        "height_m": 1.8,
        "sex": "F",
        "dose_bq": 4e8,
        "half_life_s": 6588.0,
    }
    for name, value in values.items():
        header = apply_overrides(make_header(), PetOverrides(**{name: value}))
        assert header == make_header(**{name: value}, notes=header.notes)
        assert len(header.notes) == 1
        assert str(value) in header.notes[0]


def test_a_time_of_the_table_is_on_the_day_of_the_first_acquisition_or_the_day_before():
    """09:00 is one half-life before the scan, whatever date the header states; after midnight it is the day before."""
    late = make_header(injection_time=datetime(2020, 1, 2, 10, 35), series_time=datetime(2020, 1, 3))
    header = apply_overrides(replace(late, slices=make_beds()), PetOverrides(injection_time="09:00:00"))
    assert compute_suv_conversion(header).factor == pytest.approx(AT_SCAN)
    (note,) = header.notes
    assert "09:00:00" in note
    assert "10:35:00" in note
    assert "2020" not in note
    scan = SCANNED.replace(hour=1, minute=19)
    night = make_header(injection_time=None, series_time=scan, slices=make_beds(first=scan))
    header = apply_overrides(night, PetOverrides(injection_time="23:30:00"))
    assert compute_suv_conversion(header).factor == pytest.approx(AT_SCAN)


@pytest.mark.parametrize("computed", [{"suv_factor": 3e-4}, {"dose_at_reference_bq": 2e8}])
def test_values_of_the_administration_are_not_applied_where_nothing_depends_on_them(computed):
    table = PetOverrides(**computed, dose_bq=4e8, half_life_s=6588.0, injection_time="09:00:00")
    assert apply_overrides(make_header(), table) == apply_overrides(make_header(), PetOverrides(**computed))


def test_columns_that_are_not_used_are_named():
    (note,) = apply_overrides(make_header(), PetOverrides(unread_columns=("dose_mbq", "weight"))).notes
    assert "dose_mbq, weight" in note
