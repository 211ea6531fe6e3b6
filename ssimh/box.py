"""Where the box of a reference lies in the world, and how the grid of an image lies in it.

All affines map voxel indices of an array's last three axes to world millimeters in RAS+, as those of NIfTI, MONAI and
TorchIO do; ITK's are LPS+ and of the reversed index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssimh._kernels.arrays import to_numpy
from ssimh._kernels.box_axis import BoxAxis
from ssimh._kernels.least_squares import Box

Affine = tuple[tuple[float, ...], ...]

_MAX_ANGLE_DEG = 1.0


def check_affine(affine: Any, name: str) -> NDArray[np.float64]:
    """The affine as a float64 array.

    Raises:
        ValueError: not 4 × 4, not finite, another last row than 0 0 0 1, or an axis of no length.
    """
    matrix = np.asarray(to_numpy(affine), dtype=np.float64)
    fine = matrix.shape == (4, 4) and bool(np.isfinite(matrix).all()) and np.allclose(matrix[3], (0, 0, 0, 1))
    if not fine or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise ValueError(
            f"{name} must be a 4 × 4 matrix from voxel index to RAS+ millimeters with three independent axes and the "
            f"last row 0 0 0 1; given {matrix.tolist()}."
        )
    return matrix


def as_tuples(affine: NDArray[np.float64]) -> Affine:
    """The affine as plain numbers, which cannot be changed and can be written as JSON."""
    first, second, third, last = (tuple(float(value) for value in row) for row in affine)
    return (first, second, third, last)


def check_point(point: Any, name: str) -> NDArray[np.float64]:
    """A world point as a float64 array.

    Raises:
        ValueError: not three finite numbers.
    """
    found = np.asarray(to_numpy(point), dtype=np.float64)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f"{name} must be a point (x, y, z) in RAS+ millimeters; given {point!r}.")
    return found


def affine_of(spacing_mm: Sequence[float], orientation: str) -> NDArray[np.float64]:
    """Affine of a grid with these voxel sizes and axis directions, its first voxel at the world's origin.

    >>> affine_of((3.0, 1.0, 1.0), "SPL")[:3, :3].tolist()
    [[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [3.0, 0.0, 0.0]]
    """
    affine = np.eye(4)
    for axis, (step, letter) in enumerate(zip(spacing_mm, orientation, strict=True)):
        affine[:3, axis] = 0.0
        affine["RAS".index({"L": "R", "P": "A", "I": "S"}.get(letter, letter)), axis] = step * (
            1 if letter in "RAS" else -1
        )
    return affine


def resize_affine(affine: ArrayLike, old: Sequence[int], new: Sequence[int]) -> NDArray[np.float64]:
    """Affine of a grid of another number of voxels in the same box."""
    step = np.divide(old[-3:], new[-3:])
    change = np.diag([*step, 1.0])
    change[:3, 3] = (step - 1) / 2
    return np.asarray(affine, dtype=np.float64) @ change


def turn_affine(
    affine: ArrayLike, shape: Sequence[int], sources: Sequence[int], flips: Sequence[bool]
) -> NDArray[np.float64]:
    """Affine of the array with its last three axes permuted and flipped.

    Args:
        affine: of the array as it is.
        shape: of the array as it is.
        sources: axis of the array as it is (0 … 2 of the last three) for every axis of the result.
        flips: whether each axis of the result is flipped.
    """
    change = np.zeros((4, 4))
    change[3, 3] = 1.0
    for axis, (source, flip) in enumerate(zip(sources, flips, strict=True)):
        change[source, axis] = -1.0 if flip else 1.0
        change[source, 3] = shape[-3:][source] - 1 if flip else 0.0
    return np.asarray(affine, dtype=np.float64) @ change


def move_box(
    affine: NDArray[np.float64], shape: Sequence[int], center_mm: Any = None, landmark_mm: Any = None
) -> NDArray[np.float64]:
    """The box's affine with its center at ``center_mm``, or moved from one point of ``landmark_mm`` to the other."""
    moved = affine.copy()
    if center_mm is not None:
        middle = affine[:3, :3] @ ((np.array(shape[-3:]) - 1) / 2)
        moved[:3, 3] = check_point(center_mm, "center_mm") - middle
    if landmark_mm is not None:
        if len(landmark_mm) != 2:
            raise ValueError(
                f"landmark_mm must be two points, (in the image, in the reference); given {landmark_mm!r}."
            )
        here, there = (check_point(point, "each point of landmark_mm") for point in landmark_mm)
        moved[:3, 3] += here - there
    return moved


def locate_in_box(
    image_affine: NDArray[np.float64], shape: Sequence[int], box_affine: NDArray[np.float64], size: Sequence[int]
) -> tuple[Box, tuple[int, int, int]]:
    """How the last three axes of an image lie in the box of a reference.

    Axes that are up to 1 degree apart are taken as parallel, about the center of the image.

    Args:
        image_affine, shape: of the image.
        box_affine, size: of the reference.

    Returns:
        For each of the image's axes where its samples lie, and which of the reference's last three axes it follows.

    Raises:
        ValueError: axes that are further apart, or a box that holds the center of no voxel.
    """
    mine, theirs = (a[:3, :3] / np.linalg.norm(a[:3, :3], axis=0) for a in (image_affine, box_affine))
    cosines = mine.T @ theirs
    order = np.abs(cosines).argmax(axis=1)
    angles = np.degrees(np.arccos(np.clip(np.abs(cosines[np.arange(3), order]), 0, 1)))
    if len(set(order.tolist())) < 3 or angles.max() > _MAX_ANGLE_DEG:
        raise ValueError(
            f"the image's axes are {np.round(angles, 1).tolist()} degrees off those of the reference's box; at most "
            f"{_MAX_ANGLE_DEG} is taken as parallel. Resample the image to the box's directions first, or use another "
            "grid than 'physical'."
        )
    steps = np.linalg.norm(image_affine[:3, :3], axis=0) / np.linalg.norm(box_affine[:3, :3], axis=0)[order]
    scales = steps * np.sign(cosines[np.arange(3), order])
    middle = (np.array(shape[-3:]) - 1) / 2
    world = image_affine @ np.append(middle, 1.0)
    offsets = np.linalg.solve(box_affine, world)[:3][order] - scales * middle
    sizes = [size[-3:][axis] for axis in order]
    first, second, third = (BoxAxis(int(n), float(s), float(o)) for n, s, o in zip(sizes, scales, offsets, strict=True))
    box = (first, second, third)
    for axis, place in enumerate(box):
        part = place.centered(shape[axis - 3])
        if part.start == part.stop:
            corners = [_extent(a, n) for a, n in ((image_affine, shape), (box_affine, size))]
            raise ValueError(
                f"the reference's box, {corners[1]} mm (RAS+), holds no voxel center of the image, {corners[0]} mm. "
                "Place it with center_mm or landmark_mm."
            )
    return box, (int(order[0]), int(order[1]), int(order[2]))


def _extent(affine: NDArray[np.float64], shape: Sequence[int]) -> str:
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape[-3:]])).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    pairs = zip(world.min(axis=1), world.max(axis=1), strict=True)
    return " × ".join(f"{low:.1f} … {high:.1f}" for low, high in pairs)
