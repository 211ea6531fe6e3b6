"""Resampling follows physical coordinates, whatever the grids' directions."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.geometry import Grid
from hnseg.resample import overlap_mm, resample, upright_grid

DIRECTIONS = {
    "identity": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    "flipped": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0),
    "upside-down": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    "permuted": (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    "oblique": (np.cos(0.3), -np.sin(0.3), 0.0, np.sin(0.3), np.cos(0.3), 0.0, 0.0, 0.0, 1.0),
}


def coordinates(grid: Grid) -> np.ndarray:
    """Physical position of every voxel, (z, y, x, 3)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1)
    return grid.to_physical(index).transpose(2, 1, 0, 3)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_linear_function_of_position_is_reproduced_exactly(direction):
    grid = Grid((24, 22, 20), (2.0, 2.5, 3.0), (-20.0, 10.0, 5.0), DIRECTIONS[direction])
    centre = grid.to_physical((np.asarray(grid.size) - 1) / 2)
    target = upright_grid(centre - 10, (10, 10, 10), 2.0)
    slope = np.array([3.0, -2.0, 0.5])
    image = (coordinates(grid) @ slope).astype(np.float32)
    moved = resample(image, grid, target, outside=-9999.0)
    np.testing.assert_allclose(moved, coordinates(target) @ slope, atol=1e-3)


def test_outside_gets_the_stated_value():
    grid = Grid((4, 4, 4), (1, 1, 1), (0, 0, 0))
    target = Grid((4, 4, 4), (1, 1, 1), (100, 0, 0))
    assert (resample(np.zeros(grid.shape, np.float32), grid, target, outside=-1024) == -1024).all()


def test_labels_stay_labels():
    grid = Grid((8, 8, 8), (2, 2, 2), (0, 0, 0))
    label = np.random.default_rng(0).integers(0, 3, grid.shape).astype(np.uint8)
    moved = resample(label, grid, Grid((15, 15, 15), (1, 1, 1), (0, 0, 0)), outside=0, interpolation="nearest")
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) <= {0, 1, 2}
    np.testing.assert_array_equal(moved[::2, ::2, ::2], label)


def test_overlap_by_hand_and_of_disjoint_grids():
    a = Grid((10, 10, 10), (1, 1, 1), (0.5, 0.5, 0.5))
    b = Grid((10, 10, 10), (1, 1, 1), (4.5, -3.5, 0.5))
    low, high = overlap_mm(a, b)
    np.testing.assert_allclose(low, [4, 0, 0])
    np.testing.assert_allclose(high, [10, 6, 10])
    assert overlap_mm(a, Grid((2, 2, 2), (1, 1, 1), (50, 0, 0))) is None


def test_upright_grid_has_its_corner_where_asked():
    low, high = upright_grid(np.array([-5.0, 1.0, 2.0]), (4, 5, 6), 2.0).bounds_mm()
    np.testing.assert_allclose(low, [-5, 1, 2])
    np.testing.assert_allclose(high, [3, 11, 14])
