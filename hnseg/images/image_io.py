"""Image files of a case: the strict reader of :mod:`ssimh.images.image_file`, with the case in its errors.

SimpleITK is loaded when first used: training and inference run on prepared arrays and import without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from ssimh.images.image_file import ImageFileError, ImageHeader, read_image_file, read_image_header
from ssimh.images.image_writing import write_image_file
from ssimh.images.simpleitk import load_sitk


def read_grid(path: Path, case_id: str) -> Grid:
    """The grid of an image file, from its header alone.

    Raises:
        CaseError: No such file, not an image, or not scalar and three-dimensional.
    """
    return _to_grid(_read_header(path, case_id), case_id)


def decoded_bytes(path: Path, case_id: str) -> int:
    """Size of an image file's voxels in memory, from its header alone.

    Raises:
        CaseError: As :func:`read_grid`.
    """
    return _read_header(path, case_id).memory_bytes


def read_image(path: Path, case_id: str, dtype: Any | None = np.float32) -> tuple[NDArray[Any], Grid]:
    """Read a scalar three-dimensional image.

    Args:
        path: The image file.
        case_id: The case it belongs to, for errors.
        dtype: Type of the array. None keeps the file's own: a CT of 16 bits per voxel is then held once, in the memory
            that ITK read it into.

    Returns:
        ``(array, grid)``: a (z, y, x) array of ``dtype``, the file's slope and intercept applied (HU for CT, SUV for
        PET), and its grid.

    Raises:
        CaseError: The file is missing, damaged, or no scalar three-dimensional image; see
            :func:`ssimh.images.image_file.read_image_file`.
    """
    if not path.is_file():
        _read_header(path, case_id)  # a folder is a DICOM series elsewhere; here it is an error
    try:
        values, header = read_image_file(path)
    except ImageFileError as error:
        raise CaseError(case_id, error.reason, path) from error
    grid = _to_grid(header, case_id)
    return values.astype(dtype or values.dtype, copy=False), grid


def _read_header(path: Path, case_id: str) -> ImageHeader:
    try:
        return read_image_header(path)
    except ImageFileError as error:
        raise CaseError(case_id, error.reason, path) from error


def _to_grid(header: ImageHeader, case_id: str) -> Grid:
    if len(header.size) != 3:
        raise CaseError(case_id, f"expected a scalar 3-D image, got size {header.size}", header.path)
    return Grid(header.size, header.spacing_mm, header.origin_mm, header.direction)  # type: ignore[arg-type]


def to_sitk(array: NDArray[Any], grid: Grid) -> Any:
    """SimpleITK image of an array (z, y, x) on a grid.

    Raises:
        ValueError: The array has another shape.
    """
    if array.shape != grid.shape:
        raise ValueError(f"array of shape {array.shape} on a grid of shape {grid.shape}")
    image = load_sitk().GetImageFromArray(array)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    return image


def write_image(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """Write an array (z, y, x) with its grid; the file appears whole or not at all.

    Raises:
        OSError: The disk is full, or the file cannot be written for another reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Level 1: half the time of level 3 for a few percent of size.
    write_image_file(path, to_sitk(array, grid), compression_level=1)
