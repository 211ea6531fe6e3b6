"""Distances between the surfaces of two masks in mm, and two scores of them.

The surface of a mask is the centers of its voxels with a face neighbor outside of it; beyond the image counts as
outside. The expensive step, every surface voxel's distance to the other surface, is done once
(:func:`surface_distances_mm`); the scores are small functions of its result, as in DeepMind's ``surface-distance``
(Nikolov et al. 2021, doi 10.2196/26151), which weighs surface elements by area where each voxel counts once here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from hnseg.images.components import bounding_box

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in mm from every surface voxel of one mask to the nearest one of the other, both ways."""

    pred_to_truth_mm: FloatArray
    truth_to_pred_mm: FloatArray


def surface_voxels(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices (n, 3) of the voxels of a mask (z, y, x) with a face neighbor outside of it, in scan order."""
    box = bounding_box(mask)
    if box is None:
        return np.empty((0, 3), np.int64)
    inside = mask[box]
    start = np.asarray([side.start for side in box])
    return np.argwhere(inside & ~ndimage.binary_erosion(inside)) + start


def surface_distances_mm(
    pred: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_zyx_mm: Sequence[float]
) -> SurfaceDistances | None:
    """Distances between two surfaces.

    Args:
        pred, truth (ndarray of bool, (z, y, x)): One class on one grid.
        spacing_zyx_mm: 3 floats > 0.

    Returns:
        SurfaceDistances, or None: None when a mask is empty: there is no distance to nothing.

    Raises:
        ValueError: Shapes that differ, or an impossible spacing.

    Two slices of 3 mm apart, and one column of 1 mm further:

    >>> truth = np.zeros((4, 1, 4), bool); truth[0, 0, 0] = True
    >>> pred = np.zeros((4, 1, 4), bool); pred[2, 0, 1] = True
    >>> round(float(surface_distances_mm(pred, truth, (3, 1, 1)).pred_to_truth_mm[0]) ** 2, 6)
    37.0
    """
    if pred.shape != truth.shape or pred.ndim != 3:
        raise ValueError(f"prediction and truth are (z, y, x) on one grid; got {pred.shape} and {truth.shape}")
    spacing = np.asarray(spacing_zyx_mm, dtype=np.float64)
    if spacing.shape != (3,) or not (spacing > 0).all():
        raise ValueError(f"spacing_zyx_mm {spacing_zyx_mm}: three numbers > 0")
    a, b = (surface_voxels(mask) * spacing for mask in (pred, truth))
    if not len(a) or not len(b):
        return None
    return SurfaceDistances(_nearest_mm(a, b), _nearest_mm(b, a))


def _nearest_mm(points: FloatArray, others: FloatArray) -> FloatArray:
    return np.asarray(KDTree(others).query(points)[0], dtype=np.float64)


def hausdorff_mm(distances: SurfaceDistances, percentile: float = 95.0) -> float:
    """The larger of the two directed percentiles of surface distance (100: the Hausdorff distance).

    Percentiles are interpolated linearly between the sorted distances, as in NumPy and MONAI.

    >>> hausdorff_mm(SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 3.0])), 50)
    1.5
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile {percentile} must be in [0, 100]")
    sides = (distances.pred_to_truth_mm, distances.truth_to_pred_mm)
    return max(float(np.percentile(side, percentile)) for side in sides)


def surface_dice(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Share of both surfaces' voxels that lie within ``tolerance_mm`` of the other surface.

    A voxel at exactly the tolerance agrees, whatever the rounding of its distance (1e-6 mm).

    >>> surface_dice(SurfaceDistances(np.array([0.0, 3.0]), np.array([0.0, 3.1])), 3.0)
    0.75
    """
    if not tolerance_mm > 0:
        raise ValueError(f"tolerance_mm {tolerance_mm} must be > 0")
    sides = (distances.pred_to_truth_mm, distances.truth_to_pred_mm)
    near = sum(int(np.count_nonzero(side <= tolerance_mm + 1e-6)) for side in sides)
    return near / sum(side.size for side in sides)
