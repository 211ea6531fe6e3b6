"""What a label is in DICOM: its TG-263 name and the SNOMED CT codes of its segment.

Names: AAPM TG-263, doi 10.1002/mp.12989 (GTVp the primary tumor, GTVn the nodal volume). Codes of pydicom's dictionary:
PS3.16 CID 7150 (category), CID 7159 "Lesion Segmentation Type" (type), CID 4031 and CID 7600 (region).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.pictures.palette import Color


@dataclass(frozen=True)
class SegmentCode:
    """How a label is described in a file.

    Attributes:
        label: Its value in a mask.
        name: TG-263, the segment's label and the structure's name.
        category, type, region: SNOMED CT codes of the segment.
        color: Recommended for display, ``#rrggbb``.
    """

    label: int
    name: str
    category: Code
    type: Code
    region: Code
    color: str


SEGMENT_CODES = (
    SegmentCode(
        GTVP,
        "GTVp",
        codes.SCT.MorphologicallyAbnormalStructure,
        codes.SCT.NeoplasmPrimary,
        codes.SCT.HeadAndNeck,
        Color.GTVP.value,
    ),
    SegmentCode(
        GTVN,
        "GTVn",
        codes.SCT.MorphologicallyAbnormalStructure,
        codes.SCT.NeoplasmSecondary,
        codes.SCT.LymphNodeOfHeadAndNeck,
        Color.GTVN.value,
    ),
)
