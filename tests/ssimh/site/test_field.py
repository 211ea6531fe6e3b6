"""The polynomial field: the same in the grid and in the body, and near to the cosines of earlier files."""

import numpy as np

from ssimh.site.field import DEGREES, TERMS, FieldOnGrid, axis_polynomials, basis_at, from_cosines, grid_to_body

BOX = np.array([[-0.5, 0.9], [-0.6, 0.4], [-0.3, 0.8]])


def test_a_field_on_the_grid_is_the_same_polynomial_in_the_body(rng):
    coefficients = rng.normal(0, 0.02, 10)
    inside = rng.uniform(-1, 1, (50, 3))
    on_grid = BOX.mean(axis=1) + inside * (BOX[:, 1] - BOX[:, 0]) / 2
    np.testing.assert_allclose(basis_at(inside) @ (grid_to_body(BOX) @ coefficients), basis_at(on_grid) @ coefficients)


def test_slices_hold_the_sum_of_both_parts(rng):
    coefficients, shape = rng.normal(0, 0.02, (2, 10)), (9, 11, 13)
    field = FieldOnGrid(coefficients, shape, BOX)
    voxel = np.array([4, 3, 7])
    grid = (voxel + 0.5) / shape * 2 - 1
    body = (grid - BOX.mean(axis=1)) / (BOX[:, 1] - BOX[:, 0]) * 2
    expected = basis_at(body[None]) @ coefficients[0] + basis_at(grid[None]) @ coefficients[1]
    np.testing.assert_allclose(field.slice(4)[3, 7], expected[0])


def test_polynomials_are_orthogonal():
    nodes, weights = np.polynomial.legendre.leggauss(5)
    values = axis_polynomials(nodes)
    np.testing.assert_allclose(values @ (weights[:, None] * values.T), np.diag([2, 2 / 3, 2 / 5]), atol=1e-12)


def test_cosines_of_earlier_files_keep_their_field(rng):
    """The constant exactly; the first cosine, -sin(π u / 2), within the 12 % that a straight line leaves of it."""
    coefficients = np.zeros((2, 10))
    coefficients[0, 0] = coefficients[1, TERMS.index((0, 0, 1))] = 0.03
    constant, slope = from_cosines(coefficients)
    np.testing.assert_allclose(constant, coefficients[0], atol=1e-12)
    u = np.linspace(-1, 1, 101)
    points = np.stack([0 * u, 0 * u, u], axis=1)
    left = basis_at(points) @ slope + 0.03 * np.sin(np.pi * u / 2)
    assert np.sqrt(np.mean(left**2)) < 0.14 * 0.03 / np.sqrt(2)
    assert len(TERMS) == 10
    assert DEGREES == 3
