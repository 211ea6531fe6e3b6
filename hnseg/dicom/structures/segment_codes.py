"""What a label is in DICOM: its TG-263 name and the SNOMED CT codes of its segment.

Names: AAPM TG-263, doi 10.1002/mp.12989 (GTVp the primary tumor, GTVn the nodal volume). Codes: PS3.16 CID 7150
(category), CID 7159 "Lesion Segmentation Type" (type), CID 4031 and CID 7600 (region), as in pydicom's dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.pictures.palette import Color

SCHEME = "SCT"


@dataclass(frozen=True)
class Concept:
    """A code of a terminology.

    Attributes:
        value: The code.
        scheme: Its terminology; SCT is SNOMED CT.
        meaning: Its text.
    """

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class SegmentCode:
    """How a label is described in a file.

    Attributes:
        label: Its value in a mask.
        name: TG-263, the segment's label and the structure's name.
        category, type, region: Codes of the segment.
        color: Recommended for display, ``#rrggbb``.
    """

    label: int
    name: str
    category: Concept
    type: Concept
    region: Concept
    color: str


ABNORMAL_STRUCTURE = Concept("49755003", SCHEME, "Morphologically Abnormal Structure")

SEGMENT_CODES = (
    SegmentCode(
        GTVP,
        "GTVp",
        ABNORMAL_STRUCTURE,
        Concept("372087000", SCHEME, "Neoplasm, Primary"),
        Concept("774007", SCHEME, "Head and Neck"),
        Color.GTVP.value,
    ),
    SegmentCode(
        GTVN,
        "GTVn",
        ABNORMAL_STRUCTURE,
        Concept("14799000", SCHEME, "Neoplasm, Secondary"),
        Concept("312501005", SCHEME, "lymph node of head and neck"),
        Color.GTVN.value,
    ),
)
