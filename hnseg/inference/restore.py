"""Restoration to the native CT grid: the inverse of the crop, through physical coordinates.

Where the class is decided is ``predict.decide_on``: on the CT grid, from resampled probabilities, or on the crop, as
published, whose label is then brought back by nearest neighbor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.images.resample import argmax_label, resample_label
from hnseg.settings.predict import DecisionGrid


def decide_label(logits: torch.Tensor, crop_grid: Grid, ct_grid: Grid, *, decide_on: DecisionGrid) -> NDArray[np.uint8]:
    """The label on the CT grid, before post-processing.

    Args:
        logits: (classes, z, y, x) on ``crop_grid``.
        crop_grid: Grid of the logits.
        ct_grid: Grid of the result.
        decide_on: ``ct-grid``: :func:`restore_probabilities` of their softmax. ``crop-grid``: :func:`restore_label` of
            the most probable class in each voxel of the crop.

    Returns:
        Label of ``ct_grid.shape``; 0 outside the box.
    """
    if decide_on == "crop-grid":
        return restore_label(logits.argmax(dim=0).to(torch.uint8).numpy(), crop_grid, ct_grid)
    return restore_probabilities(logits.softmax(dim=0).numpy(), crop_grid, ct_grid)


def restore_label(label: NDArray[np.uint8], crop_grid: Grid, ct_grid: Grid) -> NDArray[np.uint8]:
    """A label on the crop grid, by nearest neighbor on the CT grid; 0 outside the box.

    Args:
        label: (z, y, x) on ``crop_grid``.
        crop_grid: Grid of the label.
        ct_grid: Grid of the result.

    Returns:
        Label of ``ct_grid.shape``.
    """
    return resample_label(label, crop_grid, ct_grid)


def restore_probabilities(probabilities: NDArray[Any], crop_grid: Grid, ct_grid: Grid) -> NDArray[np.uint8]:
    """Resample class probabilities linearly onto the CT grid, then take the most probable class.

    Resampling before the decision keeps thin lesions that a nearest-neighbor mask would tear. Only the part of the
    CT that the box covers is computed.

    Args:
        probabilities: (classes, z, y, x) on ``crop_grid``, 0 to 1. Class 0 is background, which is also what lies
            outside the box.
        crop_grid: Grid of the probabilities.
        ct_grid: Grid of the result.

    Returns:
        Label of ``ct_grid.shape``.
    """
    return argmax_label((np.asarray(plane, dtype=np.float32) for plane in probabilities), crop_grid, ct_grid)
