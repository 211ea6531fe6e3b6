"""Surface distances against brute force in float64, against MONAI, and by hand with anisotropic spacing."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from hnseg.evaluation.surface_distance import hausdorff_mm, surface_dice, surface_distances_mm, surface_voxels
from tests.facts import raises_naming

SPACINGS = [(1.0, 1.0, 1.0), (3.27, 0.977, 0.977), (0.5, 2.0, 4.0)]


def brute_surface(mask):
    """Voxels with a face neighbor that is outside the mask or outside the image."""
    voxels = {tuple(int(a) for a in v) for v in np.argwhere(mask)}
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if sum(map(abs, step)) == 1]
    return sorted(
        v for v in voxels if any(tuple(a + b for a, b in zip(v, s, strict=True)) not in voxels for s in steps)
    )


def brute_distances(a, b, spacing):
    """From every surface voxel of a to the nearest of b, pair by pair."""
    others = brute_surface(b)
    return [min(math.dist(np.multiply(p, spacing), np.multiply(q, spacing)) for q in others) for p in brute_surface(a)]


def brute_percentile(values, percent):
    ordered = sorted(values)
    at = percent / 100 * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def random_blob(rng):
    shape = tuple(int(n) for n in rng.integers(1, 9, 3))
    density = rng.choice([0.1, 0.4, 0.9, 1.0])
    pair = [rng.random(shape) < density for _ in range(2)]
    for mask in pair:
        mask[tuple(rng.integers(0, n) for n in shape)] = True
    return pair


def test_surface_voxels_equal_brute_force(rng):
    for _ in range(40):
        mask = random_blob(rng)[0]
        assert [tuple(v) for v in surface_voxels(mask).tolist()] == brute_surface(mask)
    assert surface_voxels(np.zeros((2, 3, 4), bool)).shape == (0, 3)
    cube = np.ones((3, 3, 3), bool)
    assert len(surface_voxels(cube)) == 26  # all but the middle: beyond the image is outside


@pytest.mark.parametrize("spacing", SPACINGS)
def test_distances_and_scores_equal_brute_force(rng, spacing):
    for _ in range(20):
        pred, truth = random_blob(rng)
        found = surface_distances_mm(pred, truth, spacing)
        sides = brute_distances(pred, truth, spacing), brute_distances(truth, pred, spacing)
        np.testing.assert_allclose(found.pred_to_truth_mm, sides[0], atol=1e-6, rtol=0)
        np.testing.assert_allclose(found.truth_to_pred_mm, sides[1], atol=1e-6, rtol=0)
        for percent in (0, 50, 95, 100):
            expected = max(brute_percentile(side, percent) for side in sides)
            assert hausdorff_mm(found, percent) == pytest.approx(expected, abs=1e-6, rel=0)
        for tolerance in (0.4, 1.0, 3.27, 6.0):
            near = sum(d <= tolerance + 1e-6 for side in sides for d in side)
            expected = near / (len(sides[0]) + len(sides[1]))
            assert surface_dice(found, tolerance) == pytest.approx(expected, abs=1e-12, rel=0)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # MONAI's own, of torch
@pytest.mark.parametrize("spacing", SPACINGS)
def test_agrees_with_monai(rng, spacing):
    for _ in range(10):
        pred, truth = random_blob(rng)
        found = surface_distances_mm(pred, truth, spacing)
        a, b = (torch.from_numpy(mask)[None, None].float() for mask in (pred, truth))
        hd95 = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=spacing)
        assert hausdorff_mm(found) == pytest.approx(float(hd95), abs=1e-4)  # MONAI computes in float32
        share = compute_surface_dice(a, b, class_thresholds=[3.1], include_background=True, spacing=spacing)
        assert surface_dice(found, 3.1) == pytest.approx(float(share), abs=1e-6)


def test_by_hand_with_anisotropic_spacing():
    # A 1 x 3 x 3 plate, and the same plate one slice (3 mm) higher and one column (1 mm) to the side.
    truth = np.zeros((4, 5, 6), bool)
    truth[1, 1:4, 1:4] = True
    pred = np.zeros((4, 5, 6), bool)
    pred[2, 1:4, 2:5] = True
    found = surface_distances_mm(pred, truth, (3.0, 1.0, 1.0))
    assert sorted(found.pred_to_truth_mm.round(6)) == [3.0] * 6 + [round(math.sqrt(10), 6)] * 3
    assert hausdorff_mm(found, 100) == pytest.approx(math.sqrt(10))
    assert surface_dice(found, 3.0) == 12 / 18
    assert surface_dice(found, 2.9) == 0.0
    # 95 % of the way through nine sorted distances lies 0.6 between the 8th and the 9th, which are equal.
    assert hausdorff_mm(found) == pytest.approx(math.sqrt(10))


def test_the_order_of_the_spacing_matters():
    truth, pred = np.zeros((5, 1, 5), bool), np.zeros((5, 1, 5), bool)
    truth[0, 0, 0] = pred[4, 0, 0] = True
    assert hausdorff_mm(surface_distances_mm(pred, truth, (3.0, 1.0, 1.0))) == 12.0
    assert hausdorff_mm(surface_distances_mm(pred, truth, (1.0, 1.0, 3.0))) == 4.0


def test_the_three_empty_cases_have_no_distance():
    some, none = np.ones((1, 2, 3), bool), np.zeros((1, 2, 3), bool)
    for pred, truth in ((none, none), (some, none), (none, some)):
        assert surface_distances_mm(pred, truth, (1, 1, 1)) is None


def test_identical_masks_agree_wholly(rng):
    mask = random_blob(rng)[0]
    found = surface_distances_mm(mask, mask, (3.0, 1.0, 1.0))
    assert (hausdorff_mm(found), surface_dice(found, 1e-3)) == (0.0, 1.0)


def test_bad_input_is_refused():
    mask = np.ones((2, 2, 2), bool)
    with raises_naming(ValueError, (2, 2, 2), (1, 2, 2)):
        surface_distances_mm(mask, mask[:1], (1, 1, 1))
    with raises_naming(ValueError, "spacing_zyx_mm (1, 0, 1)"):
        surface_distances_mm(mask, mask, (1, 0, 1))
    found = surface_distances_mm(mask, mask, (1, 1, 1))
    with raises_naming(ValueError, "percentile 101", "[0, 100]"):
        hausdorff_mm(found, 101)
    with raises_naming(ValueError, "tolerance_mm 0.0"):
        surface_dice(found, 0.0)
