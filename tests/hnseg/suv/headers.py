"""Headers for tests: 70 kg and 350 MBq of 18F, corrected to one half-life after the administration.

At the administration 70,000 g / 350e6 Bq = 2e-4 SUV per Bq/ml; one half-life later half of the dose is left: 4e-4.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hnseg.suv.pet_header import PetHeader, PetSlice

HALF_LIFE_S = 6586.2  # 1 h 49 min 46.2 s
INJECTED = datetime(2020, 1, 1, 9, 0, 0)
SCANNED = datetime(2020, 1, 1, 10, 49, 46, 200_000)
AT_INJECTION = 2e-4
AT_SCAN = 4e-4
BED_S = 120.0


def make_header(**changes: Any) -> PetHeader:
    """A header in Bq/ml with one slice, corrected to the start of the scan.

    Args:
        **changes: Fields of :class:`PetHeader`.
    """
    header = PetHeader(
        units="BQML",
        decay_correction="START",
        corrected_image=("DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"),
        weight_kg=70.0,
        height_m=1.75,
        sex="M",
        dose_bq=350e6,
        half_life_s=HALF_LIFE_S,
        nuclide="18F",
        injection_time=INJECTED,
        series_time=SCANNED,
        slices=(PetSlice(acquisition_time=SCANNED, frame_duration_s=BED_S),),
    )
    return replace(header, **changes)


def make_beds(count: int = 3, first: datetime = SCANNED, **changes: Any) -> tuple[PetSlice, ...]:
    """Slices of several bed positions, one a bed, of 120 s each.

    Args:
        count: Number of beds.
        first: Start of the first one.
        **changes: Fields of :class:`PetSlice`; a function is called with the seconds since the first bed.
    """
    slices = []
    for bed in range(count):
        offset_s = bed * BED_S
        own = {name: value(offset_s) if callable(value) else value for name, value in changes.items()}
        start = first + timedelta(seconds=offset_s)
        slices.append(PetSlice(**{"acquisition_time": start, "frame_duration_s": BED_S, **own}))
    return tuple(slices)
