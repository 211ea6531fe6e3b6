"""The prior of scanner effects: sizes over the bodies, in either frame, and no effect first."""

import numpy as np
import pytest

from ssimh.site.effect_prior import LEVEL_HU, body_mean, body_terms, candidates
from ssimh.site.field import TERMS, basis_at, grid_to_body

BOX = np.array([[-0.7, 0.8], [-0.4, 0.4], [-0.6, 0.7]])


def _size_hu(factor, to_body):
    """Root of the mean variance over the bodies about their mean, and the deviation of that mean."""
    mean = body_mean() @ to_body @ factor
    bent = to_body @ factor
    bent[0] -= mean
    return 1000 * np.linalg.norm(body_terms() @ bent), 1000 * np.linalg.norm(mean)


def test_means_over_the_body_are_those_of_an_elliptic_cylinder(rng):
    points = rng.uniform(-1, 1, (400_000, 3))
    points = points[np.hypot(points[:, 1], points[:, 2]) < 1]
    np.testing.assert_allclose(body_mean(), basis_at(points).mean(axis=0), atol=0.005)


@pytest.mark.parametrize("to_body", [np.eye(10), grid_to_body(BOX)], ids=["body", "grid"])
def test_sizes_are_those_over_the_bodies(to_body):
    """Level, drift, cupping and any shape have the sizes that they state, whatever share of the frame a body fills."""
    sizes = {tuple(np.round(_size_hu(entry.factor, to_body), 6)) for entry in candidates(to_body)}
    assert {(0, 0), (0, LEVEL_HU), (10, 0), (5, 0), (15, 0), (40, 0), (8, 0), (25, 0)} <= sizes
    assert {(5, 5), (15, 15), (40, 40)} <= sizes  # cupping whose level is free


def test_no_effect_is_the_likeliest_and_has_no_size():
    found = list(candidates(np.eye(10)))
    assert found[0].factor.size == 0
    assert found[0].log_prior == 0 == max(entry.log_prior for entry in found)


def test_cupping_is_zero_over_the_bodies_or_over_the_frame():
    """In the grid, bodies fill less than the frame: one convention excludes the other."""
    to_body = grid_to_body(BOX)
    cupping = [entry.factor for entry in candidates(to_body) if entry.factor.shape[1] == 4]
    over_bodies = [np.abs(body_mean() @ to_body @ factor).max() < 1e-12 for factor in cupping]
    over_frame = [np.abs(body_mean() @ factor).max() < 1e-12 for factor in cupping]
    assert sum(over_bodies) == sum(over_frame) == len(cupping) / 2 == 3
    assert not any(np.logical_and(over_bodies, over_frame))


def test_cupping_has_its_axis_anywhere_near_the_middle():
    """Slopes of x and y come with the curvatures; z has no part in it."""
    cupping = next(entry.factor for entry in candidates(np.eye(10)) if entry.factor.shape[1] == 4)
    deviation = np.sqrt(np.sum(cupping**2, axis=1))
    for term, size in zip(TERMS, deviation, strict=True):
        assert (size > 0) == (term[0] == 0 and term != (0, 1, 1))
