"""The swap transforms in the reference's box: what a MONAI pipeline does to the grid does not change the result."""

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, Flip, Orientation, Rotate90, Rotate90d, SpatialPad

from ssimh import FromSample, RandSpectrumSwap, ReferenceSpectrum, SpectrumSwap, SpectrumSwapd
from tests.facts import raises_naming
from tests.ssimh.tolerances import as_float64, assert_close
from tests.ssimh.transforms.transform_cases import AFFINE, SHAPE, donor, image

REFERENCE = ReferenceSpectrum.from_image(as_float64(donor())[0], axes=(-3, -2), affine=AFFINE)
SETTINGS = {"grid": "physical", "warn_above_hu": None}
MIDDLE = AFFINE[:3, :3] @ ((np.array(SHAPE[1:]) - 1) / 2) + AFFINE[:3, 3]


def scan(seed=0):
    return image(torch.float64, seed)


@pytest.mark.parametrize("reference", [REFERENCE, donor()], ids=["spectrum", "MetaTensor"])
def test_on_the_references_own_grid_it_is_the_published_method(reference):
    expected = SpectrumSwap(donor(), warn_above_hu=None)(scan())
    np.testing.assert_allclose(SpectrumSwap(reference, **SETTINGS)(scan()), expected, atol=1e-3)
    augment = RandSpectrumSwap([reference], prob=1.0, threshold_range=3, strength_range=1.0, grid="physical")
    np.testing.assert_allclose(augment(scan()), expected, atol=1e-3)
    of_the_call = SpectrumSwap(None, **SETTINGS)(scan(), reference)
    np.testing.assert_allclose(of_the_call, expected, atol=1e-3)


@pytest.mark.parametrize(
    "turn",
    [
        Flip(spatial_axis=0),
        Flip(spatial_axis=2),
        Rotate90(spatial_axes=(0, 1)),
        Rotate90(spatial_axes=(0, 2)),
        Orientation("RAS", labels=None),
        Orientation("SPL", labels=None),
        SpatialPad((20, 18, 9), mode="constant", value=-77.0),
    ],
    ids=["flip x", "flip z", "rotate in plane", "rotate slices", "RAS", "SPL", "pad"],
)
def test_flipped_permuted_and_padded_images_get_the_same_change(turn):
    swap = SpectrumSwap(REFERENCE, **SETTINGS)
    expected = turn(swap(scan())).as_tensor()
    turned = turn(scan())
    result = swap(turned)
    np.testing.assert_allclose(result.as_tensor(), expected, atol=0.01)
    np.testing.assert_array_equal(result.affine, turned.affine)
    assert_close(swap.inverse(result), turned, "float64")


def test_the_inverse_is_exact_after_collation_with_a_mask_and_a_turn():
    swap = SpectrumSwapd("ct", REFERENCE, mask=FromSample("body"), **SETTINGS)
    steps = Compose([swap, Rotate90d("ct", spatial_axes=(0, 2))])
    data = [{"ct": scan(seed), "body": scan(seed).as_tensor() > -30} for seed in range(2)]
    batch = next(iter(DataLoader(Dataset(data, steps), batch_size=2, num_workers=0)))
    for item, sample in zip(decollate_batch(batch), data, strict=True):
        moved = swap(sample)["ct"].as_tensor() != sample["ct"].as_tensor()
        assert moved[sample["body"]].all()
        assert not moved[~sample["body"]].any()
        assert_close(steps.inverse(item)["ct"], sample["ct"], "float64")


def test_the_box_is_placed_by_a_point_that_travels_with_the_sample():
    shifted = MetaTensor(scan().as_tensor(), affine=AFFINE + np.pad([[500.0]], ((0, 3), (3, 0))))
    expected = SpectrumSwap(REFERENCE, **SETTINGS)(scan()).as_tensor()
    there = MIDDLE + np.array([500.0, 0.0, 0.0])
    points = {"center_mm": there, "landmark_mm": (there, MIDDLE)}
    for name, point in points.items():
        found = SpectrumSwapd("ct", REFERENCE, **{name: FromSample("point")}, **SETTINGS)(
            {"ct": shifted, "point": point}
        )
        np.testing.assert_allclose(found["ct"].as_tensor(), expected, atol=1e-6)
        stated = SpectrumSwap(REFERENCE, **{name: point}, **SETTINGS)(shifted)
        np.testing.assert_allclose(stated.as_tensor(), expected, atol=1e-6)
        with raises_naming(ValueError, name, "physical", "same"):
            SpectrumSwap(REFERENCE, **{name: point})
    with pytest.raises(ValueError, match="center_mm"):
        SpectrumSwap(REFERENCE, **SETTINGS)(shifted)


@pytest.mark.parametrize(
    "given",
    [scan().numpy(), scan().as_tensor(), MetaTensor(scan().as_tensor()), scan()[..., 0]],
    ids=["array", "tensor", "identity", "slice"],
)
def test_an_image_without_an_affine_is_refused(given):
    with raises_naming(ValueError, "physical", "affine", tuple(given.shape)):
        SpectrumSwap(REFERENCE, **SETTINGS)(given)


def test_a_reference_without_an_affine_or_of_the_other_mode_is_refused():
    with raises_naming(ValueError, "affine", "reference"):
        SpectrumSwap(as_float64(donor()), **SETTINGS)(scan())
    with raises_naming(ValueError, "mode", "'volume'", (-3, -2)):
        SpectrumSwap(REFERENCE, mode="volume", **SETTINGS)(scan())
