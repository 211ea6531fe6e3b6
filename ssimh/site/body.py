"""Body mask of a CT, from the set of voxels above a threshold alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

# Midway between air and soft tissue. No voxel changes sides when an image is aligned, see align.py.
BODY_THRESHOLD_HU = -500.0
NO_BODY = "no voxel lies above {} HU, so there is no body; are the values in HU?"
_COARSE = 128


def strides(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Steps that leave at most 128 samples along each axis."""
    return tuple(slice(None, None, -(-size // _COARSE)) for size in shape)


def body_mask(dense: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The body: the largest connected part of the dense voxels without thin attachments, holes filled, one step wider.

    Found on at most 128 samples per axis. One step wider so that partly filled voxels of the skin belong to it;
    what is air there stays air, because alignment moves no voxel below the threshold.

    Args:
        dense: (z, y, x), True above the threshold.

    Returns:
        Mask of the same shape; empty if ``dense`` is.

    >>> scan = np.zeros((6, 16, 16), bool)
    >>> scan[:, 3:12, 3:12] = True
    >>> scan[:, 7:8, 7:8] = False
    >>> scan[0, 0, 0] = True
    >>> mask = body_mask(scan)
    >>> bool(mask[3, 7, 7]), bool(mask[3, 2, 7]), bool(mask[0, 0, 0])
    (True, True, False)
    """
    steps = strides(dense.shape)
    coarse = dense[steps]
    # What lies beyond the array counts as dense: a body cut off by the field of view keeps its corners.
    opened = scipy.ndimage.binary_dilation(scipy.ndimage.binary_erosion(coarse, border_value=1))
    labels, count = scipy.ndimage.label(opened if opened.any() else coarse)
    if count == 0:
        return np.zeros(dense.shape, dtype=bool)
    body = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    for number in range(len(body)):
        body[number] = scipy.ndimage.binary_fill_holes(body[number])
    body = scipy.ndimage.binary_dilation(body)
    for axis, step in enumerate(steps):
        body = np.repeat(body, step.step, axis=axis)
    return np.asarray(body[tuple(slice(size) for size in dense.shape)])


def body_box(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Ends of the body along (z, y, x), from the 1st to the 99th percentile of its voxels, in grid coordinates.

    Grid coordinates are -1 and 1 at the outer faces of the array, so the box does not depend on the voxel size;
    percentiles, so that a hand or a tube does not decide it.

    Returns:
        (3, 2) array, each pair at least one voxel apart.

    >>> body_box(np.ones((10, 10, 10), bool)).round(1).tolist()
    [[-0.9, 0.9], [-0.9, 0.9], [-0.9, 0.9]]
    """
    box = np.empty((3, 2))
    for axis, size in enumerate(mask.shape):
        others = tuple(number for number in range(3) if number != axis)
        share = np.cumsum(mask.sum(axis=others, dtype=np.int64)).astype(float)
        ends: Any = np.searchsorted(share / share[-1], (0.01, 0.99))
        low, high = ((ends + 0.5) / size) * 2 - 1
        middle, half = (low + high) / 2, max((high - low) / 2, 1 / size)
        box[axis] = middle - half, middle + half
    return box


def find_body(values: NDArray[Any], body_threshold_hu: float) -> NDArray[np.bool_]:
    """Mask of the body of a (z, y, x) volume in HU.

    Raises:
        ValueError: no voxel lies above the threshold.
    """
    found = body_mask(values > body_threshold_hu)
    if not found.any():
        raise ValueError(NO_BODY.format(body_threshold_hu))
    return found
