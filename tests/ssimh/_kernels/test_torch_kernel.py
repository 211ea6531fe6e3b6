"""Tensors: same result as NumPy, same kind back, differentiable, full precision."""

import numpy as np
import pytest
import torch
from hypothesis import given

from ssimh import ReferenceSpectrum, low_frequency, swap_spectrum
from ssimh._kernels import torch_kernel
from ssimh._kernels.settings import SwapSettings
from tests.ssimh.strategies import pairs
from tests.ssimh.tolerances import as_float64, assert_close

DTYPES = ["float64", "float32", "float16", "bfloat16", "int16", "uint8", "int32", "int64"]


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("method", ["projection", "fft"])
def test_tensors_agree_with_numpy_in_every_dtype(scan, donor, name, method):
    dtype = getattr(torch, name)
    image = torch.tensor(scan.clip(0, 250) if name == "uint8" else scan).to(dtype)
    result = swap_spectrum(image, torch.tensor(donor), method=method)
    expected_dtype = dtype if dtype.is_floating_point else torch.float32
    assert (type(result), result.dtype, result.device) == (torch.Tensor, expected_dtype, image.device)
    assert_close(result, swap_spectrum(as_float64(image), donor), expected_dtype)


@given(pairs())
def test_layouts_agree_with_numpy(case):
    image, reference, threshold, axes = case
    tensor = torch.tensor(image.copy()).permute(*range(image.ndim))
    strided = torch.repeat_interleave(tensor, 2, dim=-1)[..., ::2]
    expected = swap_spectrum(image, reference, threshold=threshold, axes=axes)
    assert_close(
        swap_spectrum(strided, torch.tensor(reference.copy()), threshold=threshold, axes=axes), expected, "float64"
    )


@given(pairs())
def test_the_device_products_agree_with_numpy(case):
    # The route of other devices, run on the CPU: nothing in it is particular to them but speed and precision flags.
    image, reference, threshold, axes = case
    if threshold == 0:
        return
    expected = swap_spectrum(image, reference, threshold=threshold, axes=axes)
    tensor = torch.tensor(image.copy())
    target = low_frequency(torch.tensor(reference.copy()), threshold=threshold, axes=axes)
    for method in ("projection", "fft"):
        settings = SwapSettings(threshold=threshold, axes=axes, method=method, clip=(-400.0, 400.0))
        out, delta = torch_kernel._swap_on_device(tensor, target, settings)
        assert_close(out, expected.clip(-400, 400), "float64")
        assert_close(delta, target - low_frequency(tensor, threshold=threshold, axes=axes), "float64")


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_the_torch_dct_is_scipys(rng, size):
    import scipy.fft

    values = rng.normal(size=(3, size))
    spectrum = torch_kernel._dct(torch.tensor(values))
    assert_close(spectrum, scipy.fft.dct(values, norm="ortho"), "float64")
    assert_close(torch_kernel._idct(spectrum), values, "float64")


@pytest.mark.parametrize("method", ["projection", "fft"])
@pytest.mark.parametrize("axes", [(-2, -1), (-3, -2, -1)])
def test_gradients(axes, method):
    image, reference = torch.randn(2, 3, 5, 6, dtype=torch.float64).unbind()
    image.requires_grad_(), reference.requires_grad_()

    def swap(x, y):
        return swap_spectrum(x, y, threshold=2, axes=axes, region="triangle", strength=0.7, method=method)

    assert torch.autograd.gradcheck(swap, (image, reference))
    assert torch.autograd.gradgradcheck(swap, (image, reference))


def test_gradients_stop_where_values_are_clipped():
    image = torch.tensor([[0.0, 100.0], [0.0, 0.0]], requires_grad=True)
    swap_spectrum(image, torch.zeros(2, 2), threshold=1, clip=(-30, 30)).sum().backward()
    # Mean 25 goes to 0: 75 is clipped and passes no gradient; the others -25 pass 1 - 1/4 - 1/4 - 1/4 of theirs.
    np.testing.assert_allclose(image.grad, [[0.25, -0.75], [0.25, 0.25]], atol=1e-6)


def test_inputs_are_never_modified(scan, donor):
    image, reference = torch.tensor(scan), torch.tensor(donor)
    swap_spectrum(image, reference, clip=(-1, 1))
    np.testing.assert_array_equal(image, scan)
    np.testing.assert_array_equal(reference, donor)


def test_parameters_give_tensors_that_pass_gradients(scan, donor):
    image = torch.nn.Parameter(torch.tensor(scan))
    result = swap_spectrum(image, donor)
    assert type(result) is torch.Tensor
    result.sum().backward()
    assert image.grad.shape == image.shape


@pytest.mark.filterwarnings("default")  # the compiler's own warnings
def test_kept_out_of_a_compiled_graph_it_works_in_one():
    image = torch.randn(3, 8, 8)
    swap = torch.compiler.disable(swap_spectrum)
    compiled = torch.compile(lambda x: swap(x, x.roll(1, 0)) * 2, backend="eager")
    assert_close(compiled(image), swap_spectrum(image, image.roll(1, 0)) * 2, "float32")


def test_kinds_may_be_mixed(scan, donor):
    expected = swap_spectrum(scan, donor)
    assert_close(swap_spectrum(torch.tensor(scan), donor), expected, "float64")
    mixed = swap_spectrum(scan, torch.tensor(donor))
    assert isinstance(mixed, np.ndarray)
    assert_close(mixed, expected, "float64")


def test_autocast_does_not_reach_the_products(scan, donor):
    image, reference = torch.tensor(scan).float(), torch.tensor(donor).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = swap_spectrum(image, reference)
        with torch_kernel.full_precision(torch.device("cpu")):
            product = image[0] @ image[0].T
    assert result.dtype == product.dtype == torch.float32
    assert_close(result, swap_spectrum(scan, donor), "float32")


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch before 2.9")
@pytest.mark.parametrize("setting", ["tf32", "ieee", "none"])
def test_full_precision_is_set_and_put_back(setting):
    matmul = torch.backends.cuda.matmul
    saved = matmul.fp32_precision
    try:
        matmul.fp32_precision = setting
        with torch_kernel.full_precision(torch.device("cuda")):
            assert matmul.fp32_precision == "ieee"
        assert matmul.fp32_precision == setting
    finally:
        matmul.fp32_precision = saved


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16", "int16"])
def test_cuda_agrees_with_the_cpu_whatever_tf32_is_set_to(scan, donor, name):
    image, reference = torch.tensor(scan).to(getattr(torch, name)), ReferenceSpectrum.from_image(donor)
    saved = torch.backends.cuda.matmul.fp32_precision
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        for method in ("projection", "fft"):
            result = swap_spectrum(image.cuda(), reference, method=method)
            assert result.device.type == "cuda"
            assert_close(result, swap_spectrum(image, reference), result.dtype)
    finally:
        torch.backends.cuda.matmul.fp32_precision = saved
