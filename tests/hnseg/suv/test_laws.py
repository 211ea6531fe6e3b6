"""Laws of the conversion: scaling, shifts of time, one object in three modes of decay correction, and bad headers."""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hnseg.errors import SuvError
from hnseg.suv.body_size import KINDS, compute_body_size
from hnseg.suv.conversion import compute_suv_conversion
from hnseg.suv.pet_header import PetHeader, PetSlice
from tests.hnseg.suv.headers import HALF_LIFE_S, INJECTED, SCANNED, make_beds, make_header

quick = settings(max_examples=60, deadline=None)
scales = st.floats(0.5, 2)
modes = st.sampled_from(["START", "ADMIN", "NONE"])
uptakes_s = st.floats(1, 5 * HALF_LIFE_S)


def header_of(mode, uptake_s=HALF_LIFE_S, **changes):
    """Three beds; the first one begins ``uptake_s`` after the administration."""
    first = INJECTED + timedelta(seconds=uptake_s)
    done = ("ATTN",) if mode == "NONE" else ("ATTN", "DECY")
    header = make_header(decay_correction=mode, corrected_image=done, series_time=first, slices=make_beds(first=first))
    return replace(header, **changes)


def factors(header, kind="bw"):
    return compute_suv_conversion(header, kind).factors


@quick
@given(modes, scales, scales)
def test_suv_is_proportional_to_weight_and_inverse_to_dose(mode, weight, dose):
    header = header_of(mode)
    scaled = replace(header, weight_kg=70 * weight, dose_bq=350e6 * dose)
    assert factors(scaled) == pytest.approx([factor * weight / dose for factor in factors(header)], rel=1e-12)


@quick
@given(modes, st.timedeltas(timedelta(days=-3650), timedelta(days=3650)))
def test_only_differences_of_times_count(mode, shift):
    header = header_of(mode)
    slices = tuple(replace(part, acquisition_time=part.acquisition_time + shift) for part in header.slices)
    shifted = replace(header, injection_time=INJECTED + shift, series_time=header.series_time + shift, slices=slices)
    assert factors(shifted) == factors(header)


@quick
@given(modes, st.floats(1, 4 * HALF_LIFE_S))
def test_another_half_life_of_uptake_doubles_the_factor_unless_decay_is_corrected_to_the_injection(mode, uptake_s):
    later = factors(header_of(mode, uptake_s + HALF_LIFE_S))
    ratio = 1 if mode == "ADMIN" else 2
    assert later == pytest.approx([ratio * factor for factor in factors(header_of(mode, uptake_s))], rel=1e-9)


@quick
@given(uptakes_s, st.floats(1, 3600), st.floats(0.1, 30))
def test_one_object_has_one_suv_in_each_mode_of_decay_correction(uptake_s, frame_s, suv):
    """The mean over a frame is the integral of 2^(−t/T) over it: (1 − 2^(−Δ/T)) T / (ln 2 Δ) of its start."""
    at_injection = suv * 350e6 / 70_000
    at_scan = at_injection * 2 ** (-uptake_s / HALF_LIFE_S)
    mean = at_scan * (1 - 2 ** (-frame_s / HALF_LIFE_S)) * HALF_LIFE_S / (math.log(2) * frame_s)
    beds = make_beds(1, INJECTED + timedelta(seconds=uptake_s), frame_duration_s=frame_s)
    for mode, value in (("ADMIN", at_injection), ("START", at_scan), ("NONE", mean)):
        (factor,) = factors(header_of(mode, uptake_s, slices=beds))
        assert value * factor == pytest.approx(suv, rel=1e-8)


@quick
@given(modes, st.permutations(range(3)))
def test_factors_belong_to_their_slices(mode, order):
    header = header_of(mode)
    mixed = replace(header, slices=tuple(header.slices[index] for index in order))
    assert factors(mixed) == tuple(factors(header)[index] for index in order)


@quick
@given(modes, st.sampled_from(KINDS), st.floats(30, 180), st.floats(1.4, 2.1), st.sampled_from("MF"))
def test_kinds_of_suv_are_to_each_other_as_the_sizes(mode, kind, weight, height, sex):
    """In Bq/ml, in counts and in g/ml."""
    body = {"weight_kg": weight, "height_m": height, "sex": sex}
    header = header_of(mode, **body)
    ratio = compute_body_size(header, kind)[0] / (1000 * weight)
    counts = tuple(replace(part, philips_suv_factor=5e-4) for part in header.slices)
    for other in (header, replace(header, units="GML"), replace(header, units="CNTS", slices=counts)):
        assert factors(other, kind) == pytest.approx([ratio * factor for factor in factors(other)], rel=1e-12)


@quick
@given(st.sampled_from(KINDS), st.sampled_from(KINDS))
def test_the_way_back_of_a_conversion_of_suv_is_its_inverse(stored, kind):
    names = {"bw": "BW", "lbm": "LBMJANMA", "bsa": "BSA", "ibw": "IBW"}

    def convert(before, after):
        unit = "CM2ML" if before == "bsa" else "GML"
        return compute_suv_conversion(make_header(units=unit, suv_type=names[before]), after)

    forth, back = convert(stored, kind), convert(kind, stored)
    assert forth.factor * back.factor == pytest.approx(1)
    assert forth.is_converted == (stored != kind)
    assert forth.factor == 1 or stored != kind


@quick
@given(modes, st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_philips_activity_factors_are_those_of_bq_per_ml_times_the_factor(mode, scale):
    header = header_of(mode)
    slices = [replace(part, philips_activity_factor=one) for part, one in zip(header.slices, scale, strict=True)]
    expected = [one * factor for one, factor in zip(scale, factors(header), strict=True)]
    assert factors(replace(header, units="CNTS", slices=tuple(slices))) == pytest.approx(expected, rel=1e-12)


@quick
@given(
    st.floats(1, 5 * HALF_LIFE_S), st.floats(0, 7200), st.sampled_from([None, "decay_factor", "frame_reference_time_s"])
)
def test_a_later_series_time_changes_nothing(uptake_s, late_s, evidence):
    """Reconstructed again: with whatever the slices state about the time that they are corrected to."""
    values = {
        None: {},
        "decay_factor": {"decay_factor": lambda offset_s: 2 ** ((offset_s + 30) / HALF_LIFE_S)},
        "frame_reference_time_s": {"frame_reference_time_s": lambda offset_s: offset_s},
    }
    first = INJECTED + timedelta(seconds=uptake_s)
    header = header_of("START", uptake_s, slices=make_beds(first=first, **values[evidence]))
    late = replace(header, series_time=first + timedelta(seconds=late_s))
    same_within_a_second = 2 ** (1.001 / HALF_LIFE_S) - 1  # a second, and what rounding adds
    assert factors(late) == pytest.approx(factors(header), rel=same_within_a_second)


any_float = st.none() | st.floats() | st.sampled_from([0.0, 1.0, 70.0, 350.0, 6586.2, 350e6])
any_time = st.none() | st.datetimes() | st.sampled_from([INJECTED, SCANNED])
any_slice = st.builds(
    PetSlice,
    **{part.name: any_time if part.name == "acquisition_time" else any_float for part in fields(PetSlice)},
)
GOOD = make_header(slices=make_beds(decay_factor=1.01, frame_reference_time_s=0.0))
FIELDS = {
    "units": st.sampled_from([None, "", "BQML", "CNTS", "GML", "CM2ML", "PROPCPS", "bqml", "x"]),
    "decay_correction": st.sampled_from([None, "", "START", "ADMIN", "NONE", "x"]),
    "suv_type": st.sampled_from([None, "", "BW", "LBM", "LBMJANMA", "BSA", "IBW", "x"]),
    "corrected_image": st.sampled_from([(), ("ATTN",), ("DECY",), ("ATTN", "DECY")]),
    "weight_kg": any_float,
    "height_m": any_float,
    "sex": st.sampled_from([None, "M", "F", "O", "x"]),
    "dose_bq": any_float,
    "half_life_s": any_float,
    "nuclide": st.sampled_from([None, "18F", "68Ga", "x"]),
    "injection_time": any_time,
    "has_injection_date": st.booleans(),
    "series_time": any_time,
    "private_scan_time": any_time,
    "suv_factor": any_float,
    "dose_at_reference_bq": any_float,
    "slices": st.lists(any_slice, min_size=1, max_size=3).map(tuple),
}


@settings(max_examples=200, deadline=None)
@given(
    st.sets(st.sampled_from(sorted(FIELDS)), max_size=5).flatmap(
        lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in sorted(names)})
    ),
    st.sampled_from(KINDS),
    st.booleans(),
)
def test_any_header_has_finite_factors_or_is_refused(changes, kind, dose_in_mbq):
    header: PetHeader = replace(GOOD, **changes)
    with contextlib.suppress(SuvError):
        found = compute_suv_conversion(header, kind, dose_in_mbq=dose_in_mbq)
        assert len(found.factors) == len(header.slices)
        assert all(0 < factor < math.inf for factor in found.factors)
        assert found.is_converted or found.factor == 1


WORDS = {"×": "*", "^": "**", "−": "-", " kg": "*1000", "Bq/ml": "1", "value": "1", "counts": "1"}
UNITS = re.compile(r"(?<=[\d)]) (Bq/ml|Bq|cm²|s)")


@quick
@given(
    modes, st.sampled_from(KINDS), st.sampled_from(["BQML", "GML", "CM2ML", "activity", "suv"]), st.sampled_from("MF")
)
def test_the_formula_gives_the_factor_of_the_first_slice(mode, kind, unit, sex):
    header = header_of(mode, 4321.5, sex=sex, units=unit if unit.isupper() else "CNTS")
    if unit in ("activity", "suv"):
        slices = tuple(replace(part, **{f"philips_{unit}_factor": 0.3}) for part in header.slices)
        header = replace(header, slices=slices)
    found = compute_suv_conversion(header, kind)
    text = UNITS.sub("", found.formula.split(" = ")[1])
    for word, code in WORDS.items():
        text = text.replace(word, code)
    assert set(text) <= set("0123456789.e+-*/() "), text
    assert eval(text) == pytest.approx(found.factors[0], rel=1e-5)
