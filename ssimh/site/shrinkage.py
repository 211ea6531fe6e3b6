"""Shrinkage of the difference between two sites by the evidence for the whole coefficient vector.

Each subject's field is the anatomy that all have in common, plus or minus half the difference of the sites, plus its
own deviation with a covariance that the subjects themselves show. The difference has a Gaussian prior whose widths,
for the constant, the slopes and the curvatures, are unknown, and it may live with the body (beam hardening) or with
the grid (detector, table). All combinations are weighted by their evidence, zero widths among them. This is
ComBat's empirical Bayes (Johnson et al. 2007, doi 10.1093/biostatistics/kxj037) for a correlated vector of unknown
degree.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.site.field import FRAMES, TERMS, degree_of_terms, grid_to_body

# Deviation between subjects that is expected before any is seen, constant and shape, in units of 1000 HU: muscle
# varies by about 10 HU between people. It counts as much as 20 subjects.
SPREAD_CONSTANT, SPREAD_SHAPE, SPREAD_SUBJECTS = 0.009, 0.005, 20
# Scanners are off by some 40 HU or not at all; fields bend by 6 or by 20 HU or not at all. Finer steps were no better.
_CONSTANT = (0.0, 0.04)
_SHAPE = (0.0, 0.006, 0.02)
# Mean of the second cosine over an ellipse that fills its box, -2·J1(π)/π. Widths hold for the mean over the body and
# for the shapes about it; otherwise a constant that cupping needs would be shrunk as an effect of its own.
_ELLIPSE_MEAN = -0.181


def spread(groups: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Covariance between the subjects of a site, shrunk to what is expected.

    Args:
        groups: (subjects, 10) coefficients of each site.

    >>> np.sqrt(np.diag(spread([np.zeros((1, 10))])))[:2].round(4).tolist()
    [0.0091, 0.005]
    """
    degrees = degree_of_terms()
    back = _from_mean()
    expected = back @ np.diag(np.where(degrees == 0, SPREAD_CONSTANT, SPREAD_SHAPE) ** 2) @ back.T
    scatter, freedom = expected * SPREAD_SUBJECTS, SPREAD_SUBJECTS
    for group in groups:
        centered = group - group.mean(axis=0)
        scatter = scatter + centered.T @ centered
        freedom += len(group) - 1
    return np.asarray(scatter / freedom)


def posterior_difference(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    first_boxes: NDArray[np.float64],
    second_boxes: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected difference of two sites, and how likely each frame is.

    Args:
        first, second: (subjects, 10) coefficients of the subjects in body coordinates.
        first_boxes, second_boxes: (subjects, 3, 2) ends of their bodies in grid coordinates.

    Returns:
        (2, 10) coefficients, the part in body coordinates and the part in grid coordinates, whose sum is the field;
        and the (2,) probabilities.

    >>> rng = np.random.default_rng(0)
    >>> boxes = np.tile([[-1.0, 1.0]], (12, 3, 1))
    >>> people = rng.normal(0, 0.005, (12, 10))
    >>> same, _ = posterior_difference(people[:6], people[6:], boxes[:6], boxes[6:])
    >>> other, _ = posterior_difference(people[:6] + np.eye(10)[0] * 0.05, people[6:], boxes[:6], boxes[6:])
    >>> bool(abs(same.sum(axis=0)[0]) < 0.002), bool(0.04 < other.sum(axis=0)[0] < 0.06)
    (True, True)
    """
    degrees = degree_of_terms()
    back = _from_mean()
    precision = np.linalg.inv(spread([first, second]))
    fields = np.concatenate([first, second])
    halves = np.repeat([0.5, -0.5], [len(first), len(second)])
    scores: list[float] = []
    means: list[tuple[int, NDArray[np.float64]]] = []
    for number, frame in enumerate(FRAMES):
        information, pull = _information(frame, fields, halves, np.concatenate([first_boxes, second_boxes]), precision)
        information, pull = back.T @ information @ back, back.T @ pull
        for constant, slope, curve in product(_CONSTANT, _SHAPE, _SHAPE):
            width = np.array([constant, slope, curve])[degrees]
            system = np.eye(len(width)) + width[:, None] * information * width
            answer = np.linalg.solve(system, width * pull)
            score = 0.5 * (width * pull) @ answer - 0.5 * np.linalg.slogdet(system)[1]
            scores.append(float(score))
            means.append((number, back @ (width * answer)))
    weights = np.exp(np.array(scores) - max(scores))
    weights /= weights.sum()
    result, likely = np.zeros((len(FRAMES), fields.shape[1])), np.zeros(len(FRAMES))
    for weight, (number, mean) in zip(weights, means, strict=True):
        result[number] += weight * mean
        likely[number] += weight
    return result, likely


def _from_mean() -> NDArray[np.float64]:
    """Matrix from (mean over the body, shapes) to the coefficients."""
    back = np.eye(len(TERMS))
    back[0, [TERMS.index((0, 0, 2)), TERMS.index((0, 2, 0))]] = -_ELLIPSE_MEAN
    return back


def _information(
    frame: str, fields: NDArray[np.float64], halves: NDArray[np.float64], boxes: NDArray[np.float64], precision: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Information matrix and vector of the difference, the common anatomy integrated out under a flat prior."""
    size = fields.shape[1]
    maps = [
        half * (grid_to_body(box) if frame == "grid" else np.eye(size)) for half, box in zip(halves, boxes, strict=True)
    ]
    total = np.sum(maps, axis=0)
    # For the flat prior's mean the precision cancels: it is the plain average.
    quadratic = sum(m.T @ precision @ m for m in maps) - total.T @ precision @ total / len(maps)
    linear = sum(m.T @ precision @ y for m, y in zip(maps, fields, strict=True)) - total.T @ precision @ fields.mean(
        axis=0
    )
    return np.asarray(quadratic), np.asarray(linear)
