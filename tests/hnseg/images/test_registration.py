"""A known displacement of PET is measured and undone; aligned images are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hnseg.images.geometry import Grid
from hnseg.images.registration import Alignment, measure_alignment
from hnseg.images.resample import resample
from hnseg.phantom import DEFAULT_CENTERS
from hnseg.phantom.subject import rotation
from hnseg.preprocessing.crop.find_box import find_crop


@pytest.fixture(scope="module", params=DEFAULT_CENTERS, ids=lambda center: center.name)
def scan(request, phantom):
    """A phantom of a center, and its box; the phantom itself is misaligned by about a millimeter."""
    case = phantom(request.param, 2)
    crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, box_vox=(200, 200, 310), spacing_mm=1.0)
    return case, crop.grid


def measured(case, box, pet_grid) -> Alignment:
    alignment = measure_alignment(case.ct, case.ct_grid, case.pet, pet_grid, box)
    assert alignment is not None
    return alignment


def test_aligned_images_are_left_alone(scan):
    case, box = scan
    alignment = measured(case, box, case.pet_grid)
    assert alignment.displacement_mm < 2.5
    assert not alignment.is_displaced


@pytest.mark.parametrize("shift", [(8.0, -6.0, 5.0), (-12.0, 4.0, -15.0)])
def test_a_known_shift_is_recovered_and_undone(scan, shift):
    case, box = scan
    moved = replace(case.pet_grid, origin_mm=tuple(np.add(case.pet_grid.origin_mm, shift)))
    alignment = measured(case, box, moved)
    np.testing.assert_allclose(alignment.shift_mm, shift, atol=2.0)
    assert alignment.is_displaced
    assert alignment.is_notable
    corrected = alignment.corrected_grid(moved)
    index = (np.asarray(corrected.size) - 1) / 2
    np.testing.assert_allclose(corrected.to_physical(index), case.pet_grid.to_physical(index), atol=2.0)
    assert measured(case, box, corrected).displacement_mm < 2.5


def test_the_quick_search_agrees_with_the_whole_search(scan, monkeypatch):
    case, box = scan
    quick = measured(case, box, case.pet_grid)
    monkeypatch.setattr("hnseg.images.registration._quick_shift_search", lambda fixed, moving: None)
    whole = measured(case, box, case.pet_grid)
    assert quick.turn_deg == 0.0 < whole.turn_deg
    np.testing.assert_allclose(quick.shift_mm, whole.shift_mm, atol=0.8)


def test_a_turned_head_is_turned_back(phantom):
    case = phantom(index=2)
    crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, box_vox=(200, 200, 310), spacing_mm=1.0)
    turn, middle = rotation([4.0, 0.0, 6.0]), crop.grid.to_physical((np.asarray(crop.grid.size) - 1) / 2)
    origin = turn @ (np.asarray(case.pet_grid.origin_mm) - middle) + middle + np.array([3.0, -4.0, 2.0])
    moved = replace(case.pet_grid, origin_mm=tuple(origin), direction=tuple((turn @ case.pet_grid.matrix).ravel()))
    alignment = measured(case, crop.grid, moved)
    assert alignment.turn_deg == pytest.approx(np.degrees(np.arccos((np.trace(turn) - 1) / 2)), abs=1.0)
    corrected = alignment.corrected_grid(moved)
    points = crop.grid.to_physical(np.random.default_rng(0).uniform(40, 160, (20, 3)))
    expected = points @ turn.T + (middle - turn @ middle) + np.array([3.0, -4.0, 2.0])
    np.testing.assert_allclose(corrected.to_index(points), moved.to_index(expected), atol=0.7)  # voxels of 3 to 4 mm
    before, after = (resample(case.pet, grid, crop.grid, outside=0.0) for grid in (moved, corrected))
    truth = resample(case.pet, case.pet_grid, crop.grid, outside=0.0)
    assert np.abs(after - truth).mean() < 0.3 * np.abs(before - truth).mean()


def test_images_that_say_nothing_are_not_judged():
    grid = Grid((50, 50, 50), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    flat = np.zeros(grid.shape, np.float32)
    pattern = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    assert measure_alignment(pattern, grid, flat, grid, grid) is None
    assert measure_alignment(flat, grid, pattern, grid, grid) is None
    far = replace(grid, origin_mm=(195.0, 0.0, 0.0))
    assert measure_alignment(pattern, grid, pattern, far, grid) is None
