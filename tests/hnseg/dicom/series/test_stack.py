"""Geometry of stacks: every voxel is where DICOM's own formula puts it, or the stack is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hnseg.dicom.series.faults import SeriesFault
from hnseg.dicom.series.records import SliceRecord
from hnseg.dicom.series.stack import TOLERANCE_MM, Stack, stack_slices, voxel_positions_mm
from tests.facts import names
from tests.hnseg.dicom.phantoms import CORONAL, OBLIQUE, Phantom

SHAPE = (6, 5, 7)


def records(phantom: Phantom) -> list[SliceRecord]:
    """Slices of a phantom without files, in an order of their own."""
    spacing = (phantom.spacing_mm[1], phantom.spacing_mm[0])
    orientation = tuple(phantom.axes[:2].ravel())
    slices = [
        SliceRecord("", z, None, str(z), orientation, tuple(phantom.position_mm(z)), spacing, *phantom.shape[1:])
        for z in range(phantom.shape[0])
        if z not in phantom.missing
    ]
    return [slices[index] for index in np.random.default_rng(0).permutation(len(slices))]


def errors_mm(slices: list[SliceRecord], stack: Stack) -> float:
    """Largest distance between a voxel of the grid and the position that its slice's header gives it."""
    columns, rows = np.meshgrid(np.arange(slices[0].columns), np.arange(slices[0].rows))
    pixels = np.column_stack([columns.ravel(), rows.ravel()]).astype(float)
    found = []
    for number, plane in enumerate(stack.planes):
        shift = 0 if stack.shifts_px is None else stack.shifts_px[number][::-1]
        index = np.column_stack([pixels + shift, np.full(len(pixels), number)])
        expected = voxel_positions_mm(slices[plane[0]], pixels)
        found.append(np.linalg.norm(stack.grid.to_physical(index) - expected, axis=1).max())
    return max(found)


orientations = st.tuples(*[st.floats(-180, 180)] * 3).map(
    lambda angles: tuple(Rotation.from_euler("xyz", angles, degrees=True).as_matrix()[:, :2].T.ravel())
)
phantoms = st.builds(
    Phantom,
    shape=st.tuples(st.integers(2, 9), st.integers(1, 6), st.integers(1, 6)),
    spacing_mm=st.tuples(st.floats(0.3, 5), st.floats(0.3, 5), st.floats(0.5, 8)),
    orientation=orientations,
    center_mm=st.tuples(*[st.floats(-500, 500)] * 3),
)


@given(phantoms)
def test_voxels_are_where_the_headers_put_them(phantom):
    slices = records(phantom)
    stack = stack_slices(slices)
    assert errors_mm(slices, stack) < 1e-9
    assert stack.grid.shape == phantom.shape
    assert np.linalg.det(stack.grid.matrix) == pytest.approx(1)
    assert stack.shifts_px is None


@given(phantoms, st.floats(2, 40) | st.floats(-40, -2))
def test_planes_of_a_tilted_stack_stay_and_slices_move_within_them(phantom, tilt):
    slices = records(replace(phantom, tilt_deg=tilt, spacing_mm=(1.0, 2.0, 4.0)))
    stack = stack_slices(slices)
    assert stack.tilt_deg == pytest.approx(abs(tilt))
    assert errors_mm(slices, stack) < 1e-9
    assert stack.grid.spacing_mm[2] == pytest.approx(4 * np.cos(np.radians(tilt)))
    assert stack.shifts_px.min() == pytest.approx(0, abs=1)  # the grid holds every slice, with less than a row to spare
    assert (stack.shifts_px[:, 0] + phantom.shape[1] <= stack.grid.shape[1] + 1e-6).all()


@given(phantoms, st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_what_is_accepted_is_within_the_tolerance(phantom, seed, size_mm):
    rng = np.random.default_rng(seed)
    slices = [
        replace(part, position_mm=tuple(part.position_mm + rng.uniform(-size_mm, size_mm, 3)))
        for part in records(phantom)
    ]
    try:
        stack = stack_slices(slices)
    except SeriesFault:
        stack = None
    if stack is None:
        assert size_mm > TOLERANCE_MM / 4
        return
    assert errors_mm(slices, stack) <= TOLERANCE_MM + 1e-9


def test_a_grid_by_hand():
    stack = stack_slices(records(Phantom(shape=(3, 4, 5), spacing_mm=(1, 2, 3), orientation=CORONAL)))
    np.testing.assert_allclose(stack.grid.matrix, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)
    assert stack.grid.spacing_mm == pytest.approx((1, 2, 3))
    assert stack.grid.origin_mm == pytest.approx((-2, -3, 3))  # half of 4, of 2 · 3 backward, of 3 · 2 upward


@pytest.mark.parametrize("orientation", [CORONAL, OBLIQUE])
def test_missing_slices_are_named_by_their_neighbors(orientation):
    with pytest.raises(SeriesFault) as caught:
        stack_slices(records(Phantom(shape=(9, 2, 2), orientation=orientation, missing=(4, 5))))
    assert caught.value.tag == "ImagePositionPatient"
    assert all(names(caught.value.message, fact) for fact in (2, 9, "-3.00", "6.00"))


def test_irregular_distances_are_refused():
    slices = records(Phantom(shape=(6, 2, 2)))
    moved = [
        replace(part, position_mm=(*part.position_mm[:2], part.position_mm[2] * 1.5))
        if part.position_mm[2] > 0
        else part
        for part in slices
    ]
    with pytest.raises(SeriesFault) as caught:
        stack_slices(moved)
    assert names(caught.value.message, "4.5 mm")


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        ({"position_mm": None}, "ImagePositionPatient"),
        ({"position_mm": (5.0, 0.0, -7.5)}, "ImagePositionPatient"),
        ({"orientation": None}, "ImageOrientationPatient"),
        ({"orientation": (1.0, 0.0, 0.0, 0.1, 1.0, 0.0)}, "ImageOrientationPatient"),
        ({"pixel_spacing_mm": None}, "PixelSpacing"),
        ({"pixel_spacing_mm": (0.0, 2.0)}, "PixelSpacing"),
        ({"rows": 0}, "Rows"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused(change, tag):
    slices = sorted(records(Phantom(shape=SHAPE)), key=lambda part: part.position_mm[2])
    with pytest.raises(SeriesFault) as caught:
        stack_slices([replace(slices[0], **change), *slices[1:]])
    assert caught.value.tag == tag


def test_slices_at_one_position_share_a_plane():
    slices = records(Phantom(shape=SHAPE))
    stack = stack_slices([*slices, slices[2]])
    assert len(stack.planes) == 6
    assert (2, 6) in stack.planes


def test_slices_at_one_position_alone_are_no_volume():
    (part, *_) = records(Phantom(shape=SHAPE))
    with pytest.raises(SeriesFault):
        stack_slices([part, part])


def test_slices_that_lean_too_much_are_refused():
    with pytest.raises(SeriesFault) as caught:
        stack_slices(records(Phantom(shape=SHAPE, tilt_deg=60)))
    assert names(caught.value.message, "45°")
