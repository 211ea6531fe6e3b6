"""The tissue model of one subject: it sees the scanner and not the composition of the body."""

import numpy as np
import pytest

from ssimh.site.field import FieldOnGrid, basis_at, grid_to_body
from ssimh.site.mixture import BLOCKS, CLASS_HU, bin_edges, count_blocks, fit_tissues
from ssimh.site.shrinkage import posterior_difference, spread

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


def test_fields_on_grid_and_body_agree(rng):
    box = np.array([[-0.5, 0.9], [-0.6, 0.4], [-0.3, 0.8]])
    coefficients = np.zeros((2, 10))
    coefficients[1, :4] = 0.02
    shape = (9, 11, 13)
    whole = FieldOnGrid(coefficients, shape, box)
    turned = FieldOnGrid(np.stack([grid_to_body(box) @ coefficients[1], np.zeros(10)]), shape, box)
    center = [int((low + high + 2) / 4 * size) for (low, high), size in zip(box, shape, strict=True)]
    difference = whole.slice(center[0]) - turned.slice(center[0])
    assert abs(difference[center[1], center[2]]) < 0.001


def test_shrinkage_does_less_the_fewer_subjects_there_are(rng):
    moved = []
    for count in (2, 4, 16):
        people = rng.normal(0, 0.005, (2 * count, 10)) + np.eye(10)[0] * rng.normal(0, 0.009, (2 * count, 1))
        boxes = np.tile([[-1.0, 1.0]], (2 * count, 3, 1))
        people[:count, 0] += 0.012 - (people[:count, 0].mean() - people[count:, 0].mean())
        shrunk, likely = posterior_difference(people[:count], people[count:], boxes[:count], boxes[count:])
        assert likely.sum() == pytest.approx(1)
        moved.append(shrunk.sum(axis=0)[0])
    assert 0 <= moved[0] < moved[1] < moved[2] < 0.013
    assert moved[0] < 0.006


def test_a_large_difference_is_hardly_shrunk(rng):
    people = rng.normal(0, 0.005, (24, 10))
    people[:12] += [0.05, 0, 0, 0.02, 0, 0, 0.02, 0, 0, 0]
    boxes = np.tile([[-1.0, 1.0]], (24, 3, 1))
    shrunk, _ = posterior_difference(people[:12], people[12:], boxes[:12], boxes[12:])
    raw = people[:12].mean(axis=0) - people[12:].mean(axis=0)
    np.testing.assert_allclose(shrunk.sum(axis=0)[[0, 3, 6]], raw[[0, 3, 6]], atol=0.004)


def test_frame_of_the_effect_is_recognized(rng):
    """A field that stands still in the grid moves through bodies that lie in different places."""
    middle = rng.uniform(-0.3, 0.3, (24, 3, 1))
    boxes = np.concatenate([middle - 0.5, middle + 0.5], axis=2)
    effect = np.array([0.0, 0, 0, 0.04, 0, 0, 0, 0, 0, 0])
    people = rng.normal(0, 0.003, (24, 10))
    fixed = people.copy()
    fixed[:12] += [grid_to_body(box) @ effect for box in boxes[:12]]
    along = people.copy()
    along[:12] += effect
    for fields, grid_frame_probability in ((fixed, True), (along, False)):
        _, likely = posterior_difference(fields[:12], fields[12:], boxes[:12], boxes[12:])
        assert (likely[1] > 0.9) == grid_frame_probability
        assert (likely[0] > 0.9) != grid_frame_probability


def test_spread_is_learnt_from_many_subjects(rng):
    people = rng.normal(0, 0.02, (500, 10))
    np.testing.assert_allclose(np.sqrt(np.diag(spread([people]))), 0.02, rtol=0.15)
