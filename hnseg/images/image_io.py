"""Reading and writing image files: the only module that knows SimpleITK, and it loads it when first used.

Training and inference run on prepared arrays and import without SimpleITK.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from ssimh.files.atomic import atomic_write
from ssimh.files.compressed_integrity import verify_compressed
from ssimh.files.nifti_integrity import is_nifti, read_header, verify_size, verify_values

MAX_VOXELS = 2**31  # 2 Gi voxels: eight times a 1.3 m whole-body CT; a larger header is a broken header
SHEAR = 1e-3  # how far direction cosines may be from perpendicular unit vectors; a CT gantry tilted by 1° gives 0.017


@functools.cache
def load_sitk() -> Any:
    """SimpleITK, loaded when first used and held to ``OMP_NUM_THREADS``.

    joblib sets that variable in its worker processes so that they share the cores; ITK does not read it, and two
    workers with a thread a core each took twice the time of two workers with one thread.
    """
    import SimpleITK as sitk

    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS" not in os.environ:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(max(1, int(limit)))
    return sitk


def _reader(path: Path, case_id: str) -> Any:
    sitk = load_sitk()
    if not path.is_file():
        told = "this is a folder, a file is needed" if path.is_dir() else "the file does not exist"
        raise CaseError(case_id, told, path)
    if not os.access(path, os.R_OK):
        raise CaseError(case_id, "there is no permission to read the file", path)
    if path.stat().st_size == 0:
        raise CaseError(case_id, "the file is empty (0 bytes)", path)
    try:
        if is_nifti(path):
            read_header(path)
    except ValueError as error:
        raise CaseError(case_id, f"not a readable image: {error}", path) from error
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise CaseError(case_id, f"not a readable image: {_itk_reason(error)}", path) from error
    return reader


def _itk_reason(error: Exception) -> str:
    """The sentence of an ITK exception that a user can act on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("orthonormal" in line for line in lines):
        return "the header's axes are sheared or singular; they must be perpendicular"
    if any("determine ImageIO" in line for line in lines):
        return "its beginning is damaged, or it is of no format that ITK reads"
    said = [line for line in lines if not line.startswith("Reason:")]  # "Reason: No such file", of a file that is there
    return re.sub(r"\(0x[0-9a-f]+\)|ITK ERROR: ", "", said[-1]) if said else type(error).__name__


def read_grid(path: Path, case_id: str) -> Grid:
    """The grid of an image file, from its header alone."""
    reader = _reader(path, case_id)
    size = list(reader.GetSize())
    if len(size) > 3 and all(n == 1 for n in size[3:]):
        size = size[:3]  # a trailing axis of one: some writers store 3-D images as 4-D
    if len(size) != 3 or reader.GetNumberOfComponents() != 1:
        raise CaseError(
            case_id,
            f"expected a scalar 3-D image, got size {tuple(reader.GetSize())} "
            f"with {reader.GetNumberOfComponents()} component(s)",
            path,
        )
    if int(np.prod(size, dtype=np.int64)) > MAX_VOXELS:
        raise CaseError(case_id, f"the header claims {tuple(size)} voxels, more than {MAX_VOXELS} are refused", path)
    dimension = reader.GetDimension()
    direction = np.asarray(reader.GetDirection()).reshape(dimension, dimension)[:3, :3]
    if not np.abs(direction.T @ direction - np.eye(3)).max() <= SHEAR:
        shown = ", ".join(f"{value:.4g}" for value in direction.ravel())
        raise CaseError(
            case_id,
            f"the header's axes are sheared or singular; they must be perpendicular: direction cosines {shown}",
            path,
        )
    try:
        return Grid(tuple(size), reader.GetSpacing()[:3], reader.GetOrigin()[:3], tuple(direction.ravel()))
    except ValueError as error:
        raise CaseError(case_id, str(error), path) from error


def decoded_bytes(path: Path, case_id: str) -> int:
    """Size of an image file's voxels in memory, from its header alone."""
    reader = _reader(path, case_id)
    bits = re.search(r"(\d+)-bit", load_sitk().GetPixelIDValueAsString(reader.GetPixelID()))
    return int(np.prod(read_grid(path, case_id).size, dtype=np.int64)) * (int(bits[1]) // 8 if bits else 8)


def read_image(path: Path, case_id: str, dtype: Any | None = np.float32) -> tuple[NDArray[Any], Grid]:
    """Read a scalar 3-D image.

    ``dtype`` None keeps the file's own: a CT of 16 bits a voxel is then held once, in the memory that ITK read it into.

    Returns:
        array (ndarray of ``dtype``, (z, y, x)): Stored values with the file's own slope and intercept applied (HU for
            CT, SUV for PET).
        grid: Grid.

    Raises:
        CaseError: No such file, not an image, not 3-D and scalar, truncated, or with NaN or infinite values.
    """
    grid = read_grid(path, case_id)
    reader = _reader(path, case_id)
    try:
        verify_size(path)
        image = reader.Execute()
        stored = to_array(image).reshape(grid.shape)
        verify_values(path, stored)
        verify_compressed(path, stored)
    except ValueError as error:
        raise CaseError(case_id, f"the file is damaged: {error}", path) from error
    except RuntimeError as error:
        raise CaseError(case_id, f"cannot be read to its end ({_itk_reason(error)})", path) from error
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        bad = int((~np.isfinite(stored)).sum())
        raise CaseError(case_id, f"{bad} voxels are NaN or infinite; every value must be finite", path)
    return stored.astype(dtype or stored.dtype, copy=False), grid


def to_array(image: Any) -> NDArray[Any]:
    """The voxels (z, y, x) of a SimpleITK image that nobody else will change, in its own memory."""
    return np.asarray(_Held(image))


class _Held:
    """The memory of an ITK image as an array that keeps the image alive: ``numpy.asarray`` copies nothing."""

    def __init__(self, image: Any) -> None:
        self._image = image
        view = load_sitk().GetArrayViewFromImage(image).__array_interface__
        self.__array_interface__ = {**view, "data": (view["data"][0], False)}  # nobody else has it: it may be written


def to_sitk(array: NDArray[Any], grid: Grid) -> Any:
    """SimpleITK image of an array (z, y, x) on a grid."""
    if array.shape != grid.shape:
        raise ValueError(f"array of shape {array.shape} on a grid of shape {grid.shape}")
    image = load_sitk().GetImageFromArray(array)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    return image


def write_image(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """Write an array (z, y, x) with its grid; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        # Level 1: half the time of the default for a few per cent of size.
        load_sitk().WriteImage(to_sitk(array, grid), str(temporary), useCompression=True, compressionLevel=1)
