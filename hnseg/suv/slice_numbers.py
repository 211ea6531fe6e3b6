"""Checks of the numbers and times of the slices, before anything is computed from them."""

from __future__ import annotations

from datetime import datetime

from hnseg.errors import SuvError
from hnseg.suv.pet_header import PetHeader

YEARS = (1900, 2200)
DURATION_S = (0.0, 1e6)
OFFSET_S = (-1e7, 1e7)  # four months
DECAY_FACTOR = (1e-6, 1e6)
PHILIPS_FACTOR = (1e-12, 1e12)


def check_times(header: PetHeader) -> None:
    """Check what the reference time follows from.

    Raises:
        SuvError: A date is outside 1900 to 2200, or a number of a slice is not finite or out of any range.
    """
    _check_year("SeriesDate", header.series_time)
    _check_year("(0009,100d) of GE", header.private_scan_time)
    for part in header.slices:
        _check_year("AcquisitionDate", part.acquisition_time)
        _check_range("ActualFrameDuration", part.frame_duration_s, DURATION_S, " s")
        _check_range("FrameReferenceTime", part.frame_reference_time_s, OFFSET_S, " s")
        _check_range("DecayFactor", part.decay_factor, DECAY_FACTOR)


def check_philips_factors(header: PetHeader) -> None:
    """Check Philips' private factors; 0 stands for a missing one.

    Raises:
        SuvError: One is negative, not finite, or out of any range.
    """
    for part in header.slices:
        _check_range("Philips (7053,1000)", part.philips_suv_factor or None, PHILIPS_FACTOR)
        _check_range("Philips (7053,1009)", part.philips_activity_factor or None, PHILIPS_FACTOR)


def _check_year(tag: str, time: datetime | None) -> None:
    first, last = YEARS
    if time is not None and not first <= time.year <= last:
        raise SuvError(tag, f"a year that is not in {first} to {last}")


def _check_range(tag: str, value: float | None, allowed: tuple[float, float], unit: str = "") -> None:
    low, high = allowed
    if value is not None and not low <= value <= high:
        raise SuvError(tag, f"it is {value:g}{unit} in a slice; allowed are {low:g} to {high:g}{unit}")
