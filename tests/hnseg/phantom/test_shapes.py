"""Laws of the implicit shapes: depth is exact at the surface, volumes agree with formulas, grids do not matter."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.images.geometry import Grid
from hnseg.phantom.render import Layer, Material, Part, Texture, inside, render
from hnseg.phantom.shapes import (
    Capsule,
    Difference,
    Ellipsoid,
    HalfSpace,
    Intersection,
    Lobulated,
    Points,
    Shape,
    Stack,
    Union,
)

GRID = Grid((61, 61, 61), (1.0, 1.0, 1.0), (-30.4, -30.3, -30.2))
ORIGIN = np.zeros(3)


def ball(radius_mm: float, center: tuple[float, float, float] = (0, 0, 0)) -> Ellipsoid:
    return Ellipsoid(np.asarray(center, dtype=float), np.eye(3) / radius_mm)


def depth_at(shape: Shape, *point: float) -> float:
    grid = Grid((1, 1, 1), (1.0, 1.0, 1.0), point)  # type: ignore[arg-type]
    return float(shape.depth_mm(Points.of_slices(grid, 0, 1)).ravel()[0])


@pytest.mark.parametrize(
    ("shape", "volume_ml"),
    [
        (ball(15.0), 4 / 3 * np.pi * 15**3 / 1000),
        (Ellipsoid(ORIGIN, np.diag([1 / 20, 1 / 10, 1 / 12])), 4 / 3 * np.pi * 20 * 10 * 12 / 1000),
        (Capsule(np.array([0, 0, -10.0]), np.array([0, 0, 10.0]), 8.0, 8.0), np.pi * (64 * 20 + 4 / 3 * 512) / 1000),
        (Intersection(ball(15.0), [HalfSpace(ORIGIN, np.array([0, 0, 2.0]))]), 2 / 3 * np.pi * 15**3 / 1000),
        (Difference(ball(15.0), [ball(9.0)]), 4 / 3 * np.pi * (15**3 - 9**3) / 1000),
        (Union([ball(8.0, (-12, 0, 0)), ball(8.0, (12, 0, 0))]), 8 / 3 * np.pi * 8**3 / 1000),
    ],
)
def test_volume_matches_the_formula(shape: Shape, volume_ml: float) -> None:
    assert inside(GRID, shape).sum() / 1000 == pytest.approx(volume_ml, rel=0.03)


def test_depth_is_in_millimeters_near_the_surface() -> None:
    # Hand-derived: 1 mm below and above the surface along x and along z.
    shape = Ellipsoid(ORIGIN, np.diag([1 / 20, 1 / 10, 1 / 12]))
    assert depth_at(shape, 19.0, 0, 0) == pytest.approx(1.0, abs=0.1)
    assert depth_at(shape, 0, 0, 13.0) == pytest.approx(-1.0, abs=0.1)
    capsule = Capsule(np.array([0, 0, -10.0]), np.array([0, 0, 10.0]), 8.0, 4.0)
    assert depth_at(capsule, 5.0, 0, 0) == pytest.approx(1.0, abs=1e-4)  # radius 6 halfway


def test_stack_has_its_sections() -> None:
    z = np.array([-30.0, 0.0, 30.0])
    zero = np.zeros(3)
    stack = Stack(z, zero, zero, np.array([10.0, 20.0, 10.0]), np.array([8.0, 12.0, 8.0]), zero)
    assert depth_at(stack, 19.0, 0, 0) > 0 > depth_at(stack, 21.0, 0, 0)
    assert depth_at(stack, 0, 11.0, 0) > 0 > depth_at(stack, 0, 13.0, 0)
    assert depth_at(stack, 0, 0, 31.0) < 0


def test_lobulated_volume_is_what_it_says() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(5, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ripples = np.column_stack([vectors, rng.uniform(2, 4, 5), rng.uniform(0, 6, 5), np.full(5, 0.08)])
    mass = Lobulated(ORIGIN, np.eye(3) / 14.0, ripples)
    assert inside(GRID, mass).sum() / 1000 == pytest.approx(mass.volume_ml(), rel=0.03)


def test_boxes_hold_their_shapes() -> None:
    turned = np.diag([1 / 20, 1 / 9, 1 / 6]) @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for shape in (Ellipsoid(ORIGIN, turned), Ellipsoid(ORIGIN, turned, boxy=True), Capsule(ORIGIN, ORIGIN + 9, 5, 7)):
        lower, upper = shape.box_mm
        mask = shape.depth_mm(Points.of_slices(GRID, 0, 61)) > 0
        z, y, x = np.nonzero(mask)
        points = GRID.to_physical(np.stack([x, y, z], axis=1))
        assert len(points) > 0
        assert np.all(points >= lower)
        assert np.all(points <= upper)


def test_rendering_does_not_depend_on_the_direction_of_the_grid() -> None:
    # The same physical points, visited in another order: a flipped grid, and a general one that swaps two axes.
    part = Part("ball", ball(12.0, (3, -5, 2)), (Layer(Material(60, 1.0, 20.0)),))
    texture = Texture.sample(np.random.default_rng(1), (10.0, 40.0), 5)
    straight = render(GRID, [part], texture, "hu", -1000.0)
    flipped = Grid(GRID.size, GRID.spacing_mm, (29.6, 29.7, -30.2), (-1, 0, 0, 0, -1, 0, 0, 0, 1))
    np.testing.assert_allclose(render(flipped, [part], texture, "hu", -1000.0)[:, ::-1, ::-1], straight, atol=0.05)
    swapped = Grid(GRID.size, GRID.spacing_mm, GRID.origin_mm, (0, 1, 0, 1, 0, 0, 0, 0, 1))
    np.testing.assert_allclose(render(swapped, [part], texture, "hu", -1000.0).transpose(0, 2, 1), straight, atol=0.05)


def test_texture_has_zero_mean_and_unit_variance() -> None:
    fields = [
        Texture.sample(np.random.default_rng(k), (5.0, 15.0), 9).values(Points.of_slices(GRID, 0, 61)) for k in range(6)
    ]
    assert np.mean(fields) == pytest.approx(0.0, abs=0.05)
    assert np.std(fields) == pytest.approx(1.0, abs=0.05)
