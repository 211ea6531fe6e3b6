"""Notes on what is possible and unlikely, with the number; nothing on what is usual."""

from __future__ import annotations

import math

import pytest

from hnseg.suv.plausibility import note_inputs, note_largest_suv
from tests.hnseg.suv.headers import make_header


@pytest.mark.parametrize(
    ("weight_kg", "height_m", "facts"),
    [
        (70.0, 1.75, None),
        (3.4, 0.5, None),  # a newborn: 13.6
        (120.0, 1.7, None),  # 41.5
        (156.0, 1.63, ["58.7", "156 kg", "1.63 m", "26.6"]),  # 156 / 1.63² = 58.71; 70.76 kg would be 26.63
        (30.0, 1.75, ["9.8", "30 kg"]),
        (240.0, 2.4, ["240 kg", "227 kg"]),  # 41.7
        (240.0, None, ["240 kg", "227 kg"]),
        (156.0, None, None),
        (156.0, 163.0, None),  # a height that body weight does not need, and that is not one
    ],
)
def test_weights(weight_kg, height_m, facts):
    header = make_header(weight_kg=weight_kg, height_m=height_m)
    notes = note_inputs(header, {"PatientWeight": weight_kg})
    assert [all(fact in note for fact in facts or ()) for note in notes] == [True] * (facts is not None)
    assert note_inputs(header, {}) == ()  # the SUV does not depend on it


@pytest.mark.parametrize(
    ("dose_bq", "nuclide", "facts"),
    [
        (350e6, "18F", None),
        (3.9e9, "18F", ["3900 MBq", "1000 MBq"]),
        (4e6, "18F", ["4 MBq", "10 to"]),
        (2.2e9, "82Rb", None),
        (3.9e9, None, None),
    ],
)
def test_doses(dose_bq, nuclide, facts):
    notes = note_inputs(make_header(nuclide=nuclide), {"RadionuclideTotalDose": dose_bq})
    assert [all(fact in note for fact in facts or ()) for note in notes] == [True] * (facts is not None)


@pytest.mark.parametrize(
    ("uptake_s", "nuclide", "count"), [(3600.0, "18F", 0), (0.0, "18F", 1), (0.0, "82Rb", 0), (None, "18F", 0)]
)
def test_uptake_times(uptake_s, nuclide, count):
    inputs = {} if uptake_s is None else {"decay_s": uptake_s}
    notes = note_inputs(make_header(nuclide=nuclide), inputs)
    assert len(notes) == count
    assert all(f"{uptake_s:.0f} s" in note for note in notes)


@pytest.mark.parametrize("is_converted", [True, False])
def test_largest_suv(is_converted):
    for usual in (0.5, 7.91, 21.68, 1000.0):
        assert note_largest_suv(usual, is_converted=is_converted) is None
    for unusual in (0.005, 21643.0, math.nan):
        note = note_largest_suv(unusual, is_converted=is_converted)
        assert note is not None
        assert f"{unusual:g}" in note
        assert ("already" in note) == (not is_converted)
