"""Shrinkage of the difference between two sites by the evidence for the whole coefficient vector.

Each subject's field is the anatomy that all have in common, plus or minus half the difference of the sites, plus its
own deviation with a covariance that the subjects themselves show. The difference has one of many Gaussian priors
(:mod:`ssimh.site.effect_prior`): kinds of effects, their sizes, and whether they live with the body (beam hardening) or
with the grid (detector, table). All are weighted by their evidence, no effect among them. This is ComBat's empirical
Bayes (Johnson et al. 2007, doi 10.1093/biostatistics/kxj037) for a correlated vector of unknown degree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.site.effect_prior import body_mean, candidates
from ssimh.site.field import FRAMES, TERMS, degree_of_terms, grid_to_body

# Deviation between subjects that is expected before any is seen, of the mean over the body and of each shape, in units
# of 1000 HU: muscle varies by about 10 HU between people. It counts as much as 40 subjects.
SPREAD_CONSTANT, SPREAD_SHAPE, SPREAD_SUBJECTS = 0.009, 0.005, 40


def spread(groups: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Covariance between the subjects of a site, shrunk to what is expected.

    Args:
        groups: (subjects, 10) coefficients of each site.

    >>> np.sqrt(np.diag(spread([np.zeros((1, 10))])))[:2].round(4).tolist()
    [0.009, 0.005]
    """
    degrees = degree_of_terms()
    back = np.eye(len(TERMS))
    back[0, 1:] = -body_mean()[1:]  # from mean over the body and shapes to coefficients
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
    precision = np.linalg.inv(spread([first, second]))
    fields, boxes = np.concatenate([first, second]), np.concatenate([first_boxes, second_boxes])
    halves = np.repeat([0.5, -0.5], [len(first), len(second)])
    scores: list[float] = []
    means: list[tuple[int, NDArray[np.float64]]] = []
    for number, frame in enumerate(FRAMES):
        maps = np.array([grid_to_body(box) if frame == "grid" else np.eye(fields.shape[1]) for box in boxes])
        information, pull = _information(maps * halves[:, None, None], fields, precision)
        for candidate in candidates(maps.mean(axis=0)):
            factor = candidate.factor
            system = np.eye(factor.shape[1]) + factor.T @ information @ factor
            answer = np.linalg.solve(system, factor.T @ pull)
            score = 0.5 * (factor.T @ pull) @ answer - 0.5 * np.linalg.slogdet(system)[1]
            scores.append(float(score) + candidate.log_prior)
            means.append((number, factor @ answer))
    weights = np.exp(np.array(scores) - max(scores))
    weights /= weights.sum()
    result, likely = np.zeros((len(FRAMES), fields.shape[1])), np.zeros(len(FRAMES))
    for weight, (number, mean) in zip(weights, means, strict=True):
        result[number] += weight * mean
        likely[number] += weight
    return result, likely


def _information(
    maps: NDArray[np.float64], fields: NDArray[np.float64], precision: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Information matrix and vector of the difference, the common anatomy integrated out under a flat prior.

    Args:
        maps: (n, 10, 10) from the difference to its part in each subject's field.
        fields: (n, 10) coefficients of the subjects in body coordinates.
        precision: (10, 10) inverse covariance between subjects.
    """
    # For the flat prior's mean the precision cancels: it is the plain average.
    centered, about = maps - maps.mean(axis=0), fields - fields.mean(axis=0)
    weighted = np.einsum("nji,jk->nik", centered, precision)
    return np.einsum("nij,njk->ik", weighted, centered), np.einsum("nij,nj->i", weighted, about)
