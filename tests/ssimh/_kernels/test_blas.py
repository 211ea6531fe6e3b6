"""Products that BLAS adds onto its output, against NumPy's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ssimh import ReferenceSpectrum, swap_spectrum
from ssimh._kernels import blas

RELATIVE = {np.float32: 1e-6, np.float64: 1e-14}


def matrices(dtype, m, k, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)


@pytest.fixture(params=["blas", "numpy"])
def route(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(blas, "_gemm", lambda dtype: None)
    return request.param


def test_the_fast_route_is_there():
    """Otherwise the tests below compare NumPy with itself."""
    assert blas.has_gemm(np.dtype(np.float32))
    assert blas.has_gemm(np.dtype(np.float64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [None, 1, 7, 64, 1000])
@pytest.mark.parametrize(("m", "k", "n"), [(64, 3, 50), (600, 1, 1), (1, 3, 4000), (50, 96, 40), (2, 2, 2)])
def test_the_product_is_added(route, dtype, rows, m, k, n):
    left, right = matrices(dtype, m, k, n)
    start = np.random.default_rng(1).normal(size=(m, n)).astype(dtype)
    out = start.copy()
    blas.add_product(left, right, out, rows)
    np.testing.assert_allclose(out, start + left @ right, rtol=0, atol=RELATIVE[dtype] * 30 * k)


def test_parts_of_larger_arrays(route):
    """Rows of a view are farther apart than they are long; what lies between them stays."""
    left, right = matrices(np.float32, 80, 3, 300)
    whole, frame = np.zeros((80, 300), np.float32), np.ones((80, 500), np.float32)
    out = frame[:, 100:200]
    blas.add_product(left, right[:, 100:200], out)
    blas.add_product(left, right, whole)
    np.testing.assert_allclose(out, 1 + whole[:, 100:200], atol=1e-5)
    assert (frame[:, :100] == 1).all()
    assert (frame[:, 200:] == 1).all()


def test_another_interface_is_not_called(monkeypatch):
    """Integers of 64 bits, or further arguments: NumPy multiplies then."""
    from scipy.linalg import cython_blas

    capsules = dict(cython_blas.__pyx_capi__)
    monkeypatch.setattr(cython_blas, "__pyx_capi__", {**capsules, "sgemm": capsules["sdot"]}, raising=False)
    blas._gemm.cache_clear()
    try:
        assert not blas.has_gemm(np.dtype(np.float32))
        assert blas.has_gemm(np.dtype(np.float64))
        monkeypatch.setattr(cython_blas, "__pyx_capi__", {}, raising=False)
        blas._gemm.cache_clear()
        assert not blas.has_gemm(np.dtype(np.float64))
    finally:
        blas._gemm.cache_clear()


def test_threads_add_side_by_side():
    left, right = matrices(np.float32, 4000, 3, 64)
    out = np.zeros((8, 4000, 64), np.float32)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: blas.add_product(left, right, one, 100), out))
    np.testing.assert_array_equal(out, np.broadcast_to(out[0], out.shape))
    np.testing.assert_allclose(out[0], left @ right, atol=1e-5)


@pytest.mark.parametrize("axes", [(-2, -1), (-3, -2, -1), (-3, -2), (-3,), (-1,)])
def test_a_swap_is_the_same_by_both_routes(monkeypatch, axes):
    image, donor = np.random.default_rng(0).normal(0, 300, (2, 24, 40, 36)).astype(np.float32)
    reference = ReferenceSpectrum.from_image(donor, axes=axes)
    fast = swap_spectrum(image, reference, axes=axes)
    monkeypatch.setattr(blas, "_gemm", lambda dtype: None)
    np.testing.assert_allclose(fast, swap_spectrum(image, reference, axes=axes), rtol=0, atol=2e-4)
