"""What scanners do to HU, as a prior: few kinds of smooth effects, in the body or in the grid.

A level, a drift along z, cupping in the axial plane about an axis near the middle, and any other shape of degree 1 or 2
may each be there or not. Cupping is one curvature for x and y (nearly), with the slopes that an axis off the middle
brings: four numbers that vary together in place of nine that vary alone, so that few subjects suffice to see it. Sizes
are root mean squares over the bodies, whatever the frame, since a body fills more or less of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ssimh.site.field import TERMS, basis_at

# Scanners are off by some 40 HU or not at all. This and the numbers below were chosen on half of the benchmark's scans.
LEVEL_HU = 40.0
# Each kind of effect that is there makes a combination e² times less likely, a level e times. More
# harms less and corrects less.
_PENALTY, _LEVEL_PENALTY = 2.0, 1.0
# Where a shape is zero is a convention: its mean over the frame is, or it is shifted from that by 0.7 of its size.
_LEVEL_SHARE = 0.7
# Curvatures of x and y may differ by a third; the axis is off the middle by 0.4 of the frame's half width.
_UNEQUAL, _OFF_AXIS = 0.3, 1.2


@dataclass(frozen=True, eq=False)
class _Kind:
    """One kind of effect.

    Args:
        shapes: (10, r) coefficients in the frame; each column has a weight of its own, of unit variance.
        sizes_hu: root mean square over the bodies that it may have.
    """

    shapes: NDArray[np.float64]
    sizes_hu: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A Gaussian prior of the difference.

    Args:
        factor: (10, r); the covariance of the coefficients in the frame is factor · factorᵀ.
        log_prior: logarithm of its weight, up to a constant.
    """

    factor: NDArray[np.float64]
    log_prior: float


@lru_cache(maxsize=1)
def body_terms() -> NDArray[np.float64]:
    """Terms of the field at 72 points of an elliptic cylinder, which stands for the body.

    Rows hold the roots of the weights: the mean product of any two terms over the body is ``rows.T @ rows``, exactly.

    Returns:
        (72, 10) array.

    >>> rows = body_terms()
    >>> np.allclose((rows.T @ rows)[0], [1, 0, 0, 0, -1 / 8, 0, -1 / 8, 0, 0, 0])
    True
    """
    nodes, weights = np.polynomial.legendre.leggauss(3)
    angles = np.arange(8) * np.pi / 4
    z, squared, angle = (part.ravel() for part in np.meshgrid(nodes, (nodes + 1) / 2, angles, indexing="ij"))
    weight = (weights[:, None, None] * weights[:, None] * np.ones(8)).ravel() / 32
    points = np.stack([z, np.sqrt(squared) * np.sin(angle), np.sqrt(squared) * np.cos(angle)], axis=1)
    return np.asarray(basis_at(points) * np.sqrt(weight)[:, None])


def body_mean() -> NDArray[np.float64]:
    """(10,) mean of each term over the body."""
    rows = body_terms()
    return np.asarray((rows.T @ rows)[0])


def candidates(to_body: NDArray[np.float64]) -> Iterator[Candidate]:
    """All combinations of kinds, sizes and levels in one frame.

    Args:
        to_body: (10, 10) matrix from coefficients in the frame to those in the body, mean over the subjects.

    >>> found = list(candidates(np.eye(10)))
    >>> len(found), found[0].factor.shape
    (94, (10, 0))
    """
    kinds = _kinds()
    shapes = [_of_unit_size(kind.shapes, to_body) for kind in kinds]
    constant = np.eye(len(TERMS))[:, :1]
    for level, *sizes in product((0.0, LEVEL_HU), *((0.0, *kind.sizes_hu) for kind in kinds)):
        present = [number for number, size in enumerate(sizes) if size > 0]
        columns = [sizes[number] * shapes[number] for number in present]
        if level:
            columns.append(level * constant)
        log_prior = (
            -_PENALTY * len(present)
            - _LEVEL_PENALTY * (level > 0)
            - sum(np.log(len(kinds[number].sizes_hu)) for number in present)
        )
        if not present:
            yield _candidate(columns, log_prior)
            continue
        shift = _LEVEL_SHARE * float(np.hypot.reduce([sizes[number] for number in present])) * constant
        for more in ([], [shift]):
            yield _candidate([*columns, *more], log_prior - np.log(2))


def _candidate(columns_hu: list[NDArray[np.float64]], log_prior: float) -> Candidate:
    return Candidate(np.concatenate([np.zeros((len(TERMS), 0)), *columns_hu], axis=1) / 1000, float(log_prior))


@lru_cache(maxsize=1)
def _kinds() -> tuple[_Kind, ...]:
    """Drift, cupping, any shape."""
    unit = dict(zip(TERMS, np.eye(len(TERMS)), strict=True))
    x, y, xx, yy = (unit[term] for term in ((0, 0, 1), (0, 1, 0), (0, 0, 2), (0, 2, 0)))
    cupping = np.stack([xx + yy, _UNEQUAL * (xx - yy), _OFF_AXIS * x, _OFF_AXIS * y], axis=1)
    return (
        _Kind(unit[1, 0, 0][:, None], (10.0,)),
        _Kind(cupping, (5.0, 15.0, 40.0)),
        _Kind(np.eye(len(TERMS))[:, 1:], (8.0, 25.0)),
    )


def _of_unit_size(shapes: NDArray[np.float64], to_body: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shapes with a mean of 0 over the frame and, all together, a variance of 1 over the bodies."""
    bent, over_bodies = shapes.copy(), to_body @ shapes
    bent[0] = -(body_mean()[1:] @ shapes[1:])
    over_bodies[0] = -(body_mean()[1:] @ over_bodies[1:])
    return np.asarray(bent / np.linalg.norm(body_terms() @ over_bodies))
