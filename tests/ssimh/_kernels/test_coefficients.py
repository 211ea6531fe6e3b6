import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssimh import from_low_frequency, low_frequency
from tests.facts import raises_naming
from tests.ssimh.strategies import images, with_axes


@given(with_axes())
def test_analysis_is_the_corner_of_scipys_dct(case):
    image, threshold, axes = case
    full = scipy.fft.dctn(image, axes=axes, norm="ortho")
    corner = tuple(slice(threshold) if axis - image.ndim in axes else slice(None) for axis in range(image.ndim))
    np.testing.assert_allclose(low_frequency(image, threshold=threshold, axes=axes), full[corner], atol=1e-9)


@given(with_axes(), st.integers(0, 2**32 - 1))
def test_synthesis_is_the_adjoint_of_analysis(case, seed):
    image, threshold, axes = case
    found = low_frequency(image, threshold=threshold, axes=axes)
    if threshold == 0:
        assert found.size == 0
        return
    other = np.random.default_rng(seed).normal(size=found.shape)
    field = from_low_frequency(other, image.shape, axes=axes)
    np.testing.assert_allclose(np.vdot(found, other), np.vdot(image, field), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(low_frequency(field, threshold=threshold, axes=axes), other, atol=1e-10)


@given(images())
def test_all_coefficients_give_the_image_back(image):
    square = image.reshape(-1, *image.shape[-1:])
    found = low_frequency(square, threshold=square.shape[-1], axes=-1)
    np.testing.assert_allclose(from_low_frequency(found, square.shape, axes=-1), square, atol=1e-9)


def test_tensors_give_tensors_and_gradients():
    image = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: low_frequency(x, threshold=3, axes=(-2, -1)), (image,))
    coefficients = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: from_low_frequency(f, (2, 5, 6), axes=(-2, -1)), (coefficients,))


def test_large_volumes_take_two_passes_and_agree_with_scipy(rng):
    image = rng.normal(0, 300, (20, 160, 180)).astype(np.float32)  # 6 MB as a volume: above one cache-sized item
    expected = scipy.fft.dctn(image.astype(np.float64), norm="ortho")[:3, :3, :3]
    np.testing.assert_allclose(low_frequency(image, threshold=3, axes=(0, 1, 2)), expected, atol=2e-2, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 7), (2, 2, 4)])
def test_a_shape_that_does_not_fit_is_refused(shape):
    with raises_naming(ValueError, shape, (3, 3, 4), (-3, -2)):
        from_low_frequency(np.zeros((3, 3, 4)), shape, axes=(0, 1))


def test_unequal_numbers_of_coefficients_are_refused():
    with raises_naming(ValueError, (2, 3), (-2, -1)):
        from_low_frequency(np.zeros((2, 3)), (8, 8))
