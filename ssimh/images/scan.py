"""Scans in files: found, read strictly, and written with geometry and pixel type kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.images.image_file import ImageHeader, read_image_file
from ssimh.images.image_writing import write_image_file
from ssimh.images.simpleitk import itk_reason, load_sitk
from ssimh.orientation import orientation_of
from ssimh.units import unit_from_metadata

load_sitk()  # whoever imports this module reads files: a missing extra is named at once

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".gipl", ".gipl.gz", ".tif", ".tiff", ".dcm")
_ONE_FILE = {".mhd": ".mha", ".nhdr": ".nrrd", ".hdr": ".nii", ".dcm": ".nii.gz"}
PIXEL_TYPES = ("same", "float32")
# Metadata that describe how the input stored its voxels.
STORAGE_KEYS = ("scl_slope", "scl_inter", "cal_min", "cal_max", "bitpix", "datatype")


class ScanError(ValueError):
    """A scan that does not fit the request, or a result that cannot be written; the message names the file."""


@dataclass(frozen=True)
class LoadedScan:
    """One scan as read from a file.

    Attributes:
        path: The file, or the folder of a DICOM series.
        values: (z, y, x) or (y, x) array in the file's own pixel type; HU for CT.
        header: The file's geometry and metadata.
        orientation: Letters in the order of ``values``; None for two-dimensional files.
        unit: Unit that the file states, or None.
    """

    path: Path
    values: NDArray[Any]
    header: ImageHeader
    orientation: str | None
    unit: str | None

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Voxel size in the order of ``values``."""
        return self.header.spacing_mm[::-1]

    @property
    def affine(self) -> NDArray[np.float64] | None:
        """Index in the order of ``values`` to RAS+ millimeters, 4 × 4; None for two-dimensional files."""
        if self.values.ndim != 3:
            return None
        to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # ITK's frame is LPS+, and its index runs x, y, z
        affine = np.eye(4)
        affine[:3, :3] = (np.array(self.header.direction).reshape(3, 3) * self.header.spacing_mm)[:, ::-1]
        affine[:3, 3] = self.header.origin_mm
        return to_ras @ affine

    @property
    def slice_axes(self) -> tuple[int, ...]:
        """Axes within an axial slice, counted from the end."""
        if self.orientation is None:
            return (-2, -1)
        stacked = next(number for number, letter in enumerate(self.orientation) if letter in "SI")
        return tuple(axis - 3 for axis in range(3) if axis != stacked)


def read_scan(path: str | os.PathLike[str]) -> LoadedScan:
    """Read a scalar image of two or three dimensions, or a folder with one DICOM series.

    Raises:
        ImageFileError: The file is missing, damaged, or no scan; see :func:`ssimh.images.image_file.read_image_file`.
    """
    values, header = read_image_file(path)
    orientation = None
    if values.ndim == 3:
        directions = np.array(header.direction).reshape(3, 3)[:, ::-1]
        orientation = orientation_of(directions, space="LPS")
    return LoadedScan(header.path, values, header, orientation, unit_from_metadata(header.metadata))


def write_scan(path: str | os.PathLike[str], values: NDArray[Any], like: LoadedScan, pixel_type: str = "same") -> int:
    """Write ``values`` with the spacing, origin, direction and metadata of ``like``; whole or not at all.

    Args:
        path: File to write; its suffix decides the format.
        values: Floating array of the shape of ``like.values``.
        like: The scan that gives the geometry.
        pixel_type: ``"same"`` as the file read (integers are rounded and limited to what the type holds) or
            ``"float32"``.

    Returns:
        Number of voxels whose value the integer type could not hold and that were limited.

    Raises:
        ValueError: An unknown pixel type, or another shape.
        ScanError: The format cannot be written.
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
    sitk = load_sitk()
    image = sitk.GetImageFromArray(values.astype(dtype, copy=False))
    image.SetSpacing(like.header.spacing_mm)
    image.SetOrigin(like.header.origin_mm)
    image.SetDirection(like.header.direction)
    for key, text in like.header.metadata.items():
        if key not in STORAGE_KEYS:
            image.SetMetaData(key, text)
    try:
        write_image_file(path, image)
    except RuntimeError as error:
        raise ScanError(f"{path} cannot be written: {itk_reason(error)}") from error
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
        FileNotFoundError: An input does not exist.
        ScanError: A folder holds no scan, or two inputs have one output; names that differ in case alone are one name
            on macOS and Windows.
    """
    found: dict[Path, Path] = {}
    taken: dict[str, Path] = {}
    for given in map(Path, inputs):
        if not given.exists():
            raise FileNotFoundError(f"no such file or folder: {given}")
        scans = [(given, Path())] if given.is_file() else _in_folder(given)
        if not scans:
            raise ScanError(f"{given} holds no image file; known are {', '.join(SUFFIXES)}.")
        for path, folder in scans:
            target = folder / output_name(path)
            other = taken.setdefault(target.as_posix().casefold(), path)
            if other != path or target in found:
                raise ScanError(f"{other} and {path} would both be written to {target}; apply them separately.")
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
