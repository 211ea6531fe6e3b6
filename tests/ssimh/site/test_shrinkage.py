"""Shrinkage of the difference of two sites: less with fewer subjects, in the right frame, and cupping off the axis."""

import numpy as np
import pytest

from ssimh.site.effect_prior import body_terms
from ssimh.site.field import TERMS, grid_to_body
from ssimh.site.shrinkage import posterior_difference, spread


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
        assert (likely[1] > 0.85) == grid_frame_probability
        assert (likely[0] > 0.85) != grid_frame_probability


def test_spread_is_learnt_from_many_subjects(rng):
    people = rng.normal(0, 0.02, (500, 10))
    np.testing.assert_allclose(np.sqrt(np.diag(spread([people]))), 0.02, rtol=0.15)


def _rms_over_body(coefficients):
    return 1000 * np.linalg.norm(body_terms() @ coefficients)


def _bodies(rng, count):
    """Bodies of different size and place, as heads and shoulders are in the grid of a scan."""
    half, middle = rng.uniform(0.3, 0.8, (count, 3, 1)), rng.uniform(-0.2, 0.2, (count, 3, 1))
    return np.concatenate([middle - half, middle + half], axis=2)


@pytest.mark.parametrize("frame", ["body", "grid"])
def test_cupping_about_an_axis_off_the_middle_is_found_with_four_subjects(rng, frame):
    """About (0.4, -0.3), as large as people differ: more than half is found, more than by the plain difference."""
    effect = np.zeros(10)
    effect[[TERMS.index(term) for term in ((0, 0, 2), (0, 2, 0), (0, 0, 1), (0, 1, 0))]] = 2 / 3, 2 / 3, -0.8, 0.6
    effect[0] = -(body_terms().T @ body_terms())[0] @ effect
    effect *= 0.02 / np.linalg.norm(body_terms() @ effect) * (1 if frame == "body" else 3)
    left, plain, given = [], [], []
    for _ in range(6):
        people, boxes = rng.normal(0, 0.006, (8, 10)), _bodies(rng, 8)
        maps = [grid_to_body(box) if frame == "grid" else np.eye(10) for box in boxes]
        people[:4] += [to_body @ effect for to_body in maps[:4]]
        shrunk, _ = posterior_difference(people[:4], people[4:], boxes[:4], boxes[4:])
        raw = people[:4].mean(axis=0) - people[4:].mean(axis=0)
        for box, to_body in zip(boxes[:4], maps[:4], strict=True):
            found = shrunk[0] + grid_to_body(box) @ shrunk[1]
            left.append(_rms_over_body(to_body @ effect - found))
            plain.append(_rms_over_body(to_body @ effect - raw))
            given.append(_rms_over_body(to_body @ effect))
    assert np.mean(left) < 0.5 * np.mean(given)
    assert np.mean(left) < np.mean(plain)


def test_alike_sites_are_moved_by_less_than_a_third_of_the_plain_difference(rng):
    moved, plain = [], []
    for _ in range(8):
        people, boxes = rng.normal(0, 0.006, (8, 10)), _bodies(rng, 8)
        shrunk, _ = posterior_difference(people[:4], people[4:], boxes[:4], boxes[4:])
        moved.append(_rms_over_body(shrunk[0] + grid_to_body(boxes[0]) @ shrunk[1]))
        plain.append(_rms_over_body(people[:4].mean(axis=0) - people[4:].mean(axis=0)))
    assert np.mean(moved) < np.mean(plain) / 3


def test_a_difference_changes_its_sign_when_sites_change_places(rng):
    people, boxes = rng.normal(0, 0.01, (9, 10)), _bodies(rng, 9)
    there, frames = posterior_difference(people[:4], people[4:], boxes[:4], boxes[4:])
    back, same = posterior_difference(people[4:], people[:4], boxes[4:], boxes[:4])
    np.testing.assert_allclose(back, -there, atol=1e-12)
    np.testing.assert_allclose(same, frames, atol=1e-9)
