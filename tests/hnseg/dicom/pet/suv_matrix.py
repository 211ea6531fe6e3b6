"""Rows of the matrix of headers: vendor × unit × decay mode, each with its factors by hand.

All are of 70 kg and 350 MBq of 18F (see :mod:`pet_headers`): 2e-4 SUV per Bq/ml at the administration at 09:00:00, 4e-4
one half-life later, at 10:49:46.2. A row that takes another time for the reference has another factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hnseg.suv.overrides import PetOverrides
from tests.hnseg.dicom.pet.pet_headers import AT_INJECTION, AT_SCAN, HALF_LIFE_S, PHILIPS, Tags

FACTOR_OF_A_LONG_FRAME = 1.3862943611198906  # 2 ln 2: the start of a frame of one half-life over its average


@dataclass(frozen=True)
class Row:
    """A series, and what its conversion is.

    Attributes:
        name: Identifies the row.
        factors: One for all slices, or one for each; None: refused.
        tag: Attribute that a refusal names.
        series, administration, beds, private: Arguments of :func:`pet_headers.make_slices`.
        overrides: Of a table.
        kind: bw, lbm, bsa, ibw.
        dose_in_mbq: As the option.
        is_converted: False for values that are SUV already.
        reference: Attribute that the reference time is from; None: not checked.
    """

    name: str
    factors: float | Sequence[float] | None = None
    tag: str | None = None
    series: Tags = field(default_factory=dict)
    administration: Tags = field(default_factory=dict)
    beds: Sequence[Tags] = ({},)
    private: Sequence[tuple[tuple[int, str], int, str, Any]] = ()
    overrides: PetOverrides | None = None
    kind: str = "bw"
    dose_in_mbq: bool = False
    is_converted: bool = True
    reference: str | None = None


def at(seconds: float) -> str:
    """Time of day of a number of seconds after 10:49:46.2."""
    total = round((10 * 3600 + 49 * 60 + 46.2 + seconds) * 1e6)
    whole, micro = divmod(total, 1_000_000)
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}.{micro:06d}"


def decayed(seconds: float) -> str:
    """Decay factor of a slice that is corrected by so many seconds."""
    return f"{2 ** (seconds / HALF_LIFE_S):.6f}"


# How each vendor writes three beds of 120 s whose values are corrected to 10:49:46.2. The moment of average activity of
# a frame is 59.9 s after its start.
VENDORS: dict[str, tuple[Tags, list[Tags]]] = {
    "GE MEDICAL SYSTEMS": (
        {},
        [
            {
                "AcquisitionTime": at(s),
                "FrameReferenceTime": str(1000 * s),
                "DecayFactor": decayed(s + 59.9),
            }
            for s in (0, 120, 240)
        ],
    ),
    # one acquisition time in all slices, as in older GE files
    "GE, one time": (
        {"Manufacturer": "GE MEDICAL SYSTEMS"},
        [{"FrameReferenceTime": str(1000 * s), "DecayFactor": decayed(s + 59.9)} for s in (0, 120, 240)],
    ),
    # the series time is 1.4 s before the first bed; offsets are those of the middle of a bed
    "SIEMENS": (
        {},
        [
            {
                "AcquisitionTime": at(s + 1.4),
                "FrameReferenceTime": str(1000 * (s + 1.4 + 59.9)),
                "DecayFactor": decayed(s + 1.4 + 59.9),
            }
            for s in (0, 120, 240)
        ],
    ),
    # CTI and CPS: no offsets, and a decay factor of 1 in all slices
    "CPS": ({}, [{"AcquisitionTime": at(s), "FrameReferenceTime": "0", "DecayFactor": "1"} for s in (0, 120, 240)]),
    # no decay factors; offsets that fit none of the file's times; private factors that only counts need
    "Philips Medical Systems": (
        {},
        [{"AcquisitionTime": at(s + 1), "FrameReferenceTime": str(1000 * (s + 1328))} for s in (0, 120, 240)],
    ),
    "UIH": (
        {},
        [{"AcquisitionTime": at(s), "FrameReferenceTime": str(1000 * (s + 60))} for s in (240, 120, 0)],
    ),
    "Canon Medical Systems": (
        {},
        [{"AcquisitionTime": at(s), "DecayFactor": decayed(s)} for s in (0, 120, 240)],
    ),
    "Mediso": ({"CorrectedImage": ["ATTN", "DECY"]}, [{"AcquisitionTime": None, "AcquisitionDate": None}] * 3),
}


def _rows_of_vendors() -> list[Row]:
    rows = []
    for vendor, (series, beds) in VENDORS.items():
        base: dict[str, Any] = {"Manufacturer": vendor.split(",")[0], **series}
        done = [name for name in base.get("CorrectedImage", ["ATTN", "SCAT", "DECY"]) if name != "DECY"]
        starts = [{**bed, "ActualFrameDuration": "120000"} for bed in beds]
        rows += [
            Row(f"{vendor} BQML START", AT_SCAN, series=base, beds=starts),
            Row(f"{vendor} BQML ADMIN", AT_INJECTION, series={**base, "DecayCorrection": "ADMIN"}, beds=starts),
            Row(
                f"{vendor} GML",
                1.0,
                series={**base, "Units": "GML", "SUVType": "BW"},
                administration={"RadionuclideTotalDose": None, "RadionuclideHalfLife": None},
                beds=starts,
                is_converted=False,
            ),
            Row(f"{vendor} PROPCPS", tag="Units", series={**base, "Units": "PROPCPS"}, beds=starts),
            Row(
                f"{vendor} CNTS with factors to SUV",
                [1e-4, 2e-4, 3e-4],
                series={**base, "Units": "CNTS"},
                beds=starts,
                private=[(PHILIPS, 0x00, "DS", ["0.0001", "0.0002", "0.0003"])],
            ),
            Row(
                f"{vendor} CNTS with factors to Bq/ml",  # 4e-4 × 1.5, 2, 4
                [6e-4, 8e-4, 1.6e-3],
                series={**base, "Units": "CNTS"},
                beds=starts,
                private=[(PHILIPS, 0x09, "DS", ["1.5", "2", "4"])],
            ),
            Row(f"{vendor} CNTS", tag="Philips (7053,1000)", series={**base, "Units": "CNTS"}, beds=starts),
            Row(
                f"{vendor} BQML NONE",  # beds of one half-life each: see test_suv_matrix.py
                [4e-4 * FACTOR_OF_A_LONG_FRAME, 8e-4 * FACTOR_OF_A_LONG_FRAME],
                series={**base, "DecayCorrection": "NONE", "CorrectedImage": done},
                beds=[
                    {"AcquisitionTime": at(s), "DecayFactor": "1", "ActualFrameDuration": "6586200"}
                    for s in (0, 6586.2)
                ],
            ),
        ]
    return rows


ROWS_OF_VENDORS = _rows_of_vendors()
