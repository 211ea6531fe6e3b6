"""Label values of the challenge, the names of their classes, and the one function that reads label files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_grid, read_image

BACKGROUND, GTVP, GTVN = 0, 1, 2
Label = NDArray[np.uint8]


@dataclass(frozen=True)
class LesionClass:
    """One class of lesions.

    Attributes:
        value: Of its voxels in a label.
        key: Its name in JSON and in identifiers.
        name: Its name for people.
    """

    value: int
    key: str
    name: str


LESION_CLASSES = (LesionClass(GTVP, "gtvp", "GTVp"), LesionClass(GTVN, "gtvn", "GTVn"))
NUM_CLASSES = 1 + len(LESION_CLASSES)  # with the background
_ALLOWED = ", ".join([f"{BACKGROUND} (background)", *(f"{c.value} ({c.name})" for c in LESION_CLASSES)])
_LARGEST = max(c.value for c in LESION_CLASSES)


def read_label(path: Path, case_id: str, *, like: Grid | None = None) -> tuple[Label, Grid]:
    """Read a label or a mask. Whole numbers in a floating-point file are labels like any others.

    Args:
        path: Image file.
        case_id: For messages.
        like: The grid that the label must lie on (0.01 voxel tolerance is :meth:`Grid.matches`'); None takes any.

    Returns:
        label (ndarray of uint8, (z, y, x)): 0 background, 1 GTVp, 2 GTVn.
        grid: Grid.

    Raises:
        CaseError: Unreadable, on another grid than ``like``, or with any other value (1.5, 257, −255), which a cast
            would turn into a legal one.
    """
    if like is not None:
        grid = read_grid(path, case_id)
        if not grid.matches(like):
            raise CaseError(
                case_id, f"the mask is not on the grid of the truth: {describe_difference(grid, like)}", path
            )
    stored, grid = read_image(path, case_id, dtype=None)
    return as_label(stored, case_id, path), grid


def as_label(array: NDArray[Any], case_id: str, path: Path | None = None) -> Label:
    """An array as a label, without a copy where it is uint8 already.

    Raises:
        CaseError: It holds other values than 0, 1 and 2.
    """
    odd = invalid_label_values(array)
    if odd:
        raise CaseError(case_id, describe_invalid_values(odd), path)
    return array.astype(np.uint8, copy=False)


def describe_invalid_values(values: list[float]) -> str:
    """The values that a label may hold, and those that were found instead.

    >>> describe_invalid_values([1.5, 257.0])
    'label values must be 0 (background), 1 (GTVp), 2 (GTVn); found 1.5, 257'
    """
    return f"label values must be {_ALLOWED}; found {', '.join(f'{value:g}' for value in values)}"


def invalid_label_values(label: NDArray[Any]) -> list[float]:
    """Values of an array that no label has (the first five, rising).

    >>> invalid_label_values(np.array([0, 1.5, 2, 257]))
    [1.5, 257.0]
    """
    if not label.size or (label.dtype.kind in "bui" and label.min() >= BACKGROUND and label.max() <= _LARGEST):
        return []
    known = label == BACKGROUND
    for lesion in LESION_CLASSES:
        known |= label == lesion.value
    return [float(value) for value in np.unique(label[~known])[:5]]


def describe_difference(grid: Grid, like: Grid) -> str:
    """The first property in which two grids differ, with both values."""
    for name in ("size", "spacing_mm", "origin_mm", "direction"):
        a, b = getattr(grid, name), getattr(like, name)
        if not np.allclose(a, b, rtol=0, atol=1e-4):
            return f"{name} {tuple(round(v, 4) for v in a)} instead of {tuple(round(v, 4) for v in b)}"
    return "its voxels lie elsewhere"
