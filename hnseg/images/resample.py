"""Resampling in physical space: one interpolation per image, directly onto the target grid.

Only the part of the image that the target covers is read, so the cost depends on the target and not on the image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk
from ssimh.images.simpleitk import load_sitk, to_array

Interpolation = Literal["linear", "cubic", "nearest"]
# Voxels beyond the target's edge that its values depend on. The coefficients of the cubic B-spline depend on all
# voxels, with weights that fall by a factor of 3.7 per voxel: 1e-8 after 14.
MARGIN_VOX = {"linear": 2, "nearest": 2, "cubic": 14}


def resample(
    array: NDArray[Any],
    grid: Grid,
    target: Grid,
    *,
    outside: float,
    interpolation: Interpolation = "linear",
) -> NDArray[Any]:
    """Sample an image on another grid.

    Args:
        array: (z, y, x) array of any real dtype.
        grid: Grid of the array; any origin, spacing and direction.
        target: Grid of the result, likewise.
        outside: Value where the target extends beyond the image: −1024 for CT in HU, 0 for PET and labels.
        interpolation: ``cubic`` is the B-spline of order 3, clamped to the range of the image's values around the
            target, so that PET stays positive and bone does not overshoot the measured values. ``nearest`` is for
            labels.

    Returns:
        Array of ``target.shape``: float32, or the array's own dtype for ``nearest``.
    """
    dtype = array.dtype if interpolation == "nearest" else np.dtype(np.float32)
    low, high = covered_index(target, grid, margin_vox=MARGIN_VOX[interpolation])
    if (high <= low).any():
        return np.full(target.shape, outside, dtype)
    sitk = load_sitk()
    part = np.ascontiguousarray(array[low[2] : high[2], low[1] : high[1], low[0] : high[0]])
    image = to_sitk(part if part.dtype != np.bool_ else part.astype(np.uint8), subgrid(grid, low, high))
    method = {"linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}[interpolation]
    kind = image.GetPixelID() if interpolation == "nearest" else sitk.sitkFloat32
    geometry = (target.size, sitk.Transform(), method, target.origin_mm, target.spacing_mm, target.direction)
    result = to_array(sitk.Resample(image, *geometry, float(outside), kind))
    if interpolation == "cubic":
        is_outside = result == np.float32(outside)
        np.clip(result, part.min(), part.max(), out=result)
        result[is_outside] = outside
    return result.astype(dtype, copy=False)


def resample_label(
    label: NDArray[np.uint8], grid: Grid, target: Grid, *, method: Literal["nearest", "linear"] = "nearest"
) -> NDArray[np.uint8]:
    """Sample a label (z, y, x) on another grid, 0 outside.

    ``linear`` interpolates each class as an image of zeros and ones and takes the largest, which gives smoother
    borders between slices; ``nearest`` copies the label of the nearest voxel.
    """
    if method == "nearest":
        return resample(label, grid, target, outside=0, interpolation="nearest")
    classes = range(int(label.max()) + 1)
    return argmax_label(((label == value).astype(np.float32) for value in classes), grid, target)


def argmax_label(planes: Iterable[NDArray[Any]], grid: Grid, target: Grid) -> NDArray[np.uint8]:
    """Interpolate one image per class linearly and take the class of the largest value; class 0 outside.

    Only the part of the target that the images cover is computed, one class at a time.

    Args:
        planes: One (z, y, x) image per class, in the order of the classes.
        grid: Grid of the images.
        target: Grid of the result.

    Returns:
        Array of ``target.shape`` with class numbers.
    """
    mask = np.zeros(target.shape, np.uint8)
    low, high = covered_index(grid, target)
    if (high <= low).any():
        return mask
    part = subgrid(target, low, high)
    best = np.full(part.shape, -1.0, np.float32)
    window = mask[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    for value, plane in enumerate(planes):
        sampled = resample(plane, grid, part, outside=1.0 if value == 0 else 0.0)
        better = sampled > best
        window[better] = value
        best[better] = sampled[better]
    return mask


def covered_index(box: Grid, grid: Grid, *, margin_vox: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index range [low, high) of ``grid``, (x, y, z), that contains its voxels inside ``box`` and a margin."""
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
    index = grid.to_index(box.to_physical(corners * np.asarray(box.size) - 0.5))
    low = np.clip(np.floor(index.min(axis=0)) - (margin_vox - 1), 0, grid.size).astype(np.int64)
    high = np.clip(np.ceil(index.max(axis=0)) + margin_vox, 0, grid.size).astype(np.int64)
    return low, high


def subgrid(grid: Grid, low: NDArray[np.int64], high: NDArray[np.int64]) -> Grid:
    """The grid of the index range [low, high), (x, y, z)."""
    x, y, z = (int(n) for n in high - low)
    ox, oy, oz = grid.to_physical(low).tolist()
    return Grid((x, y, z), grid.spacing_mm, (ox, oy, oz), grid.direction)


def overlap_mm(a: Grid, b: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The axis-aligned physical box (lower, upper) that both grids cover; None for disjoint grids."""
    (a_low, a_high), (b_low, b_high) = a.bounds_mm(), b.bounds_mm()
    low, high = np.maximum(a_low, b_low), np.minimum(a_high, b_high)
    return (low, high) if (high > low).all() else None


def upright_grid(lower_mm: NDArray[np.float64], size: tuple[int, int, int], spacing_mm: float) -> Grid:
    """A grid along the patient's axes, with the outer corner of its first voxel at ``lower_mm``, (x, y, z) LPS."""
    origin = np.asarray(lower_mm, dtype=np.float64) + spacing_mm / 2
    return Grid(size, (spacing_mm,) * 3, (float(origin[0]), float(origin[1]), float(origin[2])))


def covering_grid(low_mm: NDArray[np.float64], high_mm: NDArray[np.float64], spacing_mm: float) -> Grid:
    """The upright grid that fills a box (x, y, z) and is aligned with its upper end along z."""
    size = [int(n) for n in np.maximum(np.floor((high_mm - low_mm) / spacing_mm + 1e-6), 1)]
    low = np.array([low_mm[0], low_mm[1], high_mm[2] - size[2] * spacing_mm])
    return upright_grid(low, (size[0], size[1], size[2]), spacing_mm)
