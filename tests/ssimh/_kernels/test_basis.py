import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from ssimh import cosine_basis


@given(n=st.integers(1, 64), data=st.data())
def test_rows_are_orthonormal_and_scipys(n, data):
    k = data.draw(st.integers(0, n))
    basis = cosine_basis(n, k)
    np.testing.assert_allclose(basis @ basis.T, np.eye(k), atol=1e-13)
    np.testing.assert_allclose(basis, scipy.fft.dct(np.eye(n), axis=0, norm="ortho")[:k], atol=1e-13)


def test_first_row_is_the_mean():
    np.testing.assert_allclose(cosine_basis(9, 1), np.full((1, 9), 1 / 3))


def test_long_axes_keep_their_digits():
    # Hand-derived: the last sample of row k is (-1)^k times the first.
    basis = cosine_basis(2**20, 3)
    np.testing.assert_allclose(basis[:, -1], basis[:, 0] * [1, -1, 1], rtol=1e-14)


def test_basis_is_read_only():
    assert not cosine_basis(4, 2).flags.writeable


@pytest.mark.parametrize(("n", "k"), [(4, 5), (4, -1), (0, 0)])
def test_impossible_sizes_are_refused(n, k):
    with pytest.raises(ValueError, match=f"n={n}, k={k}"):
        cosine_basis(n, k)
