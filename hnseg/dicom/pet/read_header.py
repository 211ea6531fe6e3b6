"""From the DICOM headers of a PET series to what its SUV depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from hnseg.dicom.pet.attributes import (
    read_nuclide,
    read_number,
    read_private_number,
    read_private_text,
    read_shared_number,
    read_shared_text,
    read_text,
)
from hnseg.dicom.pet.times import parse_date, parse_datetime, parse_offset, parse_time
from hnseg.dicom.quiet import quiet_pydicom
from hnseg.errors import SuvError
from hnseg.suv.conversion import SUV_UNITS
from hnseg.suv.dose import IN_A_TABLE
from hnseg.suv.overrides import PetOverrides, apply_overrides
from hnseg.suv.pet_header import PetHeader, PetSlice

if TYPE_CHECKING:
    from pydicom import Dataset

PHILIPS = "Philips PET Private Group"
GE = "GEMS_PETD_01"
NO_DATE = date(2000, 1, 1)  # of files without any date, whose times are on one day, or two
HALF_A_DAY = timedelta(hours=12)
ADMINISTRATION = {  # what all slices have to state alike, unless a table replaces it
    "RadionuclideTotalDose": "dose_bq",
    "RadionuclideHalfLife": "half_life_s",
    "RadiopharmaceuticalStartTime": "injection_time",
    "RadiopharmaceuticalStartDateTime": "injection_time",
}
AGREEMENT_S = 60.0  # of the two attributes that state the time of administration


@dataclass(frozen=True)
class _Day:
    """Date and zone that times of a series without their own refer to."""

    date: date
    is_stated: bool
    offset: timedelta | None


@dataclass(frozen=True)
class _Administration:
    """Time of administration.

    Attributes:
        time: Local; None if not stated.
        has_date: Whether the date is stated.
        notes: What was unusual.
    """

    time: datetime | None
    has_date: bool
    notes: tuple[str, ...] = ()


def read_pet_header(slices: Sequence[Dataset], overrides: PetOverrides | None = None) -> PetHeader:
    """Read what the SUV of a PET series depends on.

    Dates and times become local times of the scanner: a stated offset from UTC is taken away by
    TimezoneOffsetFromUTC. A time without a date is on the day of the series, or one day later where it would be more
    than twelve hours before it.

    Args:
        slices: Headers of the slices, classic attributes, in the volume's order.
        overrides: What a table says in place of the header.

    Returns:
        The header; attributes that are missing or empty are None.

    Raises:
        SuvError: An attribute has an impossible value, differs between slices, or there are several administrations.
            Values that are SUV already need no dose and no times: what is wrong with those is a note then.
    """
    given = overrides or PetOverrides()
    with quiet_pydicom():
        header = PetHeader(
            units=read_shared_text(slices, "Units") or None,
            decay_correction=read_shared_text(slices, "DecayCorrection") or None,
            suv_type=read_shared_text(slices, "SUVType") or None,
            corrected_image=tuple(name for name in read_shared_text(slices, "CorrectedImage").split("\\") if name),
            weight_kg=_read_unless_given(given.weight_kg, slices, "PatientWeight"),
            height_m=_read_unless_given(given.height_m, slices, "PatientSize"),
            sex=read_shared_text(slices, "PatientSex").upper() or None,
            slices=tuple(_read_philips(part) for part in slices),
        )
        if given.suv_factor is None and given.dose_at_reference_bq is None:
            header = _add_dose_and_times(header, slices, given)
    return apply_overrides(header, overrides)


def _read_unless_given(given: float | None, slices: Sequence[Dataset], keyword: str) -> float | None:
    """A number that all slices share; an unusable one is None where a table gives another."""
    try:
        return read_shared_number(slices, keyword)
    except SuvError:
        if given is None:
            raise
        return None


def _add_dose_and_times(header: PetHeader, slices: Sequence[Dataset], given: PetOverrides) -> PetHeader:
    try:
        return _read_dose_and_times(header, slices, given)
    except SuvError as error:
        if (header.units or "").upper() not in SUV_UNITS:
            raise
        note = f"the values are SUV already, and what the header says of dose and times is not used: {error}"
        return replace(header, notes=(note,))


def _read_dose_and_times(header: PetHeader, slices: Sequence[Dataset], given: PetOverrides) -> PetHeader:
    """Add the administration and the times."""
    day = _read_day(slices)
    series_time = parse_time(read_shared_text(slices, "SeriesTime"), "SeriesTime")
    series = None if series_time is None else datetime.combine(day.date, series_time)
    timed = tuple(_read_times(part, known, day, series) for part, known in zip(slices, header.slices, strict=True))
    scan_time = _read_private_scan_time(slices[0], day)
    header = replace(header, series_time=series, private_scan_time=scan_time, slices=timed)
    administration = _find_administration(slices, given)
    if administration is None:
        return header
    header = replace(
        header,
        dose_bq=_read_unless_given(given.dose_bq, (administration,), "RadionuclideTotalDose"),
        half_life_s=_read_unless_given(given.half_life_s, (administration,), "RadionuclideHalfLife"),
        nuclide=read_nuclide(administration),
    )
    if given.injection_time is not None:
        return header
    first = header.first_acquisition  # a series that was made later carries a later date
    injected = _read_injection(administration, replace(day, date=first.date()) if first is not None else day)
    return replace(
        header,
        injection_time=injected.time,
        has_injection_date=injected.has_date,
        notes=injected.notes,
    )


def _read_day(slices: Sequence[Dataset]) -> _Day:
    offset = parse_offset(read_shared_text(slices, "TimezoneOffsetFromUTC"))
    stated = parse_date(read_shared_text(slices, "SeriesDate"), "SeriesDate")
    if stated is None:
        days = (parse_date(read_text(part, "AcquisitionDate"), "AcquisitionDate") for part in slices)
        stated = min((day for day in days if day is not None), default=None)
    return _Day(stated or NO_DATE, stated is not None, offset)


def _find_administration(slices: Sequence[Dataset], given: PetOverrides) -> Dataset | None:
    """The administration that all slices state; what a table gives may differ."""
    keyword = "RadiopharmaceuticalInformationSequence"
    stated: list[Dataset] = []
    for part in slices:
        items = part.get(keyword) or ()
        if len(items) > 1:
            raise SuvError(keyword, f"{len(items)} administrations are stated; a SUV has one")
        stated += items
    if not stated:
        return None
    if len(stated) < len(slices):
        raise SuvError(keyword, f"{len(slices) - len(stated)} of {len(slices)} slices state no administration")
    for name, replacement in ADMINISTRATION.items():
        if getattr(given, replacement) is None:
            read_shared_text(stated, name)  # refuses different values
    return stated[0]


def _read_injection(administration: Dataset, day: _Day) -> _Administration:
    keyword = "RadiopharmaceuticalStartDateTime"
    full = parse_datetime(read_text(administration, keyword), keyword)
    alone = parse_time(read_text(administration, "RadiopharmaceuticalStartTime"), "RadiopharmaceuticalStartTime")
    if full is None:
        return _Administration(None if alone is None else datetime.combine(day.date, alone), False)
    local = _to_local(full, day, keyword)
    assert local is not None
    notes: tuple[str, ...] = ()
    if full[1] is not None and day.offset is None:
        if alone is None:
            raise SuvError(
                "TimezoneOffsetFromUTC",
                "the administration states an offset from UTC and the series none, and no RadiopharmaceuticalStartTime "
                f"says what its local time is; {IN_A_TABLE}",
            )
        notes = ("the administration states an offset from UTC and the series none: both are taken as local time",)
    if alone is not None:
        apart_s = abs((datetime.combine(local.date(), alone) - local).total_seconds())
        apart_s = min(apart_s, 86400 - apart_s)
        if apart_s > AGREEMENT_S:
            raise SuvError(
                "RadiopharmaceuticalStartTime",
                f"the two attributes that state the time of administration are {apart_s:.0f} s apart; {IN_A_TABLE}",
            )
    return _Administration(local, day.is_stated, notes)


def _read_private_scan_time(dataset: Dataset, day: _Day) -> datetime | None:
    keyword = f"(0009,100d) of {GE}"
    return _to_local(parse_datetime(read_private_text(dataset, 0x0009, GE, 0x0D), keyword), day, keyword)


def _read_philips(dataset: Dataset) -> PetSlice:
    return PetSlice(
        philips_suv_factor=read_private_number(dataset, 0x7053, PHILIPS, 0x00),
        philips_activity_factor=read_private_number(dataset, 0x7053, PHILIPS, 0x09),
    )


def _read_times(dataset: Dataset, known: PetSlice, day: _Day, series: datetime | None) -> PetSlice:
    duration_ms = read_number(dataset, "ActualFrameDuration")
    reference_ms = read_number(dataset, "FrameReferenceTime")
    return replace(
        known,
        acquisition_time=_read_acquisition_time(dataset, day, series),
        frame_duration_s=None if duration_ms is None else duration_ms / 1000,
        frame_reference_time_s=None if reference_ms is None else reference_ms / 1000,
        decay_factor=read_number(dataset, "DecayFactor"),
    )


def _read_acquisition_time(dataset: Dataset, day: _Day, series: datetime | None) -> datetime | None:
    alone = parse_time(read_text(dataset, "AcquisitionTime"), "AcquisitionTime")
    if alone is not None:
        on = parse_date(read_text(dataset, "AcquisitionDate"), "AcquisitionDate") if day.is_stated else None
        if on is not None:
            return datetime.combine(on, alone)
        time = datetime.combine(day.date, alone)
        is_next_day = series is not None and time < series - HALF_A_DAY
        return time + timedelta(days=1) if is_next_day else time
    keyword = "AcquisitionDateTime"
    return _to_local(parse_datetime(read_text(dataset, keyword), keyword), day, keyword)


def _to_local(stated: tuple[datetime, timedelta | None] | None, day: _Day, keyword: str) -> datetime | None:
    """A date and time (DT) in the zone of the series, and on its day if the series has no date.

    Raises:
        SuvError: The zone leads out of the calendar.
    """
    if stated is None:
        return None
    local, offset = stated
    if offset is not None and day.offset is not None:
        try:
            local += day.offset - offset
        except OverflowError as error:
            raise SuvError(keyword, "the value is not a date of the calendar in the zone of the series") from error
    return local if day.is_stated else datetime.combine(day.date, local.time())
