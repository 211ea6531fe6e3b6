"""Laws of grids: index and physical space are inverse, and bounds hold every voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnseg.images.geometry import Grid

FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def rotation(degrees: float) -> tuple[float, ...]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)


@given(
    st.tuples(*[st.integers(1, 500)] * 3),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.tuples(*[st.floats(-500, 500)] * 3),
    st.floats(-180, 180),
)
def test_to_index_inverts_to_physical(size, spacing, origin, degrees):
    grid = Grid(size, spacing, origin, rotation(degrees))
    index = np.array([[0, 0, 0], [1.5, -2, 7], np.asarray(size) - 1])
    np.testing.assert_allclose(grid.to_index(grid.to_physical(index)), index, atol=1e-6)


def test_physical_position_by_hand():
    grid = Grid((4, 5, 6), (2.0, 3.0, 4.0), (10.0, 20.0, 30.0), FLIPPED)
    np.testing.assert_allclose(grid.to_physical([1, 2, 3]), [10 - 2, 20 - 6, 30 + 12])


def test_bounds_reach_half_a_voxel_beyond_the_outer_centers():
    low, high = Grid((4, 5, 6), (2.0, 3.0, 4.0), (10.0, 20.0, 30.0), FLIPPED).bounds_mm()
    np.testing.assert_allclose(low, [10 - 7, 20 - 13.5, 28])
    np.testing.assert_allclose(high, [11, 21.5, 52])


def test_shape_is_size_reversed_and_volume_in_ml():
    grid = Grid((4, 5, 6), (2.0, 3.0, 4.0), (0, 0, 0))
    assert grid.shape == (6, 5, 4)
    assert grid.spacing_zyx_mm == (4.0, 3.0, 2.0)
    assert grid.voxel_ml == pytest.approx(0.024)


def test_matches_sees_a_shift_a_flip_and_a_size():
    grid = Grid((4, 5, 6), (2.0, 3.0, 4.0), (0, 0, 0))
    assert grid.matches(Grid((4, 5, 6), (2.0, 3.0, 4.0), (0, 0, 5e-4)))
    assert not grid.matches(Grid((4, 5, 6), (2.0, 3.0, 4.0), (0, 0, 0.1)))
    assert not grid.matches(Grid((4, 5, 6), (2.0, 3.0, 4.0), (0, 0, 0), FLIPPED))
    assert not grid.matches(Grid((4, 5, 7), (2.0, 3.0, 4.0), (0, 0, 0)))


def test_survives_json():
    grid = Grid((4, 5, 6), (2.0, 3.0, 4.0), (1, 2, 3), FLIPPED)
    assert Grid(**grid.as_dict()) == grid


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"size": (0, 5, 6)}, r"\(0, 5, 6\)"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, r"\(1\.0, 0\.0, 1\.0\)"),
        ({"origin_mm": (1.0, 0.0)}, r"\(3, 3, 2, 9\)"),
    ],
)
def test_refuses_what_is_no_grid(change, fact):
    good = {"size": (4, 5, 6), "spacing_mm": (1.0, 1.0, 1.0), "origin_mm": (0.0, 0.0, 0.0)}
    with pytest.raises(ValueError, match=fact):
        Grid(**{**good, **change})
