"""What a walk keeps: a small record for each slice, series, and file that was left out.

Nothing here holds a pydicom object, and what identifies a patient is not part of a ``repr``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hnseg.images.geometry import Grid, Vector

Modality = Literal["CT", "PT", "RTSTRUCT", "SEG", "OTHER"]
IMAGES: tuple[Modality, ...] = ("CT", "PT")
STRUCTURES: tuple[Modality, ...] = ("RTSTRUCT", "SEG")  # each file is a series of its own
SPOKEN = {"PT": "PET", "OTHER": "Other"}


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """One slice: a file, or a frame of one.

    Attributes:
        path: The file.
        file: Number of the file in the walk, from 1.
        frame: Number of the frame, from 0; None for a file with one slice.
        sop_uid: Instance UID.
        orientation: Direction of a row, then of a column (ImageOrientationPatient); None if not stated.
        position_mm: Center of the first voxel (ImagePositionPatient), LPS; None if not stated.
        pixel_spacing_mm: Between rows, between columns (PixelSpacing); None if not stated.
        rows: Rows of the image.
        columns: Columns of the image.
        moments: Attributes that can tell volumes of one series apart, hashed; see
            :data:`hnseg.dicom.series.split.SPLITS`.
    """

    path: str = field(repr=False)
    file: int
    frame: int | None
    sop_uid: str = field(repr=False)
    orientation: tuple[float, ...] | None
    position_mm: Vector | None
    pixel_spacing_mm: tuple[float, float] | None
    rows: int
    columns: int
    moments: tuple[int, ...] = field(repr=False, default=())


@dataclass(frozen=True)
class SeriesRecord:
    """One volume of a series, or one file of structures, and what it can be used as.

    Attributes:
        number: From 1, in the order of the walk.
        modality: What it is; ``"OTHER"`` for whatever is neither read nor written.
        uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        patient_key: Equal for records of one patient; salted, so it means nothing outside of this walk. Empty where
            neither ID nor name are stated.
        frame_of_reference_uid: FrameOfReferenceUID; empty if not stated.
        slices: In the order of their position where the series is a volume, else in the order of the walk.
        part: Number of the volume within the series, from 1.
        parts: Volumes that the series holds.
        image_type: The terms of ImageType that DICOM defines, without any other.
        is_attenuation_corrected: For PET; None if not stated.
        units: Of a PET (0054,1001), if DICOM defines them; else empty.
        description: SeriesDescription, which may identify a patient.
        grid: Position of the voxels; None where the series is no volume.
        why_unusable: Why the series cannot be used; None if it can.
        unusable_tag: Keyword of the attribute at fault.
        notes: What was left out or is unusual.
    """

    number: int
    modality: Modality
    uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    patient_key: str = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)
    slices: tuple[SliceRecord, ...] = field(repr=False)
    part: int = 1
    parts: int = 1
    image_type: tuple[str, ...] = ()
    is_attenuation_corrected: bool | None = None
    units: str = ""
    description: str = field(default="", repr=False)
    grid: Grid | None = None
    why_unusable: str | None = None
    unusable_tag: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name without identifiers, as ``"PET series 3 (128 × 128 × 267)"``: columns, rows, slices."""
        name = f"{SPOKEN.get(self.modality, self.modality)} series {self.number}"
        if self.rows and self.columns:
            return f"{name} ({self.columns} × {self.rows} × {len(self.slices)})"
        return name

    @property
    def rows(self) -> int:
        """Rows of the images; 0 without images."""
        return self.slices[0].rows

    @property
    def columns(self) -> int:
        """Columns of the images; 0 without images."""
        return self.slices[0].columns

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, each once."""
        return tuple(Path(path) for path in dict.fromkeys(part.path for part in self.slices))

    @property
    def bounds_mm(self) -> tuple[Vector, Vector] | None:
        """Lower and upper corner of the box around the volume, LPS; None where the series is no volume."""
        if self.grid is None:
            return None
        (ax, ay, az), (bx, by, bz) = (bound.tolist() for bound in self.grid.bounds_mm())
        return (ax, ay, az), (bx, by, bz)


@dataclass(frozen=True)
class LeftOutFile:
    """A file that is in no series.

    Attributes:
        number: Number of the file in the walk, from 1.
        path: The file, whose name may identify a patient.
        reason: Why it is left out; without identifiers.
        is_damaged: It may have been an image of a series, which is shorter without it.
    """

    number: int
    path: Path = field(repr=False)
    reason: str
    is_damaged: bool = False


@dataclass(frozen=True)
class SeriesIndex:
    """What is in a folder tree.

    Attributes:
        series: In the order of the walk.
        unreadable: Files that are in no series, and why.
        n_files: Files in the tree.
    """

    series: tuple[SeriesRecord, ...]
    unreadable: tuple[LeftOutFile, ...]
    n_files: int
