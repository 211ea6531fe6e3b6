"""Checks of the arguments that several functions share, each in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import to_numpy

MODES = ("slice", "volume")


def check_mode(mode: str) -> None:
    """Refuse an unknown mode.

    Raises:
        ValueError: neither ``"slice"`` nor ``"volume"``.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}; given {mode!r}.")


def check_range(given: Any, name: str) -> tuple[Any, Any]:
    """Lowest and highest value to draw from.

    Args:
        given: (lowest, highest), or one number for both.
        name: of the argument, for the message.

    Raises:
        ValueError: neither of these, or the first is above the second.
    """
    low, high = given if isinstance(given, Sequence) and len(given) == 2 else (given, given)
    if isinstance(low, str) or not low <= high:
        raise ValueError(f"{name} must be a number or (lowest, highest); given {given!r}.")
    return low, high


def check_strength(strength: Any) -> float:
    """The strength as a float.

    Raises:
        ValueError: not a number within 0 … 1.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float | np.number) or not 0 <= strength <= 1:
        raise ValueError(f"strength must be a number within 0 … 1; given {strength!r}.")
    return float(strength)


def check_clip(clip: Any) -> tuple[float, float] | None:
    """The limits as floats, None where nothing is clipped.

    Raises:
        ValueError: not two numbers, or the first is not below the second.
    """
    if clip is None:
        return None
    limits = tuple(clip)
    if len(limits) != 2 or not limits[0] < limits[1]:
        raise ValueError(f"clip must be (lowest, highest) with lowest < highest; given {clip!r}.")
    return float(limits[0]), float(limits[1])


def check_mask(mask: Any, shape: tuple[int, ...], name: str = "mask") -> NDArray[np.bool_]:
    """The mask as a NumPy array.

    Args:
        mask: array or tensor.
        shape: shape that it must have.
        name: name in messages.

    Raises:
        ValueError: another dtype than boolean, another shape, or no voxel inside.
    """
    inside = to_numpy(mask)
    if inside.dtype != np.bool_ or inside.shape != shape or not inside.any():
        raise ValueError(
            f"{name} must be boolean of shape {shape} with at least one voxel inside; given {inside.dtype} of shape "
            f"{inside.shape} with {int(np.count_nonzero(inside))} inside."
        )
    return inside
