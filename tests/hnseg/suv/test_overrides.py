"""What a table says replaces what a header says, and is noted."""

from __future__ import annotations

from hnseg.suv.overrides import PetOverrides, apply_overrides
from tests.hnseg.suv.headers import make_header


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
