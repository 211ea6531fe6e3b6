"""The prior of scanner effects: sizes over the bodies, in either frame, and no effect first."""

import numpy as np
import pytest

from ssimh.site.effect_prior import LEVEL_HU, body_mean, body_terms, candidates
from ssimh.site.field import TERMS, basis_at, grid_to_body

BOX = np.array([[-0.7, 0.8], [-0.4, 0.4], [-0.6, 0.7]])


def _size_hu(factor, to_body):
    """Root of the mean variance over the bodies about their mean, HU, to six digits."""
    bent = to_body @ factor
    bent[0] -= body_mean() @ bent
    return round(1000 * float(np.linalg.norm(body_terms() @ bent)), 6)


def test_means_over_the_body_are_those_of_an_elliptic_cylinder(rng):
    points = rng.uniform(-1, 1, (400_000, 3))
    points = points[np.hypot(points[:, 1], points[:, 2]) < 1]
    np.testing.assert_allclose(body_mean(), basis_at(points).mean(axis=0), atol=0.005)


@pytest.mark.parametrize("to_body", [np.eye(10), grid_to_body(BOX)], ids=["body", "grid"])
def test_sizes_are_those_over_the_bodies(to_body):
    """Level, drift, cupping and any shape have the sizes that they state, whatever share of the frame a body fills."""
    sizes = {_size_hu(entry.factor, to_body) for entry in candidates(to_body)}
    assert {0, 10, 5, 15, 40, 8, 25} <= sizes
    level = next(
        entry.factor for entry in candidates(to_body) if entry.factor.shape[1] == 1 and not entry.factor[1:].any()
    )
    assert level[0, 0] == LEVEL_HU / 1000


def test_no_effect_is_the_likeliest_and_has_no_size():
    found = list(candidates(np.eye(10)))
    assert found[0].factor.size == 0
    assert found[0].log_prior == 0 == max(entry.log_prior for entry in found)


def test_shapes_have_a_mean_of_zero_over_the_frame_or_a_free_level():
    """Cupping of every size comes twice: with a mean of 0, and with one column more, which is a constant."""
    cupping = [entry.factor for entry in candidates(grid_to_body(BOX)) if entry.factor.shape[1] == 4]
    freed = [entry.factor for entry in candidates(grid_to_body(BOX)) if entry.factor.shape[1] == 5]
    assert len(cupping) == 3
    for factor in cupping:
        np.testing.assert_allclose(body_mean() @ factor, 0, atol=1e-15)
        assert any(np.array_equal(other[:, :4], factor) and not other[1:, 4].any() for other in freed)


def test_cupping_has_its_axis_anywhere_near_the_middle():
    """Slopes of x and y come with the curvatures; z has no part in it."""
    cupping = next(entry.factor for entry in candidates(np.eye(10)) if entry.factor.shape[1] == 4)
    deviation = np.sqrt(np.sum(cupping**2, axis=1))
    for term, size in zip(TERMS, deviation, strict=True):
        assert (size > 0) == (term[0] == 0 and term != (0, 1, 1))
