"""The headers of the series that a mask lies on, checked and made ready to be referred to; what every result states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.valuerep import format_number_as_ds

from hnseg.cohort.labels import Label, describe_invalid_values, invalid_label_values
from hnseg.errors import DicomError
from hnseg.images.geometry import Grid

SERIES_NUMBER = 9200  # far from those of a scanner
SERIES_DESCRIPTION = "hnseg GTV segmentation, research only"
CONTENT_DESCRIPTION = "GTV by hnseg. For research; not for clinical use"
MANUFACTURER, MODEL = "ssimh developers", "hnseg"
RESAMPLED = "no image has the voxels of a series that was resampled, as for a gantry tilt"
POSITION_TOLERANCE_MM = 0.15  # a series whose positions are up to 0.1 mm from a regular stack is read as one

# Patient and study are the source's: the result belongs into the same study. Empty where the source has none.
_REQUIRED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_OPTIONAL = (
    "StudyInstanceUID",
    "SpecificCharacterSet",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
)
PATIENT_AND_STUDY = (*_REQUIRED, *_OPTIONAL)
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_POSITION = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


def check_mask(mask: Label, grid: Grid) -> None:
    """Refuse a mask that is not on its grid, or holds other values than labels.

    Raises:
        ValueError: It has another shape, or other values.
    """
    if mask.shape != grid.shape:
        raise ValueError(f"mask of shape {mask.shape} on a grid of shape {grid.shape}")
    if invalid := invalid_label_values(mask):
        raise ValueError(describe_invalid_values(invalid))


def check_source(headers: Sequence[Dataset], grid: Grid, name: str) -> None:
    """Refuse headers that are not those of the slices of a grid, in its order.

    Raises:
        DicomError: There is another number of slices, an attribute is missing, or a slice lies elsewhere; a series that
            was resampled, as for a gantry tilt, is one such.
    """
    if len(headers) != grid.size[2]:
        raise DicomError(name, f"{len(headers)} headers for a grid of {grid.size[2]} slices")
    for keyword in (*_NEEDED, *_POSITION):
        if any(not header.get(keyword) for header in headers):
            raise DicomError(name, "a result cannot refer to images without this attribute", keyword)
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]) * (np.array(grid.size) - 1)
    step_mm = grid.to_physical((0, 0, 1)) - grid.to_physical((0, 0, 0))
    first_mm = grid.to_physical(corners)
    for k, header in enumerate(headers):
        rows, columns = int(header.get("Rows", 0)), int(header.get("Columns", 0))
        if (columns, rows) != grid.size[:2]:
            of_mask = f"{grid.size[0]} × {grid.size[1]}"
            message = f"slice {k} has {columns} × {rows} voxels, the mask {of_mask}: {RESAMPLED}"
            raise DicomError(name, message, "Rows")
        away_mm = float(np.abs(_plane_points(header, corners) - first_mm - k * step_mm).max())
        if away_mm > POSITION_TOLERANCE_MM:
            message = f"slice {k} of the mask lies {away_mm:.3g} mm from its image: {RESAMPLED}"
            raise DicomError(name, message, "ImagePositionPatient")


def copy_references(header: Dataset, grid: Grid) -> Dataset:
    """What a result takes over from a header: identity of patient, study and image, and its position.

    The spacing of slices is the grid's: files state it wrongly, or not at all.
    """
    copied = Dataset()
    optional = [keyword for keyword in _OPTIONAL if keyword in header]
    for keyword in (*_REQUIRED, *_NEEDED, *_POSITION, "Rows", "Columns", *optional):
        setattr(copied, keyword, header.get(keyword))  # values, not the header's elements, which would be shared
    copied.PositionReferenceIndicator = header.get("PositionReferenceIndicator")
    copied.SpacingBetweenSlices = format_number_as_ds(grid.spacing_mm[2])
    copied.SliceThickness = header.get("SliceThickness") or copied.SpacingBetweenSlices
    copied.Modality = header.get("Modality", "CT")
    return copied


def _plane_points(header: Dataset, corners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Physical points of in-plane indices (n, 3) by the header alone."""
    row, column = np.reshape(np.asarray(header.ImageOrientationPatient, dtype=np.float64), (2, 3))
    between_rows_mm, between_columns_mm = np.asarray(header.PixelSpacing, dtype=np.float64)
    origin = np.asarray(header.ImagePositionPatient, dtype=np.float64)
    return origin + corners[:, :1] * between_columns_mm * row + corners[:, 1:2] * between_rows_mm * column
