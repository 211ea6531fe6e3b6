"""Where the swap transforms change an image: masks, backgrounds and other grids, and how that is undone."""

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, Flipd, Rotate90d

import ssimh
from ssimh import FromSample, RandSpectrumSwap, RandSpectrumSwapd, SpectrumSwap, SpectrumSwapd, swap_spectrum
from tests.facts import raises_naming
from tests.ssimh.tolerances import as_float64, assert_close
from tests.ssimh.transforms.transform_cases import SHAPE, donor, donor_spectrum, image

INSIDE = torch.arange(int(np.prod(SHAPE))).reshape(SHAPE) % 3 > 0
ALWAYS = {"prob": 1.0, "threshold_range": 3, "strength_range": 1.0}


def swap(**settings):
    return SpectrumSwap(donor(), warn_above_hu=None, **settings)


def augment(**settings):
    return RandSpectrumSwap([donor()], **ALWAYS, **settings)


both = pytest.mark.parametrize("build", [swap, augment], ids=["SpectrumSwap", "RandSpectrumSwap"])


def check_inside(result, inside, dtype="float32"):
    """Outside as it was, bit by bit; inside as the whole image's swap has it."""
    assert torch.equal(result.as_tensor()[~inside], image().as_tensor()[~inside])
    assert_close(result.as_tensor()[inside], swap()(image()).as_tensor()[inside], dtype)


@both
@pytest.mark.parametrize("kind", ["boolean", "integers", "without channel", "MetaTensor", "array"])
def test_outside_the_mask_nothing_moves(build, kind):
    mask = {
        "boolean": INSIDE,
        "integers": INSIDE.to(torch.uint8),
        "without channel": INSIDE[0],
        "MetaTensor": MetaTensor(INSIDE),
        "array": INSIDE.numpy(),
    }[kind]
    check_inside(build(mask=mask)(image()), INSIDE)
    check_inside(build()(image(), mask=mask), INSIDE)


@both
def test_the_background_is_a_number_or_a_function(build):
    given = image().as_tensor().round()
    expected = as_float64(swap()(given))
    for background, outside in ((0, given == 0), (is_low, given < -20)):
        result = build(background=background)(given).as_tensor()
        assert 0 < int(outside.sum()) < given.numel()
        assert torch.equal(result[outside], given[outside])
        assert_close(result[~outside], expected[~outside], "float32")
        both = build(background=background, mask=INSIDE)(given).as_tensor()
        assert torch.equal(both[outside | ~INSIDE], given[outside | ~INSIDE])
        assert torch.equal(both[~outside & INSIDE], result[~outside & INSIDE])


def is_low(image):
    """A background that needs the image."""
    return image < -20


@pytest.mark.parametrize(
    "form",
    [
        lambda: SpectrumSwapd("ct", donor(), mask=FromSample("body"), warn_above_hu=None),
        lambda: RandSpectrumSwapd("ct", [donor()], mask=FromSample("body"), **ALWAYS),
    ],
    ids=["SpectrumSwapd", "RandSpectrumSwapd"],
)
def test_the_mask_travels_with_the_sample_and_the_inverse_is_exact_after_collation(form):
    steps = Compose([Flipd(["ct", "body"], spatial_axis=0), form(), Rotate90d(["ct", "body"], spatial_axes=(0, 1))])
    data = [
        {"ct": image(torch.float64, seed=seed), "body": MetaTensor(INSIDE.roll(seed, 1), affine=image().affine)}
        for seed in range(2)
    ]
    check_inside(form()({"ct": image(), "body": INSIDE})["ct"], INSIDE)
    batch = next(iter(DataLoader(Dataset(data, steps), batch_size=2, num_workers=0)))
    for item, sample in zip(decollate_batch(batch), data, strict=True):
        restored = steps.inverse(item)["ct"].as_tensor()
        assert_close(restored, sample["ct"], "float64")
        outside = ~sample["body"].as_tensor()
        assert torch.equal(restored[outside], sample["ct"].as_tensor()[outside])


@both
@pytest.mark.parametrize("shape", [(1, 28, 24, 12), (1, 20, 13, 5)], ids=str)
def test_another_grid_over_the_same_field_of_view(build, shape):
    given = np.random.default_rng(1).normal(0, 40, shape)
    spectrum = ssimh.ReferenceSpectrum.from_image(as_float64(donor()), axes=(-3, -2))
    expected = swap_spectrum(given, spectrum, axes=(-3, -2), grid="field-of-view")
    transform = build(grid="field-of-view")
    result = transform(given)
    assert_close(result, expected, "float64")
    assert_close(transform.inverse(result), given, "float64")
    if build is swap:
        for reference in (donor_spectrum(), as_float64(donor()), as_float64(donor())[0]):
            found = SpectrumSwap(None, grid="field-of-view", warn_above_hu=None)(given, reference)
            assert_close(found, expected, "float32")


@both
@pytest.mark.parametrize(
    ("mask", "error", "facts"),
    [
        (INSIDE.float(), TypeError, ["mask", "float32"]),
        (INSIDE[:, 1:], ValueError, ["mask", (1, 13, 12, 6), SHAPE]),
        (torch.zeros(SHAPE, dtype=torch.bool), ValueError, ["mask", SHAPE]),
        (INSIDE.int() * 2, ValueError, ["mask", "int32"]),
    ],
    ids=["floats", "shape", "empty", "not 0 and 1"],
)
def test_masks_that_are_none_are_refused(build, mask, error, facts):
    with raises_naming(error, *facts):
        build(mask=mask)(image())


@both
def test_backgrounds_that_fail_are_refused(build):
    def broken(image):
        raise RuntimeError("no body here")

    with raises_naming(ValueError, "broken", "no body here"):
        build(background=broken)(image())
    with raises_naming(TypeError, "background", "'air'"):
        build(background="air")
    with raises_naming(ValueError, "grid", "'other'"):
        build(grid="other")
