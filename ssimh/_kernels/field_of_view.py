"""Comparison of the fields of view of two grids with known voxel sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def extent_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> list[float]:
    """Size of the field of view along the spatial (last) axes, in mm.

    >>> extent_mm((1, 10, 20), (2.0, 0.5))
    [20.0, 10.0]
    """
    return [float(size * step) for size, step in zip(shape[-len(spacing_mm) :], spacing_mm, strict=True)]


def is_same_field(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    reference_shape: Sequence[int],
    reference_spacing_mm: Sequence[float],
) -> bool:
    """Whether two fields of view agree to half a voxel (of the larger voxels) along every spatial axis.

    >>> is_same_field((10, 10), (1, 1), (20, 20), (0.5, 0.5)), is_same_field((9, 9), (1, 1), (9, 9), (1, 2))
    (True, False)
    """
    apart = np.subtract(extent_mm(shape, spacing_mm), extent_mm(reference_shape, reference_spacing_mm))
    return not np.any(np.abs(apart) > 0.5 * np.maximum(spacing_mm, reference_spacing_mm))


def check_same_field(
    shape: Sequence[int],
    spacing_mm: Sequence[float] | None,
    reference_shape: Sequence[int],
    reference_spacing_mm: Sequence[float] | None,
    whose: str,
) -> None:
    """Refuse an image that does not cover the field of view of a reference; unknown voxel sizes (None) pass.

    Args:
        shape: of the image.
        spacing_mm: voxel size of each of its spatial (last) axes.
        reference_shape: of the reference.
        reference_spacing_mm: voxel size of each of its spatial axes.
        whose: the image in the message.

    Raises:
        ValueError: the fields differ by more than half a voxel (of the larger ones) along an axis, or one has more
            spatial axes.
    """
    if spacing_mm is None or reference_spacing_mm is None:
        return
    steps, theirs = (tuple(float(step) for step in spacing) for spacing in (spacing_mm, reference_spacing_mm))
    if len(steps) != len(theirs):
        raise ValueError(f"{whose}: spacing_mm must have {len(theirs)} numbers; given {steps}.")
    if not is_same_field(shape, steps, reference_shape, theirs):
        extents = extent_mm(shape, steps), extent_mm(reference_shape, theirs)
        mine, covered = (np.round(extent, 1).tolist() for extent in extents)
        raise ValueError(
            f"fields of view differ: {whose} with spacing_mm {steps} and shape {tuple(shape)} covers {mine} mm, the "
            f"reference with spacing_mm {theirs} and shape {tuple(reference_shape)} {covered} mm. Resample or crop to "
            "one field of view, or leave out spacing_mm (of a reference: dataclasses.replace(reference, "
            "spacing_mm=None)) to take the two as the same."
        )
