"""What a table says about a PET in place of its header."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, time

from hnseg.suv.pet_header import PetHeader

WITHOUT_USE = ("dose_bq", "half_life_s", "injection_time")  # where a table has the factor, or the dose that is left


@dataclass(frozen=True)
class PetOverrides:
    """Values that replace those of a header, each ready for JSON and without a date; None keeps the header's.

    Attributes:
        suv_factor: SUV body weight per Bq/ml.
        dose_at_reference_bq: Activity at the time that the values are corrected to.
        weight_kg: Body weight.
        height_m: Body height.
        sex: M or F.
        dose_bq: Administered activity.
        half_life_s: Half-life of the nuclide.
        injection_time: Time of administration, local time of the scanner, as ``09:00:00``; on the day of the scan, or
            the day before.
        unread_columns: Columns of the table that mean nothing here.
    """

    suv_factor: float | None = None
    dose_at_reference_bq: float | None = None
    weight_kg: float | None = None
    height_m: float | None = None
    sex: str | None = None
    dose_bq: float | None = None
    half_life_s: float | None = None
    injection_time: str | None = None
    unread_columns: tuple[str, ...] = ()


def apply_overrides(header: PetHeader, overrides: PetOverrides | None) -> PetHeader:
    """Replace values of a header by those of a table.

    Args:
        header: Of a PET.
        overrides: What the table says; None for nothing.

    Returns:
        The header with the table's values, and a note for each. With a factor or the dose that is left, nothing
        depends on the administration: its values are not applied.
    """
    if overrides is None:
        return header
    is_computed = overrides.suv_factor is None and overrides.dose_at_reference_bq is None
    names = [part.name for part in fields(overrides) if part.name != "unread_columns"]
    given = {name: getattr(overrides, name) for name in names if is_computed or name not in WITHOUT_USE}
    given = {name: value for name, value in given.items() if value is not None}
    notes = tuple(_describe(name, getattr(header, name), value) for name, value in given.items())
    if overrides.unread_columns:
        notes += (f"columns of the table that are not used: {', '.join(overrides.unread_columns)}",)
    if "injection_time" in given:
        given |= {"injection_time": _on_scan_day(header, given["injection_time"]), "has_injection_date": False}
    return replace(header, **given, notes=header.notes + notes)


def _on_scan_day(header: PetHeader, text: str) -> datetime | None:
    """A time of the table on the day of the scan; None for a scan without any time, whose SUV is refused."""
    scan = header.first_acquisition or header.series_time
    return None if scan is None else datetime.combine(scan.date(), time.fromisoformat(text))


def _describe(name: str, stated: float | str | datetime | None, value: float | str) -> str:
    if isinstance(stated, datetime):
        stated = stated.time().isoformat()
    if stated is None:
        return f"{name} is {value}, from the table"
    return f"{name} is {value}, from the table; the header states {stated}"
