"""What pairing needs to know of a series, without its voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hnseg.images.geometry import Vector


@dataclass(frozen=True)
class SeriesFacts:
    """A series as pairing sees it. UIDs and the patient's key stay in memory.

    Attributes:
        number: Of the series, from 1, in the order of the walk.
        label: How messages and records name it: ``"CT series 2 (512 × 512 × 120)"``.
        modality: CT, PT, RTSTRUCT, SEG or another one.
        uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        patient_key: Hash of the patient; empty where the files state none.
        frame_uid: FrameOfReferenceUID; empty where the files state none. For structures, that of the image.
        why_unusable: Reason why it cannot be read.
        is_damaged: What cannot be read would be a volume or structures, unlike a localizer.
        voxels: Number of voxels.
        bounds_mm: Lower and upper corner of the centers of its voxels, LPS; None where it is not known.
        is_attenuation_corrected: Of a PET; None where CorrectedImage is missing.
        units: Of a PET (0054,1001).
        referenced_uids: Series that structures refer to.
        notes: What was left out of it or is unusual.
    """

    number: int
    label: str
    modality: str
    uid: str
    study_uid: str
    patient_key: str = ""
    frame_uid: str = ""
    why_unusable: str | None = None
    is_damaged: bool = False
    voxels: int = 0
    bounds_mm: tuple[Vector, Vector] | None = None
    is_attenuation_corrected: bool | None = None
    units: str = ""
    referenced_uids: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def shares_frame(self, other: SeriesFacts) -> bool:
        """Whether the positions of both can be compared; also where one of them states no frame of reference."""
        return not self.frame_uid or not other.frame_uid or self.frame_uid == other.frame_uid

    def may_share_patient(self, other: SeriesFacts) -> bool:
        """Whether both state the same patient, or one of them states none."""
        return not self.patient_key or not other.patient_key or self.patient_key == other.patient_key

    def extent(self) -> float:
        """Volume of its box in mm³, or its number of voxels where the box is not known."""
        if self.bounds_mm is None:
            return float(self.voxels)
        return math.prod(max(high - low, 1.0) for low, high in zip(*self.bounds_mm, strict=True))


def overlap_share(inner: SeriesFacts, outer: SeriesFacts) -> float:
    """Share of one series' box that lies inside the other's, 0 to 1; 1 where a box is not known."""
    if inner.bounds_mm is None or outer.bounds_mm is None:
        return 1.0
    (low_a, high_a), (low_b, high_b) = inner.bounds_mm, outer.bounds_mm
    share = 1.0
    for a, b, c, d in zip(low_a, high_a, low_b, high_b, strict=True):
        share *= max(0.0, min(b, d) - max(a, c)) / max(b - a, 1.0)
    return share
