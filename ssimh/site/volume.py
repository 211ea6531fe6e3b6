"""Volumes in the order (z, y, x)."""

from __future__ import annotations

from typing import Any

from ssimh._kernels.arrays import is_tensor, normalize_axes

LAST_THREE = (-3, -2, -1)


def to_zyx(values: Any, axes: tuple[int, ...], whose: str) -> Any:
    """View of a volume, array or tensor, with its axes in the order (z, y, x).

    Raises:
        ValueError: not three axes, or axes that do not name each of them once.
    """
    if values.ndim != 3 or len(axes) != 3:
        raise ValueError(f"{whose} must have three axes, (z, y, x); its shape is {tuple(values.shape)}, axes={axes}.")
    normalize_axes(axes, 3, whose)
    order = [axis % 3 for axis in axes]
    return values.permute(order) if is_tensor(values) else values.transpose(order)


def check_spacing(spacing_mm: Any) -> tuple[float, float, float]:
    """The voxel size along (z, y, x), mm.

    Raises:
        ValueError: not three positive finite numbers.
    """
    steps = [float(step) for step in spacing_mm]
    if len(steps) != 3 or not all(0 < step < float("inf") for step in steps):
        raise ValueError(f"spacing_mm must hold three positive sizes along (z, y, x); given {spacing_mm}.")
    return steps[0], steps[1], steps[2]
