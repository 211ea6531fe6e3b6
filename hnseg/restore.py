"""Back onto the native CT grid: the inverse of the crop, through physical coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.geometry import Grid
from hnseg.resample import resample


def restore_label(label: NDArray[np.uint8], crop_grid: Grid, ct_grid: Grid) -> NDArray[np.uint8]:
    """A label on the crop grid, by nearest neighbour on the CT grid; 0 outside the box.

    Parameters
    ----------
    label : ndarray (z, y, x) uint8
    crop_grid, ct_grid : Grid

    Returns
    -------
    ndarray of ``ct_grid.shape``, uint8
    """
    return resample(label, crop_grid, ct_grid, outside=0, interpolation="nearest")


def restore_probabilities(probabilities: NDArray[Any], crop_grid: Grid, ct_grid: Grid) -> NDArray[np.uint8]:
    """Resample class probabilities linearly onto the CT grid, then take the most probable class.

    Resampling before the decision keeps thin lesions that a nearest-neighbour mask would tear. Only the part of the
    CT that the box covers is computed.

    Parameters
    ----------
    probabilities : ndarray (classes, z, y, x) of float
        Class 0 is background, which is also what lies outside the box.
    crop_grid, ct_grid : Grid

    Returns
    -------
    ndarray of ``ct_grid.shape``, uint8
    """
    mask = np.zeros(ct_grid.shape, np.uint8)
    low, high = covered_index(crop_grid, ct_grid)
    if (high <= low).any():
        return mask
    size = high - low
    part = Grid((size[0], size[1], size[2]), ct_grid.spacing_mm, tuple(ct_grid.to_physical(low)), ct_grid.direction)
    best = np.full(part.shape, -1.0, np.float32)
    window = mask[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    for value, plane in enumerate(np.asarray(probabilities, dtype=np.float32)):
        here = resample(plane, crop_grid, part, outside=1.0 if value == 0 else 0.0)
        better = here > best
        window[better] = value
        best[better] = here[better]
    return mask


def covered_index(box: Grid, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index range [low, high) of ``grid``, (x, y, z), that holds all of its voxels inside ``box``."""
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
    index = grid.to_index(box.to_physical(corners * np.asarray(box.size) - 0.5))
    low = np.clip(np.floor(index.min(axis=0)), 0, grid.size).astype(np.int64)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.size).astype(np.int64)
    return low, high
