"""Windows over a crop: where MONAI lays them, what they cost, and the cheapest that fits."""

from __future__ import annotations

import itertools
import math

import pytest
from monai.data.utils import dense_patch_slices
from monai.inferers.utils import _get_scan_interval

from hnseg.inference.tiling import cheapest_tiling, tile

PAPER = {"shape": (310, 200, 200), "patch": (192, 192, 192), "multiple": 16, "overlap": 0.5}


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.625, 0.9])
@pytest.mark.parametrize(
    ("shape", "window"), [((310, 200, 200), (192, 192, 192)), ((75, 48, 48), (40, 48, 40)), ((33, 7, 20), (32, 7, 3))]
)
def test_windows_lie_where_monai_lays_them(shape, window, overlap):
    interval = _get_scan_interval(shape, window, 3, (overlap,) * 3)
    theirs = [tuple(part.start for part in slices) for slices in dense_patch_slices(shape, window, interval)]
    tiling = tile(shape, window, overlap=overlap)
    assert list(tiling.origins) == theirs
    assert tiling.count == len(theirs)


def test_costs_of_the_published_box():
    cubes = tile((310, 200, 200), (192, 192, 192), overlap=0.5)
    assert (cubes.count, round(cubes.cost, 2)) == (12, 6.85)
    assert round(tile((310, 200, 200), (192, 192, 192), overlap=0.625).cost, 2) == 6.85  # and as published
    slabs = tile((310, 200, 200), (192, 200, 200), overlap=0.5)
    assert (slabs.count, round(slabs.cost, 2)) == (3, 1.86)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.625])
@pytest.mark.parametrize("shape", [(310, 200, 200), (75, 48, 48), (150, 60, 41), (20, 90, 33)])
def test_every_voxel_is_covered_and_neighbors_share_the_overlap(shape, overlap):
    tiling = cheapest_tiling(shape, (40, 40, 40), multiple=8, overlap=overlap, max_voxels=10**9)
    for n, w, starts in zip(shape, tiling.window, tiling.starts, strict=True):
        assert starts[0] <= 0
        assert starts[-1] + w >= n
        steps = [b - a for a, b in itertools.pairwise(starts)]
        assert all(0 < step <= max(1, math.ceil(w * (1 - overlap))) for step in steps)


def test_the_cheapest_is_found_by_trying_all():
    shape, patch = (75, 48, 56), (40, 40, 40)
    best = min(
        tile(shape, (z, y, x), overlap=0.5).cost
        for z in range(40, 81, 8)
        for y in range(40, 49, 8)
        for x in range(40, 57, 8)
        if z <= 60 and z * y * x <= 50 * 48 * 56
    )
    assert cheapest_tiling(shape, patch, multiple=8, overlap=0.5, max_voxels=50 * 48 * 56).cost == best


def test_less_memory_means_smaller_windows_and_never_smaller_than_the_patch():
    costs = []
    for voxels in (2 * 10**7, 9 * 10**6, 8 * 10**6, 192**3, 10**6):
        tiling = cheapest_tiling(**PAPER, max_voxels=voxels)
        assert math.prod(tiling.window) <= max(voxels, 192**3)
        assert all(length >= 192 and length % 16 == 0 for length in tiling.window)
        costs.append(tiling.cost)
    assert costs == sorted(costs)
    assert 6.84 < costs[-1] < 6.86


@pytest.mark.parametrize("overlap", [0.5, 0.625])
def test_the_published_box_costs_at_least_three_times_less(overlap):
    tiling = cheapest_tiling(**{**PAPER, "overlap": overlap}, max_voxels=10**9)
    assert tiling.cost * 3 < 6.85
    assert tiling.window[1:] == (208, 208)  # 4 voxels of margin on either side
    assert tiling.count == 2


def test_a_crop_shorter_than_the_patch_sits_in_its_middle():
    tiling = cheapest_tiling((20, 40, 41), (40, 40, 40), multiple=8, overlap=0.5, max_voxels=10**9)
    assert tiling.window == (40, 40, 40)
    assert tiling.starts == ((-10,), (0,), (0, 1))


@pytest.mark.parametrize(("shape", "window", "overlap"), [((0, 4, 4), (4, 4, 4), 0.5), ((4, 4, 4), (4, 4, 4), 1.0)])
def test_nonsense_is_refused(shape, window, overlap):
    with pytest.raises(ValueError, match=r"crop|overlap"):
        tile(shape, window, overlap=overlap)
