"""Image files in and out through SimpleITK, with geometry and pixel type kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.files.atomic import atomic_write
from ssimh.orientation import orientation_of
from ssimh.units import unit_from_metadata

try:
    import SimpleITK as sitk
except ModuleNotFoundError as error:
    if error.name != "SimpleITK":
        raise
    raise ImportError(
        'reading image files needs SimpleITK, which is not installed: pip install "ssimh[cli]"'
    ) from error

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".gipl", ".gipl.gz", ".tif", ".tiff", ".dcm")
_ONE_FILE = {".mhd": ".mha", ".nhdr": ".nrrd", ".hdr": ".nii", ".dcm": ".nii.gz"}
PIXEL_TYPES = ("same", "float32")


class ScanError(ValueError):
    """A file that cannot be used as a scan; the message names it."""


@dataclass(frozen=True)
class Scan:
    """One scan as read from a file.

    Args:
        path: the file, or the folder of a DICOM series.
        values: (z, y, x) or (y, x) array in the file's own pixel type; HU for CT.
        header: SimpleITK image without further use of its voxels: size, spacing, origin, direction, metadata.
        spacing_mm: voxel size in the order of ``values``.
        orientation: letters in the order of ``values``; None for two-dimensional files.
        unit: unit that the file states, or None.
    """

    path: Path
    values: NDArray[Any]
    header: Any
    spacing_mm: tuple[float, ...]
    orientation: str | None
    unit: str | None

    @property
    def slice_axes(self) -> tuple[int, ...]:
        """Axes within an axial slice, counted from the end."""
        if self.orientation is None:
            return (-2, -1)
        stacked = next(number for number, letter in enumerate(self.orientation) if letter in "SI")
        return tuple(axis - 3 for axis in range(3) if axis != stacked)


def read_scan(path: str | os.PathLike[str]) -> Scan:
    """Read a scalar image of two or three dimensions, or a folder with one DICOM series.

    Raises:
        FileNotFoundError: no such file or folder.
        ScanError: not an image, several series, color or time, or values that are not real numbers.
    """
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    try:
        image = _read_series(source) if source.is_dir() else sitk.ReadImage(str(source))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ScanError(f"{source} cannot be read as an image: {reason}") from error
    dimension = image.GetDimension()
    if dimension not in (2, 3) or image.GetNumberOfComponentsPerPixel() != 1:
        raise ScanError(
            f"{source} has {dimension} dimensions and {image.GetNumberOfComponentsPerPixel()} values per voxel; "
            "allowed are two or three dimensions and one value."
        )
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind not in "iuf":
        raise ScanError(
            f"{source} has pixel type {image.GetPixelIDTypeAsString()}; allowed are integer and floating types."
        )
    orientation = None
    if dimension == 3:
        directions = np.array(image.GetDirection()).reshape(3, 3)[:, ::-1]
        orientation = orientation_of(directions, space="LPS")
    metadata = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return Scan(source, values, image, image.GetSpacing()[::-1], orientation, unit_from_metadata(metadata))


def _read_series(folder: Path) -> Any:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        raise ScanError(f"{folder} holds {len(series)} DICOM series; a folder must hold exactly one.")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    image = reader.Execute()
    first = sitk.ImageFileReader()
    first.SetFileName(names[0])
    first.ReadImageInformation()
    # The series reader drops the tags; these two say whether it is PET.
    for key in ("0008|0060", "0054|1001"):
        if first.HasMetaDataKey(key):
            image.SetMetaData(key, first.GetMetaData(key))
    return image


def write_scan(path: str | os.PathLike[str], values: NDArray[Any], like: Scan, pixel_type: str = "same") -> int:
    """Write ``values`` with the spacing, origin, direction and metadata of ``like``; whole or not at all.

    Args:
        path: file to write; its suffix decides the format.
        values: array of the shape of ``like.values``, floating.
        like: the scan that gives the geometry.
        pixel_type: ``"same"`` as the file read (integers are rounded and limited to what the type holds) or
            ``"float32"``.

    Returns:
        Number of voxels whose value the integer type could not hold and that were limited.

    Raises:
        ValueError: an unknown pixel type, or another shape.
        ScanError: the format cannot be written.
    """
    if pixel_type not in PIXEL_TYPES:
        raise ValueError(f"pixel_type must be one of {', '.join(PIXEL_TYPES)}; given {pixel_type!r}.")
    if values.shape != like.values.shape:
        raise ValueError(f"values have shape {values.shape}, the scan {like.values.shape}; they must be equal.")
    if Path(path).suffix.lower() in _ONE_FILE:
        raise ScanError(f"{path}: use {_ONE_FILE[Path(path).suffix.lower()]}; this format takes more than one file.")
    dtype: np.dtype[Any] = like.values.dtype if pixel_type == "same" else np.dtype(np.float32)
    limited = 0
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        rounded = np.rint(values)
        limited = int(np.count_nonzero((rounded < info.min) | (rounded > info.max)))
        values = rounded.clip(info.min, info.max)
    image = sitk.GetImageFromArray(values.astype(dtype, copy=False))
    image.CopyInformation(like.header)
    for key in like.header.GetMetaDataKeys():
        # Offsets of its own storage are the writer's business.
        if key not in ("scl_slope", "scl_inter", "cal_min", "cal_max", "bitpix", "datatype"):
            image.SetMetaData(key, like.header.GetMetaData(key))
    with atomic_write(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), True)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ScanError(f"{path} cannot be written: {reason}") from error
    return limited


def has_image_suffix(path: Path) -> bool:
    """Whether the name ends as an image file that whole folders are searched for."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def output_name(path: Path) -> str:
    """File name of a result: the input's own, with the one-file sibling of formats that write two files.

    DICOM becomes NIfTI, because a derived DICOM object needs tags of its own.
    """
    if path.is_dir():
        return f"{path.name}.nii.gz"
    return path.stem + _ONE_FILE[path.suffix.lower()] if path.suffix.lower() in _ONE_FILE else path.name


def find_scans(inputs: Sequence[str | os.PathLike[str]]) -> dict[Path, Path]:
    """Scans named or contained in folders: output path relative to the output folder → input.

    A folder is searched with all below it and keeps its structure; a folder with DICOM slices is one scan.

    Raises:
        FileNotFoundError: an input that does not exist.
        ScanError: a folder without a scan, or two inputs with one output.
    """
    found: dict[Path, Path] = {}
    for given in map(Path, inputs):
        if not given.exists():
            raise FileNotFoundError(f"no such file or folder: {given}")
        scans = [(given, Path())] if given.is_file() else _in_folder(given)
        if not scans:
            raise ScanError(f"{given} holds no image file; known are {', '.join(SUFFIXES)}.")
        for path, folder in scans:
            target = folder / output_name(path)
            if target in found:
                raise ScanError(f"{found[target]} and {path} would both be written to {target}; apply them separately.")
            found[target] = path
    return found


def _in_folder(root: Path) -> list[tuple[Path, Path]]:
    scans: list[tuple[Path, Path]] = []
    for path in sorted([root, *root.rglob("*")]):
        if path.is_dir() and any(child.name.lower().endswith(".dcm") for child in path.iterdir() if child.is_file()):
            folder = path.relative_to(root).parent if path != root else Path()
            scans.append((path, folder))
        elif path.is_file() and has_image_suffix(path) and not path.name.lower().endswith(".dcm"):
            scans.append((path, path.relative_to(root).parent))
    return scans
