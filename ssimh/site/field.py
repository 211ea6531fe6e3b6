"""Low-order polynomial field over a volume, in coordinates of the body or of the grid."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Total degree i + j + k < 3: constant, three slopes, six curvatures. Cupping is of degree 2, tilt and drift of 1.
DEGREES = 3
TERMS = tuple(sorted((t for t in product(range(DEGREES), repeat=3) if sum(t) < DEGREES), key=lambda t: (sum(t), t)))
FRAMES = ("body", "grid")
_LATTICE = 7


def degree_of_terms() -> NDArray[np.intp]:
    """Total degree of every term of the field.

    >>> degree_of_terms().tolist()
    [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    """
    return np.array([sum(term) for term in TERMS], dtype=np.intp)


def axis_polynomials(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Legendre polynomials 1, u and (3u² - 1) / 2 at positions u; beyond -1 … 1 the value at the end holds.

    Cupping and drift are polynomials of low degree themselves; as many cosines leave 12 % of a slope and 28 % of a
    curvature behind.

    Args:
        positions: (n,) coordinates, -1 and 1 at the two ends of the frame.

    Returns:
        (3, n) array.

    >>> axis_polynomials(np.array([-1.0, 0.0, 1.0, 5.0])).tolist()
    [[1.0, 1.0, 1.0, 1.0], [-1.0, 0.0, 1.0, 1.0], [1.0, -0.5, 1.0, 1.0]]
    """
    within = np.clip(positions, -1.0, 1.0)
    return np.stack([np.ones_like(within), within, (3 * within**2 - 1) / 2])


def basis_at(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Terms of the field, products of three polynomials, at (n, 3) points (z, y, x): an (n, 10) array."""
    along = [axis_polynomials(points[:, axis]) for axis in range(3)]
    return np.stack([along[0][i] * along[1][j] * along[2][k] for i, j, k in TERMS], axis=1)


def grid_positions(size: int) -> NDArray[np.float64]:
    """Coordinates of the voxel centers of an axis, -1 and 1 at its outer faces.

    >>> grid_positions(4).tolist()
    [-0.75, -0.25, 0.25, 0.75]
    """
    return (np.arange(size) + 0.5) / size * 2 - 1


def positions(size: int, low: float, high: float) -> NDArray[np.float64]:
    """Coordinates of the voxel centers of an axis in a frame from ``low`` to ``high``, both in grid coordinates."""
    return (grid_positions(size) - low) / (high - low) * 2 - 1


@lru_cache(maxsize=1)
def sampling_points() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Even points of a frame, (343, 3), the terms there and their pseudo-inverse."""
    steps = grid_positions(_LATTICE)
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    terms = basis_at(points)
    return points, terms, np.asarray(np.linalg.pinv(terms), dtype=np.float64)


def grid_to_body(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix that turns coefficients of a field over the grid into those of its least-squares fit over a body.

    Args:
        box: (3, 2) ends of the body along (z, y, x) in grid coordinates.

    Returns:
        (10, 10) array.

    >>> np.allclose(grid_to_body(np.array([[-1.0, 1.0]] * 3)), np.eye(10))
    True
    """
    points, _, inverse = sampling_points()
    center, half = box.mean(axis=1), (box[:, 1] - box[:, 0]) / 2
    return np.asarray(inverse @ basis_at(center + points * half))


def from_cosines(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of the polynomials that are nearest to fields of cosines, as site files up to version 3 hold them.

    Args:
        coefficients: (n, 10) of products of cos(π k (u + 1) / 2), k = 0 … 2, in the same order of terms.

    >>> from_cosines(np.eye(10)[:2]).round(2).tolist()[1][:3]
    [0.0, -1.23, 0.0]
    """
    points, _, inverse = sampling_points()
    along = np.cos(np.pi / 2 * np.arange(DEGREES)[:, None, None] * (points + 1))
    cosines = np.stack([along[i, :, 0] * along[j, :, 1] * along[k, :, 2] for i, j, k in TERMS], axis=1)
    return np.asarray(coefficients @ (inverse @ cosines).T)


class FieldOnGrid:
    """A field on the voxels of one image, made slice by slice.

    Args:
        coefficients: (2, 10), the part in body coordinates and the part in grid coordinates; they add.
        shape: (z, y, x) of the image.
        box: (3, 2) ends of its body.
    """

    def __init__(self, coefficients: NDArray[np.float64], shape: tuple[int, ...], box: NDArray[np.float64]) -> None:
        self._parts: list[tuple[NDArray[Any], list[NDArray[np.float64]]]] = []
        boxes = (box, np.array([[-1.0, 1.0]] * 3))
        for values, ends in zip(coefficients, boxes, strict=True):
            cube = np.zeros((DEGREES,) * 3)
            for term, value in zip(TERMS, values, strict=True):
                cube[term] = value
            along = [axis_polynomials(positions(size, *end)) for size, end in zip(shape, ends, strict=True)]
            self._parts.append((cube, along))

    def slice(self, z: int) -> NDArray[np.float64]:
        """(y, x) values of the field on slice ``z``."""
        planes = [c[1].T @ np.tensordot(c[0][:, z], cube, 1) @ c[2] for cube, c in self._parts]
        return np.asarray(planes[0] + planes[1])
