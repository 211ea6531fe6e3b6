"""Resampling in physical space: one interpolation per image, straight onto the grid that is wanted."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.geometry import Grid
from hnseg.images import load_sitk, to_sitk

Interpolation = Literal["linear", "nearest"]


def resample(
    array: NDArray[Any], grid: Grid, target: Grid, *, outside: float, interpolation: Interpolation = "linear"
) -> NDArray[Any]:
    """Sample an image on another grid.

    Parameters
    ----------
    array : ndarray (z, y, x)
        Any real dtype; kept.
    grid, target : Grid
        Where the array lies, and where it is wanted; any origin, spacing and direction.
    outside : float
        Value where the target leaves the image: −1024 for CT in HU, 0 for PET and labels.
    interpolation : {"linear", "nearest"}
        ``nearest`` for labels.

    Returns
    -------
    ndarray of ``target.shape``
    """
    sitk = load_sitk()
    method = sitk.sitkLinear if interpolation == "linear" else sitk.sitkNearestNeighbor
    image = to_sitk(np.ascontiguousarray(array), grid)
    moved = sitk.Resample(
        image,
        target.size,
        sitk.Transform(),
        method,
        target.origin_mm,
        target.spacing_mm,
        target.direction,
        float(outside),
        image.GetPixelID(),
    )
    result: NDArray[Any] = sitk.GetArrayFromImage(moved)
    return result


def overlap_mm(a: Grid, b: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The axis-aligned physical box (lower, upper) that both grids cover, or None where they are disjoint."""
    (a_low, a_high), (b_low, b_high) = a.bounds_mm(), b.bounds_mm()
    low, high = np.maximum(a_low, b_low), np.minimum(a_high, b_high)
    return (low, high) if (high > low).all() else None


def upright_grid(lower_mm: NDArray[np.float64], size: tuple[int, int, int], spacing_mm: float) -> Grid:
    """A grid along the patient's axes whose first voxel has its outer corner at ``lower_mm``, (x, y, z) LPS."""
    origin = np.asarray(lower_mm, dtype=np.float64) + spacing_mm / 2
    return Grid(size, (spacing_mm,) * 3, (float(origin[0]), float(origin[1]), float(origin[2])))
