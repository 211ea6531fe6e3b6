"""Small studies of CT, PET and contours, written as DICOM files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from tests.hnseg.dicom import phantoms
from tests.hnseg.dicom.phantom_files import write_dataset

SHAPE = (9, 12, 10)  # (z, y, x) of CT and PET
CT_MM = (4.0, 4.0, 3.0)  # 40 × 48 × 27 mm
PET_MM = (5.0, 5.0, 3.0)
# 70 kg; 350 MBq of a nuclide with 6586.2 s, an hour before the scan
FACTOR = 70_000 / (350e6 * 2 ** (-3600 / 6586.2))
LESION = slice(3, 6), slice(4, 8), slice(2, 7)  # voxels of the CT (z, y, x) within the contours of GTVp


def make_study(
    folder: Path,
    name: str = "study",
    *,
    ct: dict[str, Any] | None = None,
    pet: dict[str, Any] | None = None,
    structures: Sequence[str] = ("GTVp",),
    edit: Callable[[Dataset, int], None] | None = None,
) -> dict[str, list[Dataset]]:
    """Write a study of a patient of its own into ``folder/ct``, ``folder/pet``, ``folder/rt``.

    Args:
        folder: Where it goes.
        name: What patient and UIDs follow from.
        ct: Options of :func:`tests.hnseg.dicom.phantoms.make_ct`.
        pet: Options of :func:`tests.hnseg.dicom.phantoms.make_pet`.
        structures: Names; the first encloses ``LESION``. None: no RTSTRUCT.
        edit: Called with each dataset before it is written.
    """
    shared = {"shape": SHAPE, "study": name, "patient": f"P-{name}", "edit": edit}
    written = {
        "ct": phantoms.make_ct(folder / "ct", **{**shared, "spacing_mm": CT_MM, **(ct or {})}),
        "pet": phantoms.make_pet(folder / "pet", **{**shared, "spacing_mm": PET_MM, **(pet or {})}),
    }
    if structures:
        written["rt"] = [write_contours(folder / "rt" / "contours", written["ct"], structures, edit=edit)]
    return written


def write_contours(
    path: Path,
    images: Sequence[Dataset],
    names: Sequence[str],
    *,
    tags: dict[str, Any] | None = None,
    edit: Callable[[Dataset, int], None] | None = None,
) -> Dataset:
    """Write an RTSTRUCT that refers to images: a box for each name, the first around ``LESION``, others beside it."""
    first = images[0]
    dataset = Dataset()
    dataset.file_meta = phantoms.FileMetaDataset()
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = phantoms.uid(str(path), 1), phantoms.uid(str(path), 2)
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate"):
        setattr(dataset, keyword, getattr(first, keyword))
    dataset.Modality, dataset.StructureSetLabel = "RTSTRUCT", "contours"
    series = item(
        SeriesInstanceUID=first.SeriesInstanceUID, ContourImageSequence=[_reference(image) for image in images]
    )
    study = item(ReferencedSOPInstanceUID=first.StudyInstanceUID, RTReferencedSeriesSequence=[series])
    frame = item(FrameOfReferenceUID=first.FrameOfReferenceUID, RTReferencedStudySequence=[study])
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, name in enumerate(names, 1):
        dataset.StructureSetROISequence.append(
            item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID=first.FrameOfReferenceUID)
        )
        contours = [_box(images[z], shift=2 * (number - 1)) for z in range(LESION[0].start, LESION[0].stop)]
        dataset.ROIContourSequence.append(item(ReferencedROINumber=number, ContourSequence=contours))
    for keyword, value in (tags or {}).items():
        setattr(dataset, keyword, value)
    if edit is not None:
        edit(dataset, 0)
    write_dataset(dataset, path, ExplicitVRLittleEndian)
    return dataset


def item(**values: Any) -> Dataset:
    """A dataset with some attributes."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _reference(image: Dataset) -> Dataset:
    return item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)


def _box(image: Dataset, *, shift: int) -> Dataset:
    """A contour half a voxel around ``LESION``, moved along y."""
    dy, dx = (float(value) for value in image.PixelSpacing)
    (y0, y1), (x0, x1) = ((part.start - 0.5, part.stop - 0.5) for part in LESION[1:])
    corners = [(x, y + shift) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    origin = np.array([float(value) for value in image.ImagePositionPatient])
    points = [origin + np.array([x * dx, y * dy, 0.0]) for x, y in corners]
    return item(
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(points),
        ContourImageSequence=[_reference(image)],
        ContourData=[f"{value:.8g}" for value in np.ravel(points)],
    )
