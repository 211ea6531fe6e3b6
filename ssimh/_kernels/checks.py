"""Checks of the arguments that several functions share, each in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import to_numpy
from ssimh._kernels.boolean import as_boolean

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
        mask: array or tensor, boolean or of the integers 0 and 1.
        shape: shape that it must have.
        name: name in messages.

    Raises:
        TypeError: not an array, or neither boolean nor integer.
        ValueError: another shape, integers other than 0 and 1, or no voxel inside.
    """
    inside: NDArray[np.bool_] = to_numpy(as_boolean(mask, name))
    if inside.shape != shape or not inside.any():
        raise ValueError(
            f"{name} must have the shape {shape} and at least one voxel inside; given is one of shape {inside.shape} "
            f"with {int(np.count_nonzero(inside))} inside."
        )
    return inside
