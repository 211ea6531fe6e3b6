"""The dose that is left: what is stated, what is refused, and what is only noted."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from hnseg.errors import SuvError
from hnseg.suv.dose import check_dose_bq, check_half_life_s, compute_decay_s
from tests.hnseg.suv.headers import HALF_LIFE_S, INJECTED, SCANNED, make_header


@pytest.mark.parametrize("dose", [1e6, 350e6, 2e10])
def test_doses_in_bq(dose):
    assert check_dose_bq(make_header(dose_bq=dose)) == dose


@pytest.mark.parametrize("dose", [350.0, 9.46, 1.0, 20_000.0, None, 0.0, -350e6, 0.35, 5e5, 1e11, math.nan, math.inf])
def test_doses_that_are_not_in_bq_are_refused(dose):
    with pytest.raises(SuvError) as caught:
        check_dose_bq(make_header(dose_bq=dose))
    assert caught.value.tag == "RadionuclideTotalDose"
    assert ("MBq" in str(caught.value)) == (dose in (350.0, 9.46, 1.0, 20_000.0))


def test_a_dose_in_mbq_is_taken_when_it_is_said_and_only_then():
    assert check_dose_bq(make_header(dose_bq=350.0), dose_in_mbq=True) == 350e6
    with pytest.raises(SuvError):
        check_dose_bq(make_header(dose_bq=350e6), dose_in_mbq=True)


@pytest.mark.parametrize(
    ("nuclide", "half_life_s", "noted"),
    [
        ("18F", 6586.2, False),
        ("18F", 6588.0, False),  # 109.8 min
        ("18F", 6600.0, True),  # 110 min, 0.21 % off: an SUV after one hour is 0.08 % off
        ("68Ga", 4080.0, True),  # 68 min
        ("124I", 360_806.4, False),
        (None, 6500.0, True),  # nothing to compare with
    ],
)
def test_half_lives(nuclide, half_life_s, noted):
    found, notes = check_half_life_s(make_header(nuclide=nuclide, half_life_s=half_life_s))
    assert (found, bool(notes)) == (half_life_s, noted)


@pytest.mark.parametrize(
    ("nuclide", "half_life_s"),
    [
        ("18F", 6500.0),  # what one tool falls back to: 1.31 % off
        ("18F", 109.77),  # minutes
        ("18F", 1.83),  # hours
        ("68Ga", 6586.2),  # that of another nuclide
        ("18F", None),
        ("18F", 0.0),
        ("18F", -6586.2),
        (None, math.nan),
        (None, math.inf),
    ],
)
def test_half_lives_of_another_nuclide_or_unit_are_refused(nuclide, half_life_s):
    with pytest.raises(SuvError) as caught:
        check_half_life_s(make_header(nuclide=nuclide, half_life_s=half_life_s))
    assert caught.value.tag == "RadionuclideHalfLife"


def decay(injected, reference, *, dated=True, half_life_s=HALF_LIFE_S):
    header = make_header(injection_time=injected, has_injection_date=dated)
    return compute_decay_s(header, reference, half_life_s)


def test_decay_of_an_injection_on_the_day_of_the_scan():
    assert decay(INJECTED, SCANNED) == (6586.2, ())
    decay_s, notes = decay(INJECTED, SCANNED, dated=False)
    assert decay_s == 6586.2
    assert notes


def test_decay_across_midnight():
    """23:30 to 01:19:46.2; without a date the file's own date of the scan would put the injection after it."""
    scan = datetime(2020, 3, 1, 1, 19, 46, 200_000)
    assert decay(datetime(2020, 2, 29, 23, 30), scan)[0] == pytest.approx(6586.2)
    decay_s, notes = decay(datetime(2020, 3, 1, 23, 30), scan, dated=False)
    assert decay_s == pytest.approx(6586.2)
    assert notes


@pytest.mark.parametrize(
    ("injected_s", "dated", "half_life_s"),
    [
        (1.0, True, HALF_LIFE_S),  # after the reference
        (3600.0, True, HALF_LIFE_S),
        (-86_400.0, True, HALF_LIFE_S),  # 13 half-lives
        (-6.01 * HALF_LIFE_S, True, HALF_LIFE_S),
        (600.0, False, HALF_LIFE_S),  # ten minutes after it: 13 half-lives on the day before
        (7200.0, False, 1221.84),  # 11C: the day before is impossible
    ],
)
def test_administrations_after_the_scan_or_long_before_are_refused(injected_s, dated, half_life_s):
    with pytest.raises(SuvError) as caught:
        decay(SCANNED + timedelta(seconds=injected_s), SCANNED, dated=dated, half_life_s=half_life_s)
    assert caught.value.tag == ("RadiopharmaceuticalStartDateTime" if dated else "RadiopharmaceuticalStartTime")


def test_a_long_uptake_is_noted():
    assert decay(SCANNED - timedelta(seconds=2.5 * HALF_LIFE_S), SCANNED)[1]
    assert not decay(SCANNED - timedelta(seconds=0.5 * HALF_LIFE_S), SCANNED)[1]


def test_days_of_uptake_are_normal_for_a_long_half_life():
    half_life_s = 282_276.0  # 89Zr, 78.41 h
    decay_s, notes = decay(SCANNED - timedelta(days=4), SCANNED, half_life_s=half_life_s)
    assert (decay_s, notes) == (4 * 86_400, ())


def test_a_time_without_a_date_is_refused_where_several_days_are_possible():
    """A day is a third of a half-life of 89Zr: on the day before, the SUV would be 1.24 times as large."""
    for half_life_s in (282_276.0, 45_720.0):
        with pytest.raises(SuvError) as caught:
            decay(SCANNED - timedelta(hours=1), SCANNED, dated=False, half_life_s=half_life_s)
        assert caught.value.tag == "RadiopharmaceuticalStartDateTime"


def test_no_time_of_administration_is_refused():
    with pytest.raises(SuvError) as caught:
        decay(None, SCANNED)
    assert caught.value.tag == "RadiopharmaceuticalStartDateTime"
