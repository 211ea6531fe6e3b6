"""The time that the values of a decay-corrected PET are corrected to.

DecayCorrection START means the start of the scan, which is the series time where nothing happened to it. What is
reconstructed later has a later series time, and vendors differ. So three attributes are candidates (series time, GE's
private scan time, the first acquisition), and the decay factor that the scanner wrote into the slices decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from hnseg.errors import SuvError
from hnseg.suv.dose import DAY_S, check_half_life_s
from hnseg.suv.frame_time import average_activity_time_s
from hnseg.suv.pet_header import PetHeader, PetSlice
from hnseg.suv.slice_numbers import check_times

TOLERANCE = 0.0045  # of a half-life: 0.3 % of a SUV, 30 s for 18F
LEAST_S, MOST_S = 2.0, 30.0  # times of day are often written to whole seconds
SAME_S = 1.0  # times that are written to whole seconds, or with a rounding error


@dataclass(frozen=True)
class ReferenceTime:
    """The time that values are corrected to.

    Attributes:
        time: In the scanner's local time.
        source: Keyword of the attribute.
        notes: Why it is not the series time, and what speaks for it.
    """

    time: datetime
    source: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Evidence:
    """Span of reference times that a slice's own numbers allow."""

    earliest: datetime
    latest: datetime
    source: str
    half_life_s: float

    def allows(self, time: datetime) -> bool:
        tolerance = timedelta(seconds=min(MOST_S, max(LEAST_S, TOLERANCE * self.half_life_s)))
        return self.earliest - tolerance <= time <= self.latest + tolerance


def find_reference_time(header: PetHeader, half_life_s: float) -> ReferenceTime:
    """Find the time that a PET with DecayCorrection START is corrected to.

    1. The series time, if it is not after the first acquisition.
    2. Else GE's private scan time, else the first acquisition: the series was made later.
    3. If the decay factor of the first bed position (0054,1321) contradicts: the one of the three that it agrees with.
       Without a decay factor, the frame reference time (0054,1300) takes its place.

    Args:
        header: Of a PET series.
        half_life_s: Half-life of the nuclide.

    Raises:
        SuvError: There is no time, or the attributes contradict each other.
    """
    check_times(header)
    if header.series_time is None and header.first_acquisition is None:
        raise SuvError("SeriesTime", "neither the series nor its slices state a time")
    candidates = _list_starts(header)
    source, time = candidates[0]
    notes = () if source == "SeriesTime" else (_describe_late_series(source, header.series_time, time),)
    evidence = _read_evidence(header, half_life_s)
    if evidence is None:
        return ReferenceTime(time, source, (*notes, "no DecayFactor or FrameReferenceTime to compare the time with"))
    if evidence.allows(time):
        return ReferenceTime(time, source, notes)
    for other, candidate in candidates[1:]:
        if evidence.allows(candidate):
            seconds = (candidate - time).total_seconds()
            note = f"{evidence.source} agrees with {other}, not with {source}, {abs(seconds):.0f} s away"
            return ReferenceTime(candidate, other, (note,))
    seconds = min(abs((edge - time).total_seconds()) for edge in (evidence.earliest, evidence.latest))
    message = f"{evidence.source} contradicts every time of the file: the nearest to {source} is {seconds:.0f} s away"
    if evidence.source == "DecayFactor" or source != "SeriesTime":
        raise SuvError(evidence.source, f"{message}; give dose_for_suv_bq in a table (--tags)")
    return ReferenceTime(time, source, (f"{message}; vendors use it differently, so the series time counts",))


def _list_starts(header: PetHeader) -> list[tuple[str, datetime]]:
    """Times that may be the start of the scan, the likeliest first."""
    series, first = header.series_time, header.first_acquisition
    found: list[tuple[str, datetime]] = []
    if series is not None and (first is None or series <= first + timedelta(seconds=SAME_S)):
        found.append(("SeriesTime", series))
    if header.private_scan_time is not None:
        found.append(("GE private (0009,100d)", header.private_scan_time))
    if first is not None:
        found.append(("AcquisitionTime", first))
    return found


def _describe_late_series(source: str, series: datetime | None, time: datetime) -> str:
    if series is None:
        return f"no series time is stated: the reference is {source}"
    late = (series - time).total_seconds()
    return f"the series time is {late:.0f} s after {source}: the series was made later, so {source} is the reference"


def _read_evidence(header: PetHeader, half_life_s: float) -> _Evidence | None:
    timed = [part for part in header.slices if part.acquisition_time is not None]
    stated = [part for part in timed if part.decay_factor is not None]
    if stated and not _are_placeholders(stated):
        part = min(stated, key=lambda one: (one.acquisition_time, one.decay_factor))
        assert part.decay_factor is not None
        offset_s = math.log(part.decay_factor) * half_life_s / math.log(2)
        return _span(part, offset_s, half_life_s, "DecayFactor")
    stated = [part for part in timed if part.frame_reference_time_s is not None]
    if stated:
        part = min(stated, key=lambda one: (one.acquisition_time, one.frame_reference_time_s))
        assert part.frame_reference_time_s is not None
        return _span(part, part.frame_reference_time_s, half_life_s, "FrameReferenceTime")
    return None


def _are_placeholders(slices: list[PetSlice]) -> bool:
    """Whether all decay factors are exactly 1 though the beds were acquired one after the other."""
    times = {part.acquisition_time for part in slices}
    return len(times) > 1 and all(part.decay_factor == 1 for part in slices)


def _span(part: PetSlice, offset_s: float, half_life_s: float, source: str) -> _Evidence:
    """Reference times ``offset_s`` before the slice's own time, which lies between start and average of its frame."""
    assert part.acquisition_time is not None
    earliest = part.acquisition_time - timedelta(seconds=offset_s)
    within_s = average_activity_time_s(part.frame_duration_s, half_life_s) if part.frame_duration_s else 0.0
    return _Evidence(earliest, earliest + timedelta(seconds=within_s), source, half_life_s)


def compare_administration(header: PetHeader) -> tuple[str, ...]:
    """Notes on what contradicts DecayCorrection ADMIN, whose SUV needs no times: nothing is refused.

    Returns:
        That the administration is after the start of the scan, or that the decay factors of the slices agree with that
        start, and not with the administration. Empty for another DecayCorrection.
    """
    starts = _list_starts(header)
    if (header.decay_correction or "").upper() != "ADMIN" or header.injection_time is None or not starts:
        return ()
    source, start = starts[0]
    late_s = (header.injection_time - start).total_seconds()
    if late_s > 0 and not header.has_injection_date:
        late_s -= DAY_S  # on the day before
    notes: tuple[str, ...] = ()
    if late_s > 0:
        notes = (f"values are corrected to the administration (ADMIN), which is {late_s:.0f} s after {source}",)
    if header.half_life_s is None:
        return notes
    try:
        check_times(header)
        evidence = _read_evidence(header, check_half_life_s(header)[0])
    except SuvError as error:
        return (*notes, f"DecayFactor could not be compared with the administration: {error}")
    if evidence is None or evidence.source != "DecayFactor" or evidence.allows(start + timedelta(seconds=late_s)):
        return notes
    agreeing = [other for other, time in starts if evidence.allows(time)]
    if not agreeing:
        return notes
    side = "after" if late_s > 0 else "before"
    message = f"DecayCorrection is ADMIN, but DecayFactor agrees with {agreeing[0]}, not with the administration"
    return (f"{message} {abs(late_s):.0f} s {side} the scan: the values may be corrected to the start of the scan",)


def find_slice_times(header: PetHeader, half_life_s: float) -> tuple[datetime, ...]:
    """Times of average activity of each slice, for values without decay correction.

    Raises:
        SuvError: A slice has no acquisition time or no duration, or all slices of several beds state the same time.
    """
    check_times(header)
    times: list[datetime] = []
    for part in header.slices:
        if part.acquisition_time is None:
            raise SuvError(
                "AcquisitionTime", "values without decay correction need the acquisition time of every slice"
            )
        if not part.frame_duration_s:
            raise SuvError("ActualFrameDuration", "values without decay correction need the duration of every frame")
        within_s = average_activity_time_s(part.frame_duration_s, half_life_s)
        times.append(part.acquisition_time + timedelta(seconds=within_s))
    offsets = {part.frame_reference_time_s for part in header.slices}
    if len(set(times)) == 1 and len(offsets) > 1:
        raise SuvError(
            "AcquisitionTime",
            f"all slices state one acquisition time, but FrameReferenceTime has {len(offsets)} values: when each bed "
            "was acquired is not known, and the values are not corrected for decay",
        )
    return tuple(times)
