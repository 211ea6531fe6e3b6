"""Prepare and back: a label returns to the CT grid as itself, for every kind of grid."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.crop import find_crop
from hnseg.geometry import Grid
from hnseg.metrics import dice
from hnseg.phantom import DEFAULT_CENTRES, generate_case
from hnseg.resample import resample
from hnseg.restore import covered_index, restore_label, restore_probabilities

ROUTES = ("label", "probabilities")


def there_and_back(label: np.ndarray, ct_grid: Grid, crop_grid: Grid, route: str) -> np.ndarray:
    inside = resample(label, ct_grid, crop_grid, outside=0, interpolation="nearest")
    if route == "label":
        return restore_label(inside, crop_grid, ct_grid)
    return restore_probabilities(np.stack([inside == value for value in range(3)]), crop_grid, ct_grid)


@pytest.mark.parametrize("trap", [None, "flipped-direction", "oblique-direction"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_phantom_label_survives_at_one_millimetre(trap, route):
    # An oblique phantom is computed voxel by voxel: coarser, to spare a minute.
    case = generate_case(
        DEFAULT_CENTRES[0], 3, seed=2, trap=trap, pixel_mm=4.0 if trap == "oblique-direction" else 1.95
    )
    crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, box_vox=(200, 200, 310), spacing_mm=1.0)
    back = there_and_back(case.label, case.ct_grid, crop.grid, route)
    assert back.shape == case.ct_grid.shape
    for value in (1, 2):
        assert (case.label == value).any()
        assert dice(back == value, case.label == value) >= 0.97


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
