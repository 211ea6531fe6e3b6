"""Where a swap moves: mask, background, and the field that undoes it exactly."""

import numpy as np
import pytest
import torch

from ssimh import ReferenceSpectrum, swap_spectrum
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.swap import swap_with_delta
from tests.facts import raises_naming
from tests.ssimh.tolerances import assert_close

KINDS = pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])


@pytest.fixture
def mask(rng, scan):
    return rng.random(scan.shape) < 0.6


@KINDS
@pytest.mark.parametrize("form", [bool, np.uint8, ">i2"])
def test_nothing_moves_outside_and_the_rest_as_without(scan, donor, mask, kind, form):
    given = mask.astype(form) if kind is np.asarray else mask.astype(np.dtype(form).newbyteorder("="))
    result = np.asarray(swap_spectrum(kind(scan), kind(donor), mask=kind(given), clip=(-50, 50)))
    np.testing.assert_array_equal(result[~mask], scan[~mask])
    whole = np.asarray(swap_spectrum(kind(scan), kind(donor), clip=(-50, 50)))
    np.testing.assert_array_equal(result[mask], whole[mask])


@KINDS
def test_a_mask_of_the_spatial_axes_serves_all_channels(scan, donor, mask, kind):
    image = np.stack([scan, scan + 7])
    result = swap_spectrum(kind(image), kind(donor), mask=kind(mask))
    np.testing.assert_array_equal(np.asarray(swap_spectrum(kind(image), kind(donor), mask=kind(mask[None]))), result)
    for number in range(2):
        assert_close(result[number], swap_spectrum(image[number], donor, mask=mask), "float64")


@KINDS
def test_background_is_a_value_or_a_function(scan, donor, mask, kind):
    image = np.where(mask, scan, -1024.0)
    expected = swap_spectrum(kind(image), kind(donor), mask=kind(mask))
    for background in (-1024, lambda values: values == -1024, lambda values: kind(~mask)):
        result = swap_spectrum(kind(image), kind(donor), background=background)
        np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))
    both = swap_spectrum(kind(image), kind(donor), background=-1024, mask=kind(scan > 0))
    moved = np.asarray(both) != image
    assert moved.any()
    assert not moved[~mask | (scan <= 0)].any()


@pytest.mark.parametrize("threshold", [0, 3])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
@KINDS
def test_the_field_undoes_the_swap(scan, donor, mask, kind, dtype, threshold):
    image, settings = kind(scan.astype(dtype)), SwapSettings(threshold=threshold)
    result, field = swap_with_delta(image, donor, settings, mask=kind(mask))
    for undo in (field, AppliedField.from_record(field.to_record())):
        restored = np.asarray(undo.remove_from(result))
        np.testing.assert_array_equal(restored[~mask], np.asarray(image)[~mask])
        assert_close(restored, np.asarray(image), "float32")


def test_gradients_pass_inside_and_outside(scan, donor, mask):
    image = torch.tensor(scan, requires_grad=True)
    swap_spectrum(image, donor, mask=torch.as_tensor(mask)).sum().backward()
    free = torch.tensor(scan, requires_grad=True)
    (swap_spectrum(free, donor) * torch.as_tensor(mask)).sum().backward()
    assert_close(image.grad, free.grad + torch.as_tensor(~mask), "float64")


@KINDS
def test_another_number_of_voxels_over_the_same_field(scan, donor, kind):
    image = scan[:, ::2, :]
    reference = ReferenceSpectrum.from_image(donor)
    expected = swap_spectrum(image, reference.for_grid(image.shape))
    assert_close(swap_spectrum(kind(image), reference, grid="field-of-view"), expected, "float64")
    assert_close(swap_spectrum(kind(image), kind(donor), grid="field-of-view"), expected, "float64")
    on_its_own = swap_spectrum(kind(scan), kind(donor), grid="field-of-view")
    np.testing.assert_array_equal(np.asarray(on_its_own), np.asarray(swap_spectrum(kind(scan), kind(donor))))


def test_another_field_of_view_is_refused(scan, donor):
    reference = ReferenceSpectrum.from_image(donor, spacing_mm=(3, 1, 1))
    with raises_naming(ValueError, "spacing_mm"):
        swap_spectrum(scan[:, ::2], reference, grid="field-of-view", spacing_mm=(3, 1, 1))
    wanted = torch.tensor(donor, requires_grad=True)
    with raises_naming(ValueError, "gradient", "field-of-view"):
        swap_spectrum(torch.as_tensor(scan[:, ::2]), wanted, grid="field-of-view")
    with raises_naming(ValueError, "grid", "same", "field-of-view", "'any'"):
        swap_spectrum(scan, donor, grid="any")


@KINDS
def test_masks_that_cannot_be_used(scan, donor, kind):
    def swap(**options):
        return swap_spectrum(kind(scan), kind(donor), **options)

    shape = scan.shape
    for wrong in ((*shape[:-1], shape[-1] + 1), (2, *shape), shape[-1:]):
        with raises_naming(ValueError, "mask", wrong, shape):
            swap(mask=kind(np.ones(wrong, bool)))
    with raises_naming(ValueError, "mask", shape):
        swap(mask=kind(np.zeros(shape, bool)))
    with raises_naming(TypeError, "mask", "float32"):
        swap(mask=kind(np.ones(shape, np.float32)))
    with raises_naming(ValueError, "mask", 0, 1):
        swap(mask=kind(np.full(shape, 2, np.uint8)))
    with raises_naming(TypeError, "mask", "list"):
        swap(mask=[True])


@KINDS
def test_backgrounds_that_cannot_be_used(scan, donor, kind):
    def broken(image):
        raise KeyError("no such thing")

    def swap(background):
        return swap_spectrum(kind(scan), kind(donor), background=background)

    with raises_naming(ValueError, "broken", "KeyError", scan.shape):
        swap(broken)
    with raises_naming(TypeError, "background", "float64"):
        swap(lambda image: image * 1.0)
    with raises_naming(ValueError, "background", (2,), scan.shape):
        swap(lambda image: kind(np.ones(2, bool)))
    with raises_naming(ValueError, "background", scan.shape):
        swap(lambda image: image == image)
    with raises_naming(TypeError, "background", "'air'"):
        swap("air")
    with raises_naming(TypeError, "background", True):
        swap(True)
