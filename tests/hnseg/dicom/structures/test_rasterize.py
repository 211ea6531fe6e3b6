"""A voxel is inside when its center is: even-odd in each plane, on any grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnseg.dicom.structures.rasterize import rasterize, rasterize_with_notes
from hnseg.dicom.structures.read_rtstruct import Structure, read_structures
from hnseg.errors import DicomError
from tests.hnseg.dicom.structures.rtstructs import FLIPPED, OBLIQUE, STRAIGHT, Roi, box, make_rtstruct

KEYHOLE = [(1, 1), (9, 1), (9, 9), (5, 9), (5, 7), (7, 7), (7, 3), (3, 3), (3, 7), (5, 7), (5, 9), (1, 9)]


def structure(*contours, grid=STRAIGHT):
    return read_structures(make_rtstruct([Roi("GTVp", contours)], grid))[0]


def in_slice(points, z=2):
    return [(x, y, z) for x, y in points]


@pytest.mark.parametrize("grid", [STRAIGHT, OBLIQUE, FLIPPED])
def test_a_rectangle_with_a_hole_and_an_island(grid):
    nested = [box(0.5, 0.5, 10.5, 10.5), box(2.5, 2.5, 8.5, 8.5), box(4.5, 4.5, 5.5, 6.5)]
    mask = rasterize(structure(*nested, grid=grid), grid)
    expected = np.zeros(grid.shape, dtype=bool)
    expected[2, 1:11, 1:11] = True
    expected[2, 3:9, 3:9] = False
    expected[2, 5:7, 5] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("grid", [STRAIGHT, OBLIQUE, FLIPPED])
def test_a_keyhole_is_a_hole(grid):
    shifted = [(x + 0.25, y + 0.25) for x, y in KEYHOLE]
    mask = rasterize(structure(in_slice(shifted), grid=grid), grid)
    outer = rasterize(structure(box(1.25, 1.25, 9.25, 9.25), grid=grid), grid)
    inner = rasterize(structure(box(3.25, 3.25, 7.25, 7.25), grid=grid), grid)
    np.testing.assert_array_equal(mask, outer & ~inner)
    assert outer.sum() == 64
    assert inner.sum() == 16


@pytest.mark.parametrize("grid", [STRAIGHT, OBLIQUE, FLIPPED])
def test_contours_that_touch_on_centers_share_no_voxel(grid):
    left, right = structure(box(1, 1, 5, 5), grid=grid), structure(box(5, 1, 9, 5), grid=grid)
    both = structure(box(1, 1, 5, 5), box(5, 1, 9, 5), grid=grid)
    a, b = rasterize(left, grid), rasterize(right, grid)
    assert not (a & b).any()
    np.testing.assert_array_equal(rasterize(both, grid), a | b)
    assert (a | b).sum() == 8 * 4  # x from 1, y from 1; 9 and 5 belong to what comes next


@given(st.lists(st.tuples(st.floats(0, 15), st.floats(0, 11)), min_size=3, max_size=9))
def test_any_polygon_is_even_odd(points):
    points = [(round(x, 3) + 0.00037, round(y, 3) + 0.00053) for x, y in points]  # no center on an edge of the axes
    polygon = Structure(1, "GTVp", (np.array(in_slice(points), dtype=float) * (1, 1, 3),))
    mask = rasterize(polygon, STRAIGHT)[2]
    for (y, x), inside in np.ndenumerate(mask):
        distance = [crossing - y for crossing in crossings_of_column(points, x)]
        if min(map(abs, distance), default=1.0) > 1e-5:
            assert inside == (sum(d < 0 for d in distance) % 2 == 1)


def crossings_of_column(points, x):
    """Where the edges of a polygon cross a column: rays along y, which the module does not follow."""
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if min(x0, x1) <= x < max(x0, x1):
            yield y0 + (x - x0) * (y1 - y0) / (x1 - x0)


def test_skipped_slices_stay_empty_and_are_named():
    drawn = rasterize_with_notes(structure(box(1, 1, 4, 4, z=1), box(1, 1, 4, 4, z=4)), STRAIGHT)
    assert list(np.flatnonzero(drawn.mask.any(axis=(1, 2)))) == [1, 4]
    assert "2, 3" in drawn.notes[0]


def test_a_copy_of_a_contour_does_not_erase_it():
    drawn = rasterize_with_notes(structure(box(1, 1, 4, 4), box(1, 1, 4, 4)), STRAIGHT)
    assert drawn.mask.sum() == 9
    assert len(drawn.notes) == 1


def test_contours_that_overlap_in_part_leave_a_note():
    drawn = rasterize_with_notes(structure(box(1, 1, 6, 6), box(4, 4, 9, 9)), STRAIGHT)
    assert drawn.mask.sum() == 25 + 25 - 2 * 4
    assert len(drawn.notes) == 1
    assert not rasterize_with_notes(structure(box(1, 1, 6, 6), box(2, 2, 4, 4), box(7, 7, 9, 9)), STRAIGHT).notes


@pytest.mark.parametrize("grid", [STRAIGHT, OBLIQUE, FLIPPED])
@pytest.mark.parametrize(
    "contour",
    [
        box(1, 1, 4, 4, z=2.5),  # between two slices
        box(1, 1, 4, 4, z=2.12),  # beyond the tolerance of 0.1 slices
        [(1, 1, 2), (4, 1, 2), (4, 4, 2.4), (1, 4, 2.4)],  # turned out of the plane
        box(-2, 1, 4, 4),
        box(1, 1, 4, 11.6),
        box(1, 1, 4, 4, z=6),
        box(1, 1, 4, 4, z=-1),
    ],
)
def test_contours_out_of_plane_or_outside_the_image_are_refused(grid, contour):
    with pytest.raises(DicomError) as caught:
        rasterize(structure(box(1, 1, 4, 4), contour, grid=grid), grid, "RTSTRUCT series 2")
    assert caught.value.series == "RTSTRUCT series 2"
    assert "contour 2 of structure 1" in caught.value.reason


@pytest.mark.parametrize("z", [1.91, 2.09])
def test_within_the_tolerance_a_contour_is_in_its_slice(z):
    assert list(np.flatnonzero(rasterize(structure(box(1, 1, 4, 4, z=z)), STRAIGHT).any(axis=(1, 2)))) == [2]


def test_the_whole_image_may_be_drawn():
    assert rasterize(structure(box(-0.5, -0.5, 15.5, 11.5)), STRAIGHT)[2].all()
