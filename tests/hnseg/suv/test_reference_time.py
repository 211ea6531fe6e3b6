"""The time that values are corrected to: candidates, and the numbers of the slices that decide between them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from hnseg.errors import SuvError
from hnseg.suv.conversion import compute_suv_conversion
from hnseg.suv.dose import DAY_S
from hnseg.suv.frame_time import average_activity_time_s
from hnseg.suv.pet_header import PetSlice
from hnseg.suv.reference_time import compare_administration, find_reference_time, find_slice_times
from tests.hnseg.suv.headers import AT_INJECTION, BED_S, HALF_LIFE_S, SCANNED, make_beds, make_header

MIDDLE_S = 59.937  # of average activity in a frame of 120 s: 60 − ln 2 × 120² / (24 × 6586.2)


def find(**changes):
    """Source and seconds since the first acquisition of the reference time."""
    found = find_reference_time(make_header(**changes), HALF_LIFE_S)
    return found.source, (found.time - SCANNED).total_seconds()


def decay_factors(since_s):
    """Of beds whose values are corrected by ``since_s`` and the time to the middle of the frame."""
    return make_beds(decay_factor=lambda offset_s: 2 ** ((since_s + offset_s + MIDDLE_S) / HALF_LIFE_S))


def reference_times(since_s):
    """As GE writes them: from the reference to the start of the bed."""
    return make_beds(frame_reference_time_s=lambda offset_s: since_s + offset_s)


def seconds(value):
    return SCANNED + timedelta(seconds=value)


def test_time_of_average_activity():
    """By the series T/2 − λT²/24, and for a frame of one half-life by hand: log2(ln 2 / (1 − 1/2)) half-lives."""
    assert average_activity_time_s(BED_S, HALF_LIFE_S) == pytest.approx(MIDDLE_S, abs=1e-3)
    assert average_activity_time_s(HALF_LIFE_S, HALF_LIFE_S) == pytest.approx(0.47123362 * HALF_LIFE_S, rel=1e-7)


@pytest.mark.parametrize(
    ("series_s", "private_s", "expected"),
    [
        (0.0, None, ("SeriesTime", 0.0)),
        (-90.0, None, ("SeriesTime", -90.0)),  # prepared, then scanned
        (0.9, None, ("SeriesTime", 0.9)),  # acquisition time with a rounding error
        (1500.0, None, ("AcquisitionTime", 0.0)),  # reconstructed later
        (-90.0, -5.0, ("SeriesTime", -90.0)),
        (1500.0, -5.0, ("GE private (0009,100d)", -5.0)),
        (None, None, ("AcquisitionTime", 0.0)),
        (None, -5.0, ("GE private (0009,100d)", -5.0)),
    ],
)
def test_series_time_counts_unless_the_series_was_made_later(series_s, private_s, expected):
    series = None if series_s is None else seconds(series_s)
    private = None if private_s is None else seconds(private_s)
    assert find(series_time=series, private_scan_time=private, slices=make_beds()) == expected


def test_the_first_bed_counts_wherever_its_slice_is():
    beds = make_beds()
    assert find(series_time=seconds(1500), slices=(beds[2], beds[0], beds[1])) == ("AcquisitionTime", 0.0)


def test_a_series_without_acquisition_times_has_its_own():
    assert find(slices=(PetSlice(), PetSlice())) == ("SeriesTime", 0.0)
    with pytest.raises(SuvError) as caught:
        find(series_time=None, slices=(PetSlice(),))
    assert caught.value.tag == "SeriesTime"


@pytest.mark.parametrize("evidence", [decay_factors, reference_times])
@pytest.mark.parametrize(
    ("since_s", "private_s", "expected"),
    [
        (240.0, None, ("SeriesTime", -240.0)),  # agrees with the series time
        (0.0, None, ("AcquisitionTime", 0.0)),  # the series was prepared 240 s before the first bed
        (100.0, -100.0, ("GE private (0009,100d)", -100.0)),
        (-20.0, None, ("AcquisitionTime", 0.0)),  # within the tolerance
    ],
)
def test_numbers_of_the_slices_decide_between_the_times(evidence, since_s, private_s, expected):
    private = None if private_s is None else seconds(private_s)
    changes = {"series_time": seconds(-240), "private_scan_time": private, "slices": evidence(since_s)}
    assert find(**changes) == expected
    found = find_reference_time(make_header(**changes), HALF_LIFE_S)
    assert bool(found.notes) == (expected[0] != "SeriesTime")


def test_evidence_of_the_slices_may_contradict_every_time():
    """Decay factors are what the scanner multiplied by: refused. Frame reference times differ by vendor: noted."""
    with pytest.raises(SuvError) as caught:
        find(slices=decay_factors(1800.0))
    assert caught.value.tag == "DecayFactor"
    assert "1800" in str(caught.value) or "1770" in str(caught.value) or "1740" in str(caught.value)
    assert find(slices=reference_times(1300.0)) == ("SeriesTime", 0.0)
    with pytest.raises(SuvError) as caught:
        find(series_time=seconds(1500), slices=reference_times(1300.0))
    assert caught.value.tag == "FrameReferenceTime"


def test_decay_factors_of_exactly_one_in_several_beds_are_placeholders():
    """Some exports write 1 everywhere; then the frame reference times are the evidence."""
    beds = make_beds(decay_factor=1.0, frame_reference_time_s=lambda offset_s: 240 + offset_s)
    assert find(series_time=seconds(-240), slices=beds) == ("SeriesTime", -240.0)
    assert find(series_time=seconds(-240), slices=beds[:1]) == ("AcquisitionTime", 0.0)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_impossible_decay_factors_are_refused(factor):
    with pytest.raises(SuvError) as caught:
        find(slices=make_beds(decay_factor=factor))
    assert caught.value.tag == "DecayFactor"


def test_without_decay_correction_each_slice_has_the_time_of_its_frame():
    times = find_slice_times(make_header(slices=make_beds()), HALF_LIFE_S)
    since_s = [(time - SCANNED).total_seconds() for time in times]
    assert since_s == pytest.approx([MIDDLE_S, 120 + MIDDLE_S, 240 + MIDDLE_S], abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"acquisition_time": None}, "AcquisitionTime"),
        ({"frame_duration_s": None}, "ActualFrameDuration"),
        ({"frame_duration_s": 0.0}, "ActualFrameDuration"),
        ({"frame_duration_s": math.nan}, "ActualFrameDuration"),
        # three beds, one acquisition time: it is not known when each was acquired
        ({"acquisition_time": SCANNED, "frame_reference_time_s": lambda offset_s: offset_s}, "AcquisitionTime"),
    ],
)
def test_without_decay_correction_nothing_is_assumed_about_frames(changes, tag):
    with pytest.raises(SuvError) as caught:
        find_slice_times(make_header(slices=make_beds(**changes)), HALF_LIFE_S)
    assert caught.value.tag == tag


@pytest.mark.parametrize(("since_s", "expected"), [(25.0, "SeriesTime"), (1.0, "SeriesTime"), (0.0, "AcquisitionTime")])
def test_seconds_count_for_a_short_half_life(since_s, expected):
    """82Rb: 25 s are a quarter of the SUV. The series was prepared 25 s before the bed, or not more than 2 s."""
    half_life_s, series_s = 76.38, 1.0 if since_s == 1 else 25.0
    beds = make_beds(1, decay_factor=2 ** (since_s / half_life_s), frame_duration_s=None)
    header = make_header(series_time=seconds(-series_s), slices=beds)
    assert find_reference_time(header, half_life_s).source == expected


@pytest.mark.parametrize(
    ("since_s", "injected_s", "dated", "expected"),
    [
        # corrected to the administration, as ADMIN says
        (HALF_LIFE_S, -HALF_LIFE_S, True, []),
        (HALF_LIFE_S, DAY_S - HALF_LIFE_S, False, []),  # a time without a date, before midnight
        # corrected to the start of the scan
        (0.0, -HALF_LIFE_S, True, ["6586 s before"]),
        (0.0, DAY_S - HALF_LIFE_S, False, ["6586 s before"]),
        (0.0, 3600.0, True, ["3600 s after"]),
        # the administration after the scan, and no decay factors
        (None, 3600.0, True, ["3600 s after"]),
        (None, -HALF_LIFE_S, True, []),
    ],
)
@pytest.mark.parametrize("units", ["BQML", "GML"])
def test_what_contradicts_a_correction_to_the_administration_is_noted(since_s, injected_s, dated, expected, units):
    slices = make_beds() if since_s is None else decay_factors(since_s)
    changes = {"injection_time": seconds(injected_s), "has_injection_date": dated, "slices": slices, "units": units}
    header = make_header(decay_correction="ADMIN", suv_type="BW", **changes)
    notes = compute_suv_conversion(header).notes
    assert [fact in note for fact, note in zip(expected, notes, strict=True)] == [True] * len(expected)
    assert compare_administration(replace(header, decay_correction="START")) == ()


def test_a_comparison_with_the_administration_that_is_impossible_refuses_nothing():
    wrong = make_header(decay_correction="ADMIN", slices=make_beds(decay_factor=0.0))
    for header, count in ((wrong, 1), (replace(wrong, half_life_s=1.0), 1), (replace(wrong, half_life_s=None), 0)):
        found = compute_suv_conversion(header)
        assert found.factor == AT_INJECTION
        assert len(found.notes) == count
