"""The published crops against their definitions, written out on the whole image at 1 mm as their authors run them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, to_sitk
from hnseg.phantom import DEFAULT_CENTERS
from hnseg.preprocessing.crop.find_box import PLACEMENTS, find_crop
from ssimh.images.simpleitk import load_sitk

BOX = np.array([200, 200, 310])
FULL = {"box_vox": (200, 200, 310), "spacing_mm": 1.0}
WITHIN_MM = 4.0


def sampled(image, size, origin, interpolator, spacing=(1.0, 1.0, 1.0)):
    sitk = load_sitk()
    size = [int(n) for n in size]
    return sitk.Resample(image, size, sitk.Transform(), interpolator, origin, spacing, np.eye(3).ravel().tolist(), 0.0)


def resampled_by_spline(image: np.ndarray, grid: Grid, size, origin_mm) -> np.ndarray:
    """(z, y, x) values at 1 mm of the cubic spline, as ``sampled(..., sitkBSpline)``: one axis after the other.

    A spline in space is the product of splines along the axes, so it is enough to resample the unit vectors of each.
    """
    values = image.astype(np.float32)
    for axis, (count, first_mm) in enumerate(zip(size[::-1], origin_mm[::-1], strict=True)):
        length, step = grid.size[2 - axis], grid.spacing_mm[2 - axis]
        index = (first_mm + np.arange(count) - grid.origin_mm[2 - axis]) / step
        units = [ndimage.map_coordinates(unit, index[None], order=3, mode="mirror") for unit in np.eye(length)]
        weights = np.stack(units, axis=1).astype(np.float32)
        weights[(index < -0.5) | (index >= length - 0.5)] = 0
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    return values


def test_a_spline_along_one_axis_after_the_other_is_that_of_itk(rng):
    grid = Grid((9, 7, 8), (4.0, 5.0, 3.3), (-10.0, 3.0, 5.0))
    image, size, origin = rng.normal(size=grid.shape).astype(np.float32), (40, 45, 36), (-14.0, 1.5, 2.0)
    expected = load_sitk().GetArrayFromImage(sampled(to_sitk(image, grid), size, origin, load_sitk().sitkBSpline))
    np.testing.assert_allclose(resampled_by_spline(image, grid, size, origin), expected, atol=1e-4)
    assert (expected == 0).any()  # beyond the image, on both sides
    assert expected.std() > 0.3


def literal_nvauto(ct_grid: Grid, pet, pet_grid: Grid) -> np.ndarray:
    """Lower corner (x, y, z) mm of hecktor_crop_neck_region.py's box: PET onto the CT's grid, then to 1 mm."""
    sitk = load_sitk()
    linear = sitk.sitkLinear
    on_ct = sampled(to_sitk(pet, pet_grid), ct_grid.size, ct_grid.origin_mm, linear, ct_grid.spacing_mm)
    size = np.rint(np.asarray(ct_grid.size) * ct_grid.spacing_mm).astype(int)
    start = int(0.75 * size[2])
    # Only the upper quarter decides: the slices below it are not computed.
    lower = np.asarray(ct_grid.origin_mm) + np.array([0, 0, start])
    top = sitk.GetArrayFromImage(sampled(on_ct, [*size[:2], size[2] - start], lower.tolist(), linear))
    foreground = np.argwhere((top - top.mean(dtype=float)) / top.std(dtype=float, ddof=1) > 1)
    center = foreground.mean(axis=0)[::-1].astype(int)
    end = foreground[:, 0].max() + start
    corner = np.array([*(center[:2] - BOX[:2] // 2), end - BOX[2]])
    return np.asarray(ct_grid.origin_mm) + corner - 0.5


def literal_hecktor2025(ct_grid: Grid, pet, pet_grid: Grid) -> np.ndarray:
    """Lower corner (x, y, z) mm of the 2025 template's box: spline to 1 mm, then the largest hot piece."""
    low = np.maximum(ct_grid.origin_mm, pet_grid.origin_mm)
    high = np.min([np.asarray(g.origin_mm) + np.asarray(g.size) * g.spacing_mm for g in (ct_grid, pet_grid)], axis=0)
    shape = np.rint(high - low).astype(int)
    start = int(0.75 * shape[2])
    lower = low + np.array([0, 0, start])
    top = resampled_by_spline(pet, pet_grid, [*shape[:2], shape[2] - start], lower)
    hot = (top - top.mean(dtype=float)) / (top.std(dtype=float, ddof=1) + 1e-8) > 1.0
    pieces, _ = ndimage.label(hot, structure=np.ones((3, 3, 3)))
    largest = np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    center = (np.argwhere(pieces == largest).mean(axis=0)[::-1] + np.array([0, 0, start])).astype(int)
    begin = np.clip(center - BOX // 2, 0, shape)
    end = np.clip(begin + BOX, 0, shape)
    return low + np.maximum(end - BOX, 0) - 0.5


LITERAL = {"nvauto": literal_nvauto, "hecktor2025": literal_hecktor2025}


def corner(method, ct, ct_grid, pet, pet_grid):
    return find_crop(ct, ct_grid, pet, pet_grid, **FULL, method=method).grid.bounds_mm()[0]


CENTERS = [  # of the spline the shortest and the longest field of view
    pytest.param(method, center, id=f"{method}-{center.name}", marks=() if quick else pytest.mark.soak)
    for center in DEFAULT_CENTERS
    for method, quick in (("nvauto", True), ("hecktor2025", center.name in ("GAMA", "DELTA")))
]


@pytest.mark.parametrize(("method", "center"), CENTERS)
def test_the_box_is_the_literal_one_on_phantoms(phantom, center, method):
    case = phantom(center, 2)
    expected = LITERAL[method](case.ct_grid, case.pet, case.pet_grid)
    found = corner(method, case.ct, case.ct_grid, case.pet, case.pet_grid)
    np.testing.assert_allclose(found, expected, atol=WITHIN_MM)


@pytest.mark.parametrize("method", LITERAL)
def test_the_box_is_the_literal_one_on_real_scans(realdata_dir, method):
    paths = sorted((realdata_dir / "sts_petct" / "Task 1").glob("*/*__CT.nii.gz"))
    assert paths
    for ct_path in paths:
        ct, ct_grid = read_image(ct_path, ct_path.stem)
        pet, pet_grid = read_image(ct_path.with_name(ct_path.name.replace("__CT", "__PT")), ct_path.stem)
        expected = LITERAL[method](ct_grid, pet, pet_grid)
        np.testing.assert_allclose(corner(method, ct, ct_grid, pet, pet_grid), expected, atol=WITHIN_MM)


@pytest.mark.parametrize("method", PLACEMENTS)
def test_the_box_goes_by_place_not_by_index(phantom, method):
    """The same voxels stored the other way round in plane: the official definition's trap."""
    case = phantom(index=2)
    stored = []
    for grid, array in ((case.ct_grid, case.ct), (case.pet_grid, case.pet)):
        last = grid.to_physical([grid.size[0] - 1, grid.size[1] - 1, 0])
        stored += [array[:, ::-1, ::-1], replace(grid, origin_mm=tuple(last), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))]
    np.testing.assert_allclose(
        corner(method, *stored), corner(method, case.ct, case.ct_grid, case.pet, case.pet_grid), atol=0.01
    )


def test_the_papers_box_by_hand():
    """A hot block from z = 90 to 130 mm around (20, −10): the box ends at 130 mm, centered on the block."""
    grid = Grid((75, 75, 80), (4.0, 4.0, 4.0), (-148.0, -148.0, -148.0))
    points = grid.to_physical(np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1))
    x, y, z = points.transpose(3, 2, 1, 0)
    pet = np.where((abs(x - 20) < 30) & (abs(y + 10) < 34) & (z > 88) & (z < 132), 6.0, 0.5)
    pet[z < -100] = 9.0  # a hot bladder does not draw the superior slices to it
    ct = np.where(x**2 + y**2 < 100**2, 20.0, -1000.0)
    crop = find_crop(ct, grid, pet, grid, **FULL, method="paper")
    low, high = crop.grid.bounds_mm()
    np.testing.assert_allclose((low + high) / 2, [20, -10, 130 - 155], atol=2.1)
    assert (crop.fallback, crop.confidence) == (False, 0.0)  # no bone around it: it says so
    assert "bone in 0% of the directions" in crop.reason


@pytest.mark.parametrize("method", ["paper", "nvauto", "hecktor2025"])
def test_a_pet_without_anything_hot_falls_back_and_says_so(method):
    grid = Grid((75, 75, 80), (4.0, 4.0, 4.0), (-148.0, -148.0, -148.0))
    crop = find_crop(np.zeros(grid.shape), grid, np.ones(grid.shape), grid, **FULL, method=method)
    assert crop.fallback
    assert crop.confidence == 0
    assert "nothing in PET exceeds" in crop.reason
    low, high = crop.grid.bounds_mm()
    np.testing.assert_allclose((low + high)[:2] / 2, [0, 0], atol=3)
    assert high[2] == pytest.approx(grid.bounds_mm()[1][2], abs=3)
