"""What the SUV of a PET series depends on, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class PetSlice:
    """Times and scales of one slice.

    Attributes:
        acquisition_time: Start of the acquisition that the slice belongs to (one bed position); None if not stated.
        frame_duration_s: Duration of that acquisition.
        frame_reference_time_s: Offset that the file states between its reference time and the slice (0054,1300).
        decay_factor: By which the scanner multiplied the values (0054,1321).
        philips_suv_factor: SUV body weight per rescaled count (7053,1000).
        philips_activity_factor: Bq/ml per rescaled count (7053,1009).
    """

    acquisition_time: datetime | None = None
    frame_duration_s: float | None = None
    frame_reference_time_s: float | None = None
    decay_factor: float | None = None
    philips_suv_factor: float | None = None
    philips_activity_factor: float | None = None


@dataclass(frozen=True)
class PetHeader:
    """Header of a PET series, parsed and without identifiers.

    All times are in the local time of the scanner and without a time zone; who reads a file resolves the zones.
    None: the attribute is missing or empty.

    Attributes:
        units: Unit of the values (0054,1001): BQML, CNTS, GML, PROPCPS and others.
        decay_correction: START, ADMIN or NONE (0054,1102).
        suv_type: Kind of SUV of values in GML or CM2ML (0054,1006): BW, LBM, LBMJANMA, LBMJAMES128, BSA, IBW.
        corrected_image: Corrections that were applied (0028,0051), as ``ATTN`` and ``DECY``; empty if not stated.
        weight_kg: Body weight.
        height_m: Body height.
        sex: M, F or O.
        dose_bq: Administered activity as stated (0018,1074); in Bq by the standard.
        half_life_s: Half-life of the nuclide as stated (0018,1075).
        nuclide: Nuclide by its code, as ``18F``; None if it is not stated or not known here.
        injection_time: Start of the administration, with the date of (0018,1078), or of the scan where none is stated.
        has_injection_date: Whether that date is the file's own.
        series_time: Date and time of the series.
        private_scan_time: GE's own time that the values are corrected to (0009,100d).
        suv_factor: Factor from a table, in place of everything else.
        dose_at_reference_bq: Activity at the reference time, from a table, in place of dose, half-life and times.
        slices: One for each slice, in the volume's order; at least one.
        notes: What was unusual where the header was read.
    """

    units: str | None
    decay_correction: str | None = None
    suv_type: str | None = None
    corrected_image: tuple[str, ...] = ()
    weight_kg: float | None = None
    height_m: float | None = None
    sex: str | None = None
    dose_bq: float | None = None
    half_life_s: float | None = None
    nuclide: str | None = None
    injection_time: datetime | None = None
    has_injection_date: bool = True
    series_time: datetime | None = None
    private_scan_time: datetime | None = None
    suv_factor: float | None = None
    dose_at_reference_bq: float | None = None
    slices: tuple[PetSlice, ...] = (PetSlice(),)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.slices:
            raise ValueError("a PET header has at least one slice; got none")

    @property
    def first_acquisition(self) -> datetime | None:
        """Start of the first bed position; None if no slice states one."""
        return min((part.acquisition_time for part in self.slices if part.acquisition_time is not None), default=None)
