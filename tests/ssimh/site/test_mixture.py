"""The tissue model of one subject: it sees the scanner and not the composition of the body."""

import numpy as np
import pytest

from ssimh.site.field import basis_at
from ssimh.site.mixture import BLOCKS, CLASS_HU, bin_edges, count_blocks, fit_tissues

EDGES = bin_edges((-150.0, 150.0))


def voxels(rng, fat_share=0.4, n=60000):
    points = rng.uniform(-1, 1, (n, 3))
    hu = np.where(rng.random(n) < fat_share, *CLASS_HU) + rng.normal(0, 15, n)
    return points, hu


@pytest.mark.parametrize("space", ["log", "linear"])
def test_a_known_smooth_field_is_found(rng, space):
    points, hu = voxels(rng)
    truth = np.array([0.02, 0.01, -0.02, 0.015, 0.01, 0.0, -0.01, 0.005, 0.0, 0.01])
    field = basis_at(points) @ truth
    changed = (hu + 1000) * np.exp(field) - 1000 if space == "log" else hu + 1000 * field
    before = fit_tissues(count_blocks(hu, points, EDGES), EDGES, space).field
    after = fit_tissues(count_blocks(changed, points, EDGES), EDGES, space).field
    # 2 HU: the blocks are an eighth of the body wide, and the tail of a class is cut where it leaves the window.
    np.testing.assert_allclose(basis_at(points) @ (after - before), field, atol=0.002)


def test_composition_does_not_bend_the_field(rng):
    points, hu = voxels(rng, fat_share=0.3)
    fatter = np.where(rng.random(len(points)) < (points[:, 0] + 1) / 2, CLASS_HU[0], hu)
    fits = [fit_tissues(count_blocks(values, points, EDGES), EDGES, "log") for values in (hu, fatter)]
    assert fits[1].shares[0] > fits[0].shares[0] + 0.2
    assert np.abs(basis_at(points) @ (fits[1].field - fits[0].field)).max() < 0.005


def test_counts_add_up_and_leave_out_what_is_outside():
    points = np.array([[-1.0, -1.0, -1.0], [0.99, 0.99, 0.99], [0.0, 0.0, 0.0]])
    counts = count_blocks(np.array([-300.5, 299.4, 299.5]), points, EDGES)
    assert counts.shape == (BLOCKS**3, len(EDGES) - 1)
    assert counts.sum() == 2
    assert counts[0, 0] == counts[-1, -1] == 1


def test_one_block_alone_gives_a_constant(rng):
    """A singular system for the shaped terms: their prior makes them 0, and nothing fails."""
    points = np.full((5000, 3), 0.9)
    hu = np.where(rng.random(5000) < 0.5, *CLASS_HU) + rng.normal(0, 15, 5000)
    found = fit_tissues(count_blocks(hu + 20, points, EDGES), EDGES, "linear").field
    assert np.isfinite(found).all()
    assert abs((basis_at(points[:1]) @ found)[0] - 0.02) < 0.003
