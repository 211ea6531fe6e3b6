"""Every value stays at its place in the patient, whatever the axes of its file."""

import numpy as np
import pytest

from ssimh.viewer.frame import average, find_frame, place
from tests.ssimh.viewer.scans import DIRECTIONS, ORIGIN, SIZE, SPACING, image_of


def numbered():
    return np.arange(np.prod(SIZE), dtype=np.int16).reshape(SIZE[::-1])


def points_of(placed, frame):
    """Every value with its place in the patient."""
    z, y, x = np.indices(placed.values.shape).reshape(3, -1)
    inside = np.array(placed.grid.start_mm) + np.stack([x, y, z], axis=1) * placed.grid.spacing_mm
    return {int(value): point for value, point in zip(placed.values.ravel(), frame.to_patient(inside), strict=True)}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_voxels_keep_their_places_and_run_to_left_back_and_head(name):
    image = image_of(numbered(), DIRECTIONS[name])
    frame = find_frame(image)
    assert (np.diag(frame.axes) > 0.9).all()
    placed = place(image, frame)
    assert not placed.is_sampled
    found = points_of(placed, frame)
    for voxel in ((0, 0, 0), (16, 13, 10), (3, 8, 5)):
        value = int(image[voxel])
        np.testing.assert_allclose(found[value], image.TransformIndexToPhysicalPoint(voxel), atol=1e-6)
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 0.5, 7.0]])
    np.testing.assert_allclose(frame.to_patient(frame.to_frame(points)), points, atol=1e-9)


def test_a_scan_with_the_same_axes_is_cut_to_the_first_one_and_keeps_its_values():
    first = find_frame(image_of(numbered()))
    other = image_of(numbered(), spacing=(6.0, 7.0, 8.0), origin=(ORIGIN[0] - 12.0, ORIGIN[1] - 7.0, ORIGIN[2] - 16.0))
    placed = place(other, first)
    # The first scan begins 1, 1.25 and 1.5 mm before its first voxel; the voxels of the other one there are 1, 0 and 1.
    assert placed.grid.start_mm == pytest.approx((-6.0, -7.0, -8.0))
    assert placed.values.size < other.GetNumberOfPixels()
    for value, point in points_of(placed, first).items():
        index = other.TransformPhysicalPointToIndex(point.tolist())
        assert other[index] == value


def test_a_scan_with_other_axes_is_interpolated_where_it_lies():
    x, _, _ = np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij")
    ramp = image_of((x.transpose(2, 1, 0) * SPACING[0] + ORIGIN[0]).astype(np.float32))  # the value is x in mm
    tilted = image_of(numbered(), DIRECTIONS["oblique"], spacing=(1.0, 1.0, 1.0), origin=(-24.0, 20.0, 150.0))
    frame = find_frame(tilted)
    placed = place(ramp, frame)
    assert placed.is_sampled
    inside = [(v, p) for v, p in zip(placed.values.ravel(), _places(placed, frame), strict=True) if v != 0]
    assert len(inside) > 50
    assert max(abs(float(value) - point[0]) for value, point in inside) < 1e-3
    mask = place(image_of(np.ones(SIZE[::-1], np.uint8)), frame, is_mask=True)
    assert mask.grid == frame.extent
    assert set(np.unique(mask.values)) <= {0, 1}


def _places(placed, frame):
    z, y, x = np.indices(placed.values.shape).reshape(3, -1)
    return frame.to_patient(np.array(placed.grid.start_mm) + np.stack([x, y, z], 1) * placed.grid.spacing_mm)


@pytest.mark.parametrize("spacing_mm", [4.0, 3.3])
def test_means_over_larger_voxels_keep_the_sum_and_the_place(spacing_mm):
    values = np.zeros((4, 8, 32), np.float32)
    values[2, 3, 9:14] = 100.0
    image = image_of(values, spacing=(2.0, 5.0, 5.0), origin=(0.0, 0.0, 0.0))
    frame = find_frame(image)
    coarse = average(place(image, frame), spacing_mm)
    assert coarse.grid.spacing_mm == (spacing_mm, 5.0, 5.0)
    weights = coarse.values.sum(axis=(0, 1)) * spacing_mm
    assert weights.sum() == pytest.approx(500 * 2.0, rel=1e-5)
    x_mm = coarse.grid.start_mm[0] + np.arange(coarse.grid.size[0]) * spacing_mm
    assert (weights * x_mm).sum() / weights.sum() == pytest.approx(22.0, abs=0.5)  # voxels 9 to 13: 18 to 26 mm
