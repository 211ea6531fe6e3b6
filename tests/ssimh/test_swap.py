"""The laws of the method, over shapes, memory layouts, axes and thresholds."""

import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from ssimh import ReferenceSpectrum, from_low_frequency, low_frequency, swap_spectrum
from ssimh._kernels.regions import REGIONS, region_mask
from tests.ssimh.strategies import pairs, with_axes
from tests.ssimh.tolerances import assert_close


def published(image, reference, threshold, axes, region="square"):
    """The published algorithm in float64: transform both, copy the low frequencies, transform back."""
    source = scipy.fft.dctn(image.astype(np.float64), axes=axes, norm="ortho")
    donor = scipy.fft.dctn(reference.astype(np.float64), axes=axes, norm="ortho")
    corner = tuple(slice(threshold) if axis - image.ndim in axes else slice(None) for axis in range(image.ndim))
    mask = region_mask(region, threshold, len(axes))
    mask = mask.reshape([threshold if axis - image.ndim in axes else 1 for axis in range(image.ndim)])
    source[corner] = np.where(mask, donor[corner], source[corner])
    return scipy.fft.idctn(source, axes=axes, norm="ortho")


@given(pairs(), st.sampled_from(REGIONS), st.sampled_from(["projection", "fft", "auto"]))
def test_agrees_with_the_published_algorithm(case, region, method):
    image, reference, threshold, axes = case
    expected = published(image, reference, threshold, axes, region)
    result = swap_spectrum(image, reference, threshold=threshold, axes=axes, region=region, method=method)
    assert_close(result, expected, "float64")
    single = swap_spectrum(
        image.astype(np.float32),
        reference.astype(np.float32),
        threshold=threshold,
        axes=axes,
        region=region,
        method=method,
    )
    assert single.dtype == np.float32
    assert_close(single, expected, "float32")


@given(pairs())
def test_a_stored_reference_does_the_same_as_its_image(case):
    image, reference, threshold, axes = case
    stored = ReferenceSpectrum.from_image(reference, threshold=threshold, axes=axes)
    direct = swap_spectrum(image, reference, threshold=threshold, axes=axes)
    assert_close(swap_spectrum(image, stored, threshold=threshold, axes=axes), direct, "float64")


@given(with_axes())
def test_swapping_with_itself_changes_nothing(case):
    image, threshold, axes = case
    assert_close(swap_spectrum(image, image, threshold=threshold, axes=axes), image, "float64")


@given(pairs())
def test_a_second_swap_changes_nothing(case):
    image, reference, threshold, axes = case
    once = swap_spectrum(image, reference, threshold=threshold, axes=axes)
    assert_close(swap_spectrum(once, reference, threshold=threshold, axes=axes), once, "float64")


@given(pairs())
def test_the_own_coefficients_undo_it(case):
    image, reference, threshold, axes = case
    swapped = swap_spectrum(image, reference, threshold=threshold, axes=axes)
    own = ReferenceSpectrum.from_image(image, threshold=threshold, axes=axes)
    assert_close(swap_spectrum(swapped, own, threshold=threshold, axes=axes), image, "float64")


@given(pairs(), st.floats(-3, 3), st.integers(0, 2**16))
def test_linear_in_image_and_reference(case, factor, seed):
    image, reference, threshold, axes = case
    rng = np.random.default_rng(seed)
    other, other_reference = rng.normal(0, 300, image.shape), rng.normal(0, 300, image.shape)
    together = swap_spectrum(
        image + factor * other, reference + factor * other_reference, threshold=threshold, axes=axes
    )
    apart = swap_spectrum(image, reference, threshold=threshold, axes=axes) + factor * swap_spectrum(
        other, other_reference, threshold=threshold, axes=axes
    )
    assert_close(together, apart, "float64")


@given(pairs(), st.floats(0, 1))
def test_strength_goes_part_of_the_way(case, strength):
    image, reference, threshold, axes = case
    whole = swap_spectrum(image, reference, threshold=threshold, axes=axes)
    part = swap_spectrum(image, reference, threshold=threshold, axes=axes, strength=strength)
    assert_close(part, (1 - strength) * image + strength * whole, "float64")


@given(pairs())
def test_threshold_one_matches_the_mean_of_every_slice(case):
    image, reference, _, axes = case
    result = swap_spectrum(image, reference, threshold=1, axes=axes)
    assert_close(result.mean(axis=axes), reference.mean(axis=axes), "float64")
    shift = reference.mean(axis=axes, keepdims=True) - image.mean(axis=axes, keepdims=True)
    assert_close(result, image + shift, "float64")


@pytest.mark.parametrize("method", ["projection", "fft"])
def test_the_whole_grid_returns_the_reference(rng, method):
    image, reference = rng.normal(0, 300, (2, 3, 8, 8))
    assert_close(swap_spectrum(image, reference, threshold=8, method=method), reference, "float64")


def test_threshold_zero_returns_an_equal_copy(scan, donor):
    result = swap_spectrum(scan, donor, threshold=0)
    np.testing.assert_array_equal(result, scan)
    assert not np.shares_memory(result, scan)


def test_high_frequencies_are_untouched(scan, donor):
    def high(x):
        return x - from_low_frequency(low_frequency(x, threshold=3), x.shape)

    assert_close(high(swap_spectrum(scan, donor)), high(scan), "float64")


def test_batches_and_channels_are_leading_axes(rng, donor):
    batch = rng.normal(0, 300, (2, 3, *donor.shape))
    result = swap_spectrum(batch, donor)
    for index in np.ndindex(2, 3):
        assert_close(result[index], swap_spectrum(batch[index], donor), "float64")


def test_three_dimensions_are_only_other_axes(scan, donor):
    result = swap_spectrum(scan, donor, axes=(-3, -2, -1))
    assert_close(result, published(scan, donor, 3, (-3, -2, -1)), "float64")
    assert_close(result, swap_spectrum(scan, donor, axes=(0, 1, 2)), "float64")


def test_axes_may_come_in_any_order_and_sign(scan, donor):
    expected = swap_spectrum(scan, donor, axes=(-3, -1))
    np.testing.assert_array_equal(swap_spectrum(scan, donor, axes=(2, 0)), expected)


def test_clip_bounds_the_result(scan, donor):
    result = swap_spectrum(scan, donor, clip=(-100, 150))
    assert_close(result, np.clip(swap_spectrum(scan, donor), -100, 150), "float64")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "int64", "uint64", ">i2"])
def test_integers_are_computed_in_float32(scan, donor, dtype):
    image = (scan / 20).clip(0, 100).astype(dtype)
    result = swap_spectrum(image, donor)
    assert result.dtype == np.float32
    assert_close(result, published(image, donor, 3, (-2, -1)), "float32")
    assert np.abs(result - image).max() > 10


@pytest.mark.parametrize(("dtype", "expected"), [(">f4", "float32"), (">f8", "float64"), ("f2", "float16")])
def test_floating_dtypes_stay_in_native_order(scan, donor, dtype, expected):
    image = scan.astype(dtype)
    result = swap_spectrum(image, donor)
    assert result.dtype == np.dtype(expected)
    assert_close(result, published(image, donor, 3, (-2, -1)), expected)


@pytest.mark.parametrize("method", ["projection", "fft"])
def test_inputs_are_never_modified(scan, donor, method):
    image, reference = scan.copy(), donor.copy()
    image.flags.writeable = reference.flags.writeable = False
    swap_spectrum(image, reference, clip=(-1, 1), method=method)
    np.testing.assert_array_equal(image, scan)
    np.testing.assert_array_equal(reference, donor)


@pytest.mark.parametrize("axes", [(-2, -1), (-3, -2, -1), (-3, -2)])
@pytest.mark.parametrize("dtype", ["int16", "float16", "float32", "float64"])
def test_threads_slabs_and_passes_agree(rng, axes, dtype):
    image = rng.normal(0, 300, (40, 190, 170)).astype(dtype)  # large enough for several slabs, two passes in 3-D
    reference = rng.normal(40, 300, (40, 190, 170)).astype(dtype)
    expected = published(image, reference, 3, axes)
    results = [swap_spectrum(image, reference, axes=axes, workers=workers) for workers in (1, 3)]
    np.testing.assert_array_equal(*results)
    assert_close(results[0], expected, results[0].dtype)


def test_a_batch_of_single_slices(rng):
    image, reference = rng.normal(0, 300, (2, 1, 40, 31)).astype(np.float32)
    assert_close(swap_spectrum(image, reference), published(image, reference, 3, (-2, -1)), "float32")


@pytest.mark.slow
def test_more_than_two_to_the_24_voxels(rng):
    image = rng.normal(0, 300, (70, 512, 512)).astype(np.float32)
    assert image.size > 2**24
    reference = ReferenceSpectrum.from_image(np.roll(image, 1, axis=0) + 40, threshold=3)
    result = swap_spectrum(image, reference)
    for number in (0, 35, 69):
        expected = published(image[number], image[number - 1] + 40, 3, (-2, -1))
        assert_close(result[number], expected, "float32")
