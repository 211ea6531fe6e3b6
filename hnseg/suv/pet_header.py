"""What the SUV of a PET series depends on, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class PetSlice:
    """Times and scales of one slice.

    Attributes:
        acquisition_time: Start of the acquisition that the slice belongs to (one bed position); None if not stated.
        frame_duration_s: Duration of that acquisition.
        frame_reference_time_s: Offset of the slice's average time from the series time.
        decay_factor: By which the scanner multiplied the values (0054,1321).
    """

    acquisition_time: datetime | None = None
    frame_duration_s: float | None = None
    frame_reference_time_s: float | None = None
    decay_factor: float | None = None


@dataclass(frozen=True)
class PetHeader:
    """Header of a PET series, parsed and without identifiers.

    Times are those of the file; with a time zone where the file states one. None: the attribute is missing or empty.

    Attributes:
        units: Unit of the values (0054,1001): BQML, CNTS, GML, PROPCPS and others.
        suv_type: Kind of SUV of values in GML (0054,1006): BW, LBM, LBMJANMA, LBMJAMES128, BSA, IBW.
        decay_correction: START, ADMIN or NONE (0054,1102).
        corrected_image: Corrections that were applied (0028,0051), as ``ATTN``, ``DECY``.
        manufacturer: Vendor.
        weight_kg: Body weight.
        height_m: Body height.
        sex: M, F or O.
        dose_bq: Administered activity as stated (0018,1074).
        half_life_s: Half-life of the nuclide as stated (0018,1075).
        nuclide: Nuclide, as ``18F``, from its code.
        injection_time: Start of the administration (0018,1078, else 0018,1072 with a date).
        has_injection_date: Whether the injection's date was stated, or taken from the series.
        series_time: Date and time of the series.
        private_scan_time: GE's own time of the scan (0009,100d).
        philips_suv_factor: SUV body weight per count (7053,1000).
        philips_activity_factor: Bq/ml per count (7053,1009).
        slices: Times of each slice, in the volume's order.
    """

    units: str | None
    decay_correction: str | None
    suv_type: str | None = None
    corrected_image: tuple[str, ...] = ()
    manufacturer: str = ""
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
    philips_suv_factor: float | None = None
    philips_activity_factor: float | None = None
    slices: tuple[PetSlice, ...] = field(default=(PetSlice(),))
