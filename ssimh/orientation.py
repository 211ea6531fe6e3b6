"""Anatomical directions of array axes, as letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# Letters of the negative and positive direction of the patient axes x, y, z in the two common conventions.
_LETTERS = {"LPS": ("RL", "AP", "IS"), "RAS": ("LR", "PA", "IS")}
_PAIR = {letter: pair for pair in ("RL", "AP", "SI") for letter in pair}


def check_orientation(orientation: str, ndim: int) -> None:
    """Refuse an orientation that does not name each spatial axis by one letter of R/L, A/P, S/I.

    Raises:
        ValueError: Another letter, two of one pair, or more letters than axes.
    """
    pairs = [_PAIR.get(letter) for letter in orientation]
    if not orientation or None in pairs or len(set(pairs)) != len(pairs) or len(pairs) > ndim:
        raise ValueError(
            f"orientation must name every spatial axis by one letter of R/L, A/P, S/I, such as 'SPL'; "
            f"given {orientation!r} for {ndim} axes."
        )


def orientation_map(source: str, target: str) -> tuple[list[int], list[bool]]:
    """Axis permutation and flips that turn orientation ``source`` into ``target``.

    Returns:
        sources: For each axis of ``target``, the axis of ``source`` that it comes from.
        flips: Whether that axis is reversed.

    Raises:
        ValueError: The two do not name the same anatomical axes.

    >>> orientation_map("SPL", "RAS")
    ([2, 1, 0], [True, True, False])
    """
    source, target = source.upper(), target.upper()
    check_orientation(target, len(source))
    pairs = [_PAIR[letter] for letter in source]
    if sorted(pairs) != sorted(_PAIR[letter] for letter in target):
        raise ValueError(f"orientation {target!r} does not name the same anatomical axes as {source!r}.")
    sources = [pairs.index(_PAIR[letter]) for letter in target]
    return sources, [source[old] != letter for old, letter in zip(sources, target, strict=True)]


def orientation_of(directions: ArrayLike, space: str = "LPS") -> str:
    """Letters of the array axes whose direction vectors are the columns of ``directions``.

    An oblique axis gets the letter of the patient axis closest to it.

    Args:
        directions: (3, n) array; column i points along array axis i, in patient coordinates.
        space: Frame of the coordinates: ``"LPS"`` (DICOM, ITK) or ``"RAS"`` (NIfTI, MONAI's affine).

    >>> orientation_of([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    'SPL'
    """
    columns = np.array(directions, dtype=float).T
    letters: list[str] = []
    free = [0, 1, 2]
    scale = np.linalg.norm(columns, axis=1, keepdims=True)
    cosines = np.abs(columns / np.where(scale == 0, 1, scale))
    axes = dict.fromkeys(range(len(columns)), 0)
    # The least oblique axes are assigned first, so that two oblique axes never get the same letter.
    for number in sorted(axes, key=lambda i: -cosines[i].max()):
        axes[number] = max(free, key=lambda i: cosines[number, i])
        free.remove(axes[number])
    for number, column in enumerate(columns):
        pair: Sequence[str] = _LETTERS[space][axes[number]]
        letters.append(pair[1] if column[axes[number]] >= 0 else pair[0])
    return "".join(letters)


def zyx_axes(letters: str, wanted: str | None = None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes of a three-dimensional array that are z (head–foot), y and x, and those to flip to run in given directions.

    Args:
        letters: One letter per spatial axis, the last three axes of the array.
        wanted: Letters of the (z, y, x) axes after the flips; None for no flips.

    Returns:
        Both counted from the end.

    Raises:
        ValueError: The two do not name the same anatomical axes.

    >>> zyx_axes("RAS", "SPL")
    ((-1, -2, -3), (-2, -3))
    """
    if wanted is None:
        return tuple(
            next(n for n, letter in enumerate(letters) if letter in pair) - 3 for pair in ("SI", "AP", "RL")
        ), ()
    sources, flips = orientation_map(letters, wanted)
    axes = tuple(source - 3 for source in sources)
    return axes, tuple(axis for axis, flip in zip(axes, flips, strict=True) if flip)


def spacing_of(affine: ArrayLike) -> tuple[float, ...] | None:
    """Voxel sizes, mm, that a (4, 4) affine states; None for the identity, which readers give where nothing is known.

    >>> spacing_of(np.diag([2.0, 2.0, 3.0, 1.0]))
    (2.0, 2.0, 3.0)
    """
    matrix = np.asarray(affine, dtype=float)
    if np.array_equal(matrix, np.eye(4)):
        return None
    return tuple(float(step) for step in np.linalg.norm(matrix[:3, :3], axis=0))
