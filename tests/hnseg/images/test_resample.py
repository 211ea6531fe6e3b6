"""Resampling follows physical coordinates, whatever the grids' directions."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk
from hnseg.images.resample import covered_index, overlap_mm, resample, resample_label, upright_grid
from ssimh.images.simpleitk import load_sitk

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
    center = grid.to_physical((np.asarray(grid.size) - 1) / 2)
    target = upright_grid(center - 10, (10, 10, 10), 2.0)
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


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "nearest"])
def test_looking_at_the_covered_part_alone_changes_nothing(direction, interpolation):
    """The whole image through ITK, and the part that the target covers, give the same values."""
    grid = Grid((60, 50, 40), (0.98, 0.98, 3.0), (-20.0, 10.0, 5.0), DIRECTIONS[direction])
    image = np.random.default_rng(0).normal(0, 400, grid.shape).astype(np.int16)
    center = grid.to_physical((np.asarray(grid.size) - 1) * 0.6)
    target = upright_grid(center - 11.3, (22, 21, 23), 1.03)
    sitk = load_sitk()
    method = {"linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}[interpolation]
    source = to_sitk(image.astype(np.float64), grid)
    lattice = (target.size, sitk.Transform(), method, target.origin_mm, target.spacing_mm, target.direction)
    whole = sitk.GetArrayFromImage(sitk.Resample(source, *lattice, -1024.0))
    part = resample(image, grid, target, outside=-1024.0, interpolation=interpolation)
    assert part.dtype == (np.int16 if interpolation == "nearest" else np.float32)
    inside = np.abs(whole) < np.abs(image).max()  # where the cubic does not overshoot
    assert inside.mean() > 0.9
    np.testing.assert_allclose(part[inside], whole[inside], atol=0.01)


def test_cubic_stays_within_what_was_measured_and_is_sharper():
    grid = Grid((40, 40, 40), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    pet = np.zeros(grid.shape, np.float32)
    pet[15:25, 15:25, 15:25] = 9.0
    target = upright_grid(np.array([11.3, 11.3, 11.3]), (60, 60, 60), 1.0)
    cubic = resample(pet, grid, target, outside=0.0, interpolation="cubic")
    assert (cubic.min(), cubic.max()) == (0.0, 9.0)  # the spline alone reaches beyond both
    marked = resample(pet, grid, upright_grid(np.array([11.3, 11.3, -9.7]), (60, 60, 60), 1.0), outside=-32768.0,
                      interpolation="cubic")  # fmt: skip
    assert set(np.unique(marked[marked < 0])) == {-32768.0}
    coordinates_mm = coordinates(target)
    smooth, wave = np.sin(coordinates(grid) / 4).prod(axis=-1), np.sin(coordinates_mm / 4).prod(axis=-1)
    errors = [
        np.abs(resample(smooth, grid, target, outside=0.0, interpolation=kind) - wave).max()
        for kind in ("linear", "cubic")
    ]
    assert errors[1] < errors[0] / 5


def test_linear_labels_split_the_distance_between_slices():
    """Two classes in neighboring slices 4 mm apart meet in the middle; a linear border is smooth in between."""
    grid = Grid((9, 1, 2), (1.0, 1.0, 4.0), (0.0, 0.0, 0.0))
    label = np.array([[[0, 0, 1, 1, 1, 1, 1, 0, 0]], [[2] * 9]], np.uint8)
    target = Grid((9, 1, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    for method in ("nearest", "linear"):
        moved = resample_label(label, grid, target, method=method)
        assert moved.dtype == np.uint8
        np.testing.assert_array_equal(moved[[0, 1]], np.repeat(label[:1], 2, axis=0))
        np.testing.assert_array_equal(moved[[3, 4]], np.repeat(label[1:], 2, axis=0))


def test_a_target_beside_the_image_is_outside():
    grid = Grid((4, 4, 4), (1, 1, 1), (0, 0, 0))
    far = Grid((2, 2, 2), (1, 1, 1), (50, 0, 0))
    for kind in ("linear", "cubic", "nearest"):
        assert (resample(np.ones(grid.shape, np.uint8), grid, far, outside=7, interpolation=kind) == 7).all()
    low, high = covered_index(far, grid)
    assert (high <= low).any()
