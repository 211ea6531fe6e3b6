"""What a run has done to the resolution of its PET, by center, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hnseg.report.records import PetResolutionRecord, PreparedRecord

Pair = tuple[float, float]


@dataclass(frozen=True)
class ResolutionRow:
    """One center in the table; pairs are in plane and axial, mm FWHM on the crop grid.

    Attributes:
        center: Of the cases.
        cases: How many.
        fwhm_mm: Width of the center's site; None where no case of it trained.
        blur_fwhm_mm: What its cases were blurred with; None for a center without a site, whose cases differ.
        noise_gain: Factor on the standard deviation of white noise; None likewise.
        is_target: Whether the others were brought to it.
        unable: Why cases fell back; empty where none did.
        fell_back: How many did.
    """

    center: str
    cases: int
    fwhm_mm: Pair | None
    blur_fwhm_mm: Pair | None
    noise_gain: float | None
    is_target: bool
    unable: str
    fell_back: int


def resolution_rows(prepared: Mapping[str, PreparedRecord]) -> list[ResolutionRow]:
    """One row for each center whose PET was to be aligned, in the order of their names."""
    found: dict[str, list[PetResolutionRecord]] = {}
    for record in prepared.values():
        if record.harmonization.pet is not None:
            found.setdefault(record.center, []).append(record.harmonization.pet)
    return [_make_row(center, records) for center, records in sorted(found.items())]


def _make_row(center: str, records: list[PetResolutionRecord]) -> ResolutionRow:
    known = next((record for record in records if record.source == center and record.fallback is None), None)
    reasons = [record.fallback for record in records if record.fallback]
    return ResolutionRow(
        center=center,
        cases=len(records),
        fwhm_mm=None if known is None else known.source_fwhm_mm,
        blur_fwhm_mm=None if known is None else known.blur_fwhm_mm,
        noise_gain=None if known is None else known.noise_gain,
        is_target=any(record.target == center for record in records),
        unable=reasons[0] if reasons else "",
        fell_back=len(reasons),
    )
