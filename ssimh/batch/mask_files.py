"""Mask files beside scans: found by a pattern, read strictly, and on the scan's own grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.boolean import as_boolean
from ssimh.images.scan import SUFFIXES, LoadedScan, ScanError, read_scan

_TOLERANCE_MM = 1e-3  # NIfTI keeps single precision


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that names no file.

    Args:
        pattern: path with ``{folder}`` and ``{name}`` of a scan, see :func:`find_mask`.

    Raises:
        ValueError: other braces than those of ``{folder}`` and ``{name}``.
    """
    rest = re.sub(r"\{(folder|name)\}", "", pattern)
    if "{" in rest or "}" in rest:
        raise ValueError(
            f"mask {pattern!r} must be a path in which {{folder}} and {{name}} stand for those of a scan; other braces "
            "have no meaning."
        )


def find_mask(pattern: str, scan: Path) -> Path:
    """The mask of a scan.

    Args:
        pattern: path; ``{folder}`` is the folder that holds the scan, ``{name}`` its file name without the ending of
            an image file (``.nii.gz``), or the name of a DICOM folder.
        scan: file, or DICOM folder.

    >>> find_mask("{folder}/masks/{name}.nii.gz", Path("in/a.1.nii.gz")).as_posix()
    'in/masks/a.1.nii.gz'
    """
    endings = [] if scan.is_dir() else [ending for ending in SUFFIXES if scan.name.lower().endswith(ending)]
    name = scan.name[: len(scan.name) - max(map(len, endings), default=0)]
    return Path(pattern.format(folder=scan.parent, name=name))


def leave_out_masks(scans: Mapping[Path, Path], find: Callable[[Path], Path | None]) -> dict[Path, Path]:
    """The scans that are not the mask of another one: in a folder, both are image files.

    Args:
        scans: output → input.
        find: the mask file of a scan, or None.

    Raises:
        ScanError: no scan is left.
    """
    masks = {mask.resolve() for source in scans.values() if (mask := find(source)) is not None}
    found = {target: source for target, source in scans.items() if source.resolve() not in masks}
    if not found:
        raise ScanError(f"{', '.join(map(str, scans.values()))}: nothing but masks; name their scans.")
    return found


def read_mask(pattern: str, scan: LoadedScan) -> NDArray[np.bool_]:
    """The mask of a scan, in the order of its array.

    Raises:
        ScanError: no such file, values other than 0 and 1, or another grid than the scan's; names both files.
    """
    path = find_mask(pattern, scan.path)
    if not path.exists():
        raise ScanError(f"{scan.path} has no mask {path}.")
    mask = read_scan(path)
    try:
        inside: NDArray[np.bool_] = as_boolean(mask.values, "the mask")
    except (TypeError, ValueError) as error:
        raise ScanError(f"{path}, the mask of {scan.path}: {error}") from error
    if mask.values.shape != scan.values.shape or not _is_at(mask, scan):
        raise ScanError(
            f"{path} has shape {mask.values.shape} and spacing {_rounded(mask)} mm, {scan.path} "
            f"{scan.values.shape} and {_rounded(scan)} mm; a mask must lie on its scan's grid, voxel by voxel."
        )
    if not inside.any():
        raise ScanError(f"{path}, the mask of {scan.path}, has no voxel inside.")
    return inside


def _is_at(mask: LoadedScan, scan: LoadedScan) -> bool:
    """Whether the voxels of two arrays of one shape lie at the same places."""
    mine: Any = mask.spacing_mm if mask.affine is None else mask.affine
    theirs: Any = scan.spacing_mm if scan.affine is None else scan.affine
    return bool(np.allclose(mine, theirs, rtol=0, atol=_TOLERANCE_MM))


def _rounded(scan: LoadedScan) -> tuple[float, ...]:
    return tuple(round(float(step), 4) for step in scan.spacing_mm)
