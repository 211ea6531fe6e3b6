"""``swap_spectrum(out=)``: the same values in the caller's memory, and memory that cannot take them is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssimh import ReferenceSpectrum, swap_spectrum
from tests.facts import raises_naming
from tests.ssimh.tolerances import assert_close

RNG = np.random.default_rng(0)
IMAGE, DONOR = RNG.normal(0, 300, (2, 6, 40, 36))
REFERENCE = ReferenceSpectrum.from_image(DONOR, affine=np.diag([2.0, 2.0, 3.0, 1.0]))


def orders(shape, dtype):
    """Memory in the image's order, in the opposite one, and with gaps."""
    yield np.full(shape, np.nan, dtype)
    yield np.full(shape[::-1], np.nan, dtype).transpose()
    yield np.full((*shape[:-1], 2 * shape[-1]), np.nan, dtype)[..., ::2]


@pytest.mark.parametrize("dtype", ["int16", "float16", "float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"axes": (-3, -2, -1), "clip": (-100, 200)},
        {"threshold": 0},
        {"method": "fft"},
        {"mask": IMAGE > 0},
        {"grid": "physical", "affine": np.diag([2.0, 2.0, 3.0, 1.0])},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
def test_values_are_those_of_fresh_memory(dtype, options):
    image = IMAGE.astype(dtype)
    reference = REFERENCE if options.get("grid") else DONOR
    expected = swap_spectrum(image, reference, **options)
    for out in orders(image.shape, expected.dtype):
        assert swap_spectrum(image, reference, out=out, **options) is out
        assert_close(out, expected, expected.dtype)
    assert image.tobytes() == IMAGE.astype(dtype).tobytes()


def test_two_passes_over_a_volume_of_several_slabs():
    image, donor = RNG.normal(0, 300, (2, 40, 190, 170)).astype(np.float32)
    expected = swap_spectrum(image, donor, axes=(-3, -2, -1))
    for out in orders(image.shape, np.float32):
        np.testing.assert_array_equal(swap_spectrum(image, donor, axes=(-3, -2, -1), out=out), expected)


@pytest.mark.parametrize("dtype", [torch.int16, torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("method", ["projection", "fft"])
def test_tensors(dtype, method):
    image = torch.from_numpy(IMAGE).to(dtype)
    expected = swap_spectrum(image, DONOR, method=method)
    out = torch.full_like(expected, torch.nan)
    assert swap_spectrum(image, DONOR, method=method, out=out) is out
    assert_close(out, expected, expected.dtype)
    with torch.no_grad():
        weights = image.to(expected.dtype).requires_grad_(True)
        assert swap_spectrum(weights, DONOR, method=method, out=out.zero_()) is out
    assert_close(out, expected, expected.dtype)


def test_memory_of_another_kind_dtype_or_shape():
    image = IMAGE.astype(np.float32)
    for out, names in (
        (torch.zeros(image.shape), ("out", "NumPy array", "Tensor")),
        (image.tolist(), ("out", "list")),
        (np.empty(image.shape), ("out", "float64", "float32")),
        (np.empty(image.shape, np.int16), ("out", "int16", "float32")),
    ):
        with raises_naming(TypeError, *names):
            swap_spectrum(image, DONOR, out=out)
    with raises_naming(TypeError, "out", "torch tensor", "ndarray"):
        swap_spectrum(torch.from_numpy(image), DONOR, out=np.empty_like(image))
    with raises_naming(ValueError, "out", (6, 40, 35), image.shape):
        swap_spectrum(image, DONOR, out=np.empty((6, 40, 35), np.float32))


def test_memory_that_cannot_be_written():
    image = IMAGE.astype(np.float32)
    out = np.empty_like(image)
    out.flags.writeable = False
    with raises_naming(ValueError, "out", "read-only"):
        swap_spectrum(image, DONOR, out=out)
    with raises_naming(ValueError, "out", image.shape):
        swap_spectrum(torch.from_numpy(image), DONOR, out=torch.empty(1).expand(image.shape))


def test_memory_that_an_input_shares():
    whole = np.stack([IMAGE, DONOR, IMAGE]).astype(np.float32)
    image, donor, free = whole
    assert swap_spectrum(image, donor, out=free) is free  # the next one in the same memory
    backwards = whole[::-1, ::-1, :, ::-1]
    for name, out in (("image", image), ("image", image[::-1]), ("reference", donor), ("image", backwards[2])):
        with raises_naming(ValueError, "out", name):
            swap_spectrum(image, donor, out=out)
    mask = np.zeros((6, 40, 36, 4), np.uint8)
    with raises_naming(ValueError, "out", "mask"):
        swap_spectrum(image, donor, mask=mask[..., 0], out=mask.view(np.float32)[..., 0])
    tensors = torch.from_numpy(whole.copy())
    with raises_naming(ValueError, "out", "reference"):
        swap_spectrum(tensors[0], tensors[1], out=tensors[1])
    assert swap_spectrum(tensors[0], tensors[1], out=tensors[2]) is not None


def test_no_gradient_passes_through_it():
    image = torch.from_numpy(IMAGE)
    for given, reference, out, name in (
        (image.clone().requires_grad_(True), DONOR, torch.empty_like(image), "image"),
        (image, torch.from_numpy(DONOR).clone().requires_grad_(True), torch.empty_like(image), "reference"),
        (image, DONOR, torch.empty_like(image).requires_grad_(True), "out"),
    ):
        with raises_naming(ValueError, name, "gradient"):
            swap_spectrum(given, reference, out=out)


def test_an_error_is_the_same():
    image = IMAGE.copy()
    image[2, 3, 4] = np.nan
    with raises_naming(ValueError, "image", 1, image.size):
        swap_spectrum(image, DONOR, out=np.empty_like(image))
