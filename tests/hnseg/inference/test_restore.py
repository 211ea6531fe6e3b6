"""Prepare and back: a label returns to the CT grid as itself, for every kind of grid."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from scipy import ndimage

from hnseg.evaluation.overlap import dice
from hnseg.images.geometry import Grid
from hnseg.images.resample import covered_index, resample, upright_grid
from hnseg.inference.restore import decide_label, restore_label, restore_probabilities
from hnseg.phantom import DEFAULT_CENTERS, generate_case
from hnseg.phantom.subject import rotation
from hnseg.phantom.traps import OBLIQUE_DEG
from hnseg.preprocessing.crop.find_box import find_crop

ROUTES = ("label", "probabilities")


def there_and_back(label: np.ndarray, ct_grid: Grid, crop_grid: Grid, route: str) -> np.ndarray:
    inside = resample(label, ct_grid, crop_grid, outside=0, interpolation="nearest")
    if route == "label":
        return restore_label(inside, crop_grid, ct_grid)
    return restore_probabilities(np.stack([inside == value for value in range(3)]), crop_grid, ct_grid)


@pytest.mark.parametrize("route", ROUTES)
def test_a_phantom_label_survives_at_one_millimeter(route):
    case = generate_case(DEFAULT_CENTERS[0], 3, seed=2, pixel_mm=1.95)
    crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, box_vox=(200, 200, 310), spacing_mm=1.0)
    back = there_and_back(case.label, case.ct_grid, crop.grid, route)
    assert back.shape == case.ct_grid.shape
    for value in (1, 2):
        assert (case.label == value).any()
        assert dice(back == value, case.label == value) >= 0.98


TURN = rotation(OBLIQUE_DEG)
GRIDS = {
    "as in the challenge": Grid((150, 140, 46), (0.977, 0.977, 3.0), (-73.0, -68.0, -67.0)),
    "flipped": Grid((150, 140, 46), (0.977, 0.977, 3.0), (73.0, 68.5, -67.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1)),
    "upside down": Grid((150, 140, 46), (0.977, 0.977, 3.0), (-73.0, -68.0, 68.0), (1, 0, 0, 0, 1, 0, 0, 0, -1)),
    "permuted": Grid((46, 150, 140), (3.0, 0.977, 0.977), (-68.0, -73.0, -67.0), (0, 0, 1, 0, 1, 0, 1, 0, 0)),
    "oblique": Grid(
        (150, 140, 46), (0.977, 0.977, 3.0), tuple(TURN @ np.array([-73.0, -68.0, -67.0])), tuple(TURN.ravel())
    ),
    "wide pixels": Grid((105, 100, 28), (1.37, 1.37, 5.0), (-71.3, -69.1, -68.7)),
    "short field of view": Grid((140, 130, 26), (0.977, 0.977, 3.27), (-68.3, -63.2, -41.4)),
    "on a shifted 1 mm grid": Grid((140, 140, 140), (1.0, 1.0, 1.0), (-69.5, -69.5, -69.5)),
}


@functools.cache
def random_lesions(grid: Grid, seed: int, amount: int = 6) -> np.ndarray:
    """Irregular lesions of 1 to 20 ml in the middle of a grid, their surface a random wave; classes 1 and 2."""
    rng = np.random.default_rng(seed)
    label = np.zeros(grid.shape, np.uint8)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1)
    points = grid.to_physical(index).transpose(2, 1, 0, 3)
    middle = grid.to_physical((np.asarray(grid.size) - 1) / 2)
    for number in range(amount):
        offset = points - (middle + rng.uniform(-1, 1, 3) * np.array([45, 45, 25]))
        radius = rng.uniform(7.5, 17.0) * (1 + 0.12 * np.sin(offset @ rng.normal(0, 0.25, 3) + rng.uniform(0, 6)))
        label[np.linalg.norm(offset / rng.uniform(0.8, 1.25, 3), axis=-1) < radius] = 1 + number % 2
    return label


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("route", ROUTES)
def test_random_lesions_return_to_every_kind_of_grid(name, route):
    grid = GRIDS[name]
    label = random_lesions(grid, seed=len(name))
    center = grid.to_physical((np.asarray(grid.size) - 1) / 2)
    crop_grid = upright_grid(center - np.array([100.3, 99.6, 155.2]), (200, 200, 310), 1.0)
    back = there_and_back(label, grid, crop_grid, route)
    # Interpolating zeros and ones takes the edge off small lesions; a network's probabilities have none.
    least = 0.98 if route == "label" else 0.96
    for value in (1, 2):
        lesions, count = ndimage.label(label == value)
        assert count > 0
        for number in range(1, count + 1):
            lesion = lesions == number
            if lesion.sum() * grid.voxel_ml <= 1:
                continue
            near = ndimage.binary_dilation(lesion, iterations=3)
            found = (back == value) & near & ~((label == value) & ~lesion)
            assert dice(found, lesion) >= least
    # Nothing is shifted: every whole-voxel displacement of the result fits worse.
    aligned = dice(back > 0, label > 0)
    for axis in range(3):
        for step in (-1, 1):
            assert dice(np.roll(back, step, axis) > 0, label > 0) < aligned


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_shifted(route):
    """A label that is constant along the grid's axes in steps of the crop voxel returns without one wrong voxel."""
    ct_grid = Grid((40, 40, 20), (1.0, 1.0, 2.0), (-20.0, -20.0, 0.0))
    crop_grid = Grid((30, 30, 30), (1.0, 1.0, 1.0), (-15.0, -15.0, 4.0))
    label = np.zeros(ct_grid.shape, np.uint8)
    label[4:9, 10:20, 12:22] = 1
    label[10:13, 20:25, 8:30] = 2
    np.testing.assert_array_equal(there_and_back(label, ct_grid, crop_grid, route), label)


def test_most_probable_class_wins_after_resampling():
    crop_grid = Grid((2, 1, 1), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))
    ct_grid = Grid((11, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    probabilities = np.array([[0.9, 0.0], [0.1, 1.0], [0.0, 0.0]]).reshape(3, 1, 1, 2)
    # Class 1 at x mm: 0.1 + 0.09 x; class 0: 0.9 - 0.09 x; they cross at x = 4.44.
    assert restore_probabilities(probabilities, crop_grid, ct_grid)[0, 0].tolist() == [0] * 5 + [1] * 6


def test_outside_the_box_is_background():
    crop_grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    ct_grid = Grid((10, 10, 10), (1.0, 1.0, 1.0), (-3.0, -3.0, -3.0))
    everywhere = np.stack([np.zeros(crop_grid.shape), np.ones(crop_grid.shape), np.zeros(crop_grid.shape)])
    mask = restore_probabilities(everywhere, crop_grid, ct_grid)
    assert mask.sum() == 64
    assert (mask[3:7, 3:7, 3:7] == 1).all()
    far = Grid((10, 10, 10), (1.0, 1.0, 1.0), (500.0, 0.0, 0.0))
    assert not restore_probabilities(everywhere, crop_grid, far).any()


def test_covered_index_holds_every_voxel_of_the_box():
    box = Grid((5, 5, 5), (2.0, 2.0, 2.0), (3.0, 4.0, 5.0))
    grid = Grid((50, 50, 50), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    low, high = covered_index(box, grid)
    assert (high - low)[0] <= 1  # the grid runs away from the box along x: at most its first voxel
    low, high = covered_index(box, Grid((50, 50, 50), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    np.testing.assert_array_equal(low, [2, 3, 4])
    assert (high >= [13, 14, 15]).all()


@pytest.mark.parametrize(("decide_on", "edge_mm"), [("ct-grid", 4.44), ("crop-grid", 5.0)])
def test_where_the_class_is_decided_moves_its_border(decide_on, edge_mm):
    """The logits of the case above: probabilities cross at x = 4.44 mm, the nearest of two voxels changes at 5 mm."""
    crop_grid = Grid((2, 1, 1), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))
    ct_grid = Grid((11, 1, 1), (1.0, 1.0, 1.0), (0.25, 0.0, 0.0))
    logits = torch.tensor([[0.9, 1e-9], [0.1, 1.0], [1e-9, 1e-9]]).reshape(3, 1, 1, 2).log()
    label = decide_label(logits, crop_grid, ct_grid, decide_on=decide_on)
    assert label.dtype == np.uint8
    assert label[0, 0].tolist()[:10] == [int(0.25 + x > edge_mm) for x in range(10)]
