"""What a conversion says about itself: inputs, notes, and what contradicts itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hnseg.errors import SuvError
from hnseg.suv.conversion import compute_suv_conversion
from hnseg.suv.pet_header import PetHeader
from tests.hnseg.suv.headers import AT_SCAN, make_beds, make_header


def test_inputs_are_what_was_used_and_go_into_json():
    """Times of day without a date."""
    found = compute_suv_conversion(make_header())
    assert found.factor == pytest.approx(AT_SCAN)
    assert json.loads(json.dumps(dict(found.inputs))) == {
        "Units": "BQML",
        "PatientWeight": 70.0,
        "DecayCorrection": "START",
        "RadionuclideTotalDose": 350e6,
        "RadionuclideHalfLife": 6586.2,
        "RadiopharmaceuticalStartTime": "09:00:00",
        "reference": "SeriesTime",
        "reference_time": "10:49:46.2",
        "decay_s": 6586.2,
    }
    assert "2020" not in repr(found)


@pytest.mark.parametrize(
    ("kind", "used"),
    [
        ("bw", {"PatientWeight"}),
        ("lbm", {"PatientWeight", "PatientSize", "PatientSex"}),
        ("bsa", {"PatientWeight", "PatientSize"}),
        ("ibw", {"PatientSize", "PatientSex"}),
    ],
)
def test_inputs_name_the_sizes_that_the_kind_needs(kind, used):
    inputs = compute_suv_conversion(make_header(), kind).inputs
    assert {name for name in inputs if name.startswith("Patient")} == used


def test_slices_with_factors_of_their_own_share_none():
    beds = make_beds()
    header = make_header(decay_correction="NONE", corrected_image=("ATTN",), slices=beds)
    found = compute_suv_conversion(header)
    assert found.factor is None
    assert list(found.factors) == sorted(set(found.factors))  # later beds have decayed more


def test_unusual_headers_are_noted_and_usual_ones_are_not():
    usual = make_header(slices=make_beds(decay_factor=lambda offset_s: 2 ** ((offset_s + 59.9) / 6586.2)))
    assert compute_suv_conversion(usual).notes == ()
    for change in (
        {"has_injection_date": False},
        {"corrected_image": ()},
        {"nuclide": None},
        {"half_life_s": 6600.0},
        {"weight_kg": 156.0},
        {"dose_bq": 3.9e9},
        {"notes": ("from the table",)},
    ):
        assert len(compute_suv_conversion(replace(usual, **change)).notes) == 1, change
    assert compute_suv_conversion(make_header(units="GML")).notes  # which kind of SUV is not stated


def test_philips_factors_that_differ_from_dose_and_weight_are_noted():
    """1.5 Bq/ml a count × 4e-4 = 6e-4 SUV a count."""
    for factor, noted in ((6e-4, False), (6.05e-4, False), (7e-4, True), (6e-3, True)):
        slices = make_beds(philips_suv_factor=factor, philips_activity_factor=1.5)
        found = compute_suv_conversion(make_header(units="CNTS", slices=slices))
        assert (found.factor, bool(found.notes)) == (factor, noted)


@pytest.mark.parametrize(
    "changes",
    [
        {"units": "GML"},
        {"suv_factor": 4e-4},
        {"dose_at_reference_bq": 175e6},
        {"units": "CNTS", "slices": make_beds(philips_suv_factor=6e-4)},
    ],
)
def test_dose_in_mbq_is_refused_where_no_dose_is_used(changes):
    with pytest.raises(SuvError) as caught:
        compute_suv_conversion(make_header(**changes), dose_in_mbq=True)
    assert caught.value.tag == "RadionuclideTotalDose"


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"suv_factor": 0.0}, "bqml_to_suvbw_factor"),
        ({"suv_factor": 243.0}, "bqml_to_suvbw_factor"),
        ({"suv_factor": 4e-4, "units": "CNTS"}, "Units"),
        ({"dose_at_reference_bq": 175.0}, "dose_for_suv_bq"),
        ({"dose_at_reference_bq": 175e6, "decay_correction": "NONE", "corrected_image": ("ATTN",)}, "DecayCorrection"),
    ],
)
def test_tables_that_do_not_fit_are_refused(changes, tag):
    with pytest.raises(SuvError) as caught:
        compute_suv_conversion(make_header(**changes))
    assert caught.value.tag == tag


def test_other_kinds_and_empty_series_are_errors_of_the_caller():
    with pytest.raises(ValueError, match="kind"):
        compute_suv_conversion(make_header(), "lean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="slice"):
        PetHeader(units="BQML", slices=())
