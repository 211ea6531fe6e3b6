"""SpectrumSwap(d) beyond the common contract: axes, orientation, references, clipping."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Flip

from ssimh import FromSample, RandSpectrumSwap, ReferenceSpectrum, SpectrumSwap, SpectrumSwapd, swap_spectrum
from tests.facts import raises_naming
from tests.ssimh.tolerances import as_float64, assert_close
from tests.ssimh.transforms.transform_cases import AFFINE, donor, donor_spectrum, image

TO_RAS = Flip(spatial_axis=(0, 1))  # the case's affine is LPS
GIVEN, DONOR = as_float64(image()), as_float64(donor())


@pytest.mark.parametrize(
    ("settings", "axes"),
    [
        ({}, (-3, -2)),
        ({"slice_axis": 0}, (-2, -1)),
        ({"slice_axis": 1}, (-3, -1)),
        ({"slice_axis": "axial"}, (-3, -2)),
        ({"mode": "volume"}, (-3, -2, -1)),
    ],
)
def test_modes_and_slice_axes(settings, axes):
    assert_close(SpectrumSwap(donor(), **settings)(image()), swap_spectrum(GIVEN, DONOR, axes=axes), "float32")


def test_axial_is_read_off_the_affine():
    sagittal_first = image().permute(0, 3, 1, 2)
    affine = AFFINE[:, [2, 0, 1, 3]]
    turned = MetaTensor(sagittal_first.as_tensor(), affine=affine)
    result = SpectrumSwap(donor_spectrum(), slice_axis="axial")(turned)
    expected = SpectrumSwap(donor(), slice_axis="axial")(image())
    assert_close(result.as_tensor().permute(0, 2, 3, 1), expected, "float32")


def test_axial_without_an_affine_is_refused():
    with raises_naming(ValueError, 'slice_axis="axial"', "ndarray", GIVEN.shape):
        SpectrumSwap(donor_spectrum(), slice_axis="axial")(image().numpy())


def test_a_reference_image_may_lack_the_channel_axis():
    expected = swap_spectrum(GIVEN, DONOR, axes=(-3, -2))
    for reference in (DONOR[0], torch.tensor(DONOR[0])):
        assert_close(SpectrumSwap(reference)(image()), expected, "float32")
        assert_close(SpectrumSwap(reference)(GIVEN), expected, "float64")
        assert_close(SpectrumSwap(None)(image(), reference), expected, "float32")
    volume = SpectrumSwap(DONOR[0], mode="volume")(GIVEN)
    assert_close(volume, swap_spectrum(GIVEN, DONOR, axes=(-3, -2, -1)), "float64")
    two = np.concatenate([GIVEN, GIVEN + 5])
    assert_close(SpectrumSwap(DONOR[0])(two), swap_spectrum(two, DONOR[0], axes=(-3, -2)), "float64")
    flat = SpectrumSwap(DONOR[0, ..., 0])
    assert_close(flat(GIVEN[..., 0]), swap_spectrum(GIVEN[..., 0], DONOR[..., 0]), "float64")


@pytest.mark.parametrize("reference", [DONOR, DONOR[0], torch.tensor(DONOR)], ids=["array", "no channel", "tensor"])
def test_axial_with_a_reference_image_is_read_off_the_images_affine(reference):
    transform = SpectrumSwap(reference, slice_axis="axial")
    assert_close(transform(image()), swap_spectrum(GIVEN, DONOR, axes=(-3, -2)), "float32")
    with pytest.raises(ValueError, match="axial"):
        transform(GIVEN)


def test_a_reference_image_on_another_grid_is_refused_with_both_shapes():
    for reference in (DONOR[:, 1:], DONOR[0, :, :, 1:], DONOR[0, ..., 0]):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  (the facts are checked below)
            SpectrumSwap(reference)(GIVEN)
        for shape in (GIVEN.shape, GIVEN.shape[1:], reference.shape):
            assert str(shape) in str(caught.value)


def test_a_reference_that_states_its_orientation_follows_the_image():
    expected = SpectrumSwap(donor_spectrum(), slice_axis="axial")(image())
    turned = TO_RAS(image())
    result = SpectrumSwap(donor_spectrum(), slice_axis="axial")(turned)
    back = TO_RAS(result)
    assert_close(back, expected, "float32")


def test_a_reference_image_on_another_orientation_is_refused():
    turned = TO_RAS(donor())
    with raises_naming(ValueError, "LPS", "RAS"):
        SpectrumSwap(None)(image(), turned)


def test_a_reference_for_other_axes_is_refused():
    with raises_naming(ValueError, (-3, -2), (-3, -2, -1)):
        SpectrumSwap(donor_spectrum(), mode="volume")(image())


def test_two_dimensional_images_are_one_slice():
    given, other = GIVEN[..., 0], DONOR[..., 0]
    assert_close(SpectrumSwap(other)(given), swap_spectrum(given, other), "float64")


def test_a_reference_may_travel_with_the_sample():
    transform = SpectrumSwapd(("ct",), FromSample("template"))
    expected = swap_spectrum(GIVEN, DONOR, axes=(-3, -2))
    for template in (donor(), donor().numpy(), donor_spectrum()):
        result = transform({"ct": image(), "template": template})
        assert_close(result["ct"], expected, "float32")
        assert result["template"] is template


def test_a_reference_must_be_given():
    for form in (SpectrumSwap, SpectrumSwapd):
        with pytest.raises(TypeError, match="reference"):
            form(*(["ct"] if form is SpectrumSwapd else []))
    with raises_naming(ValueError, "SpectrumSwap", "reference"):
        SpectrumSwap(None)(image())
    with pytest.raises(KeyError, match="template"):
        SpectrumSwapd("ct", FromSample("template"))({"ct": image()})


def test_only_inputs_travel_with_the_sample():
    with pytest.raises(TypeError, match="threshold"):
        SpectrumSwapd("ct", donor(), threshold=FromSample("tau"))
    with pytest.raises(TypeError, match="FromSample"):
        SpectrumSwap(FromSample("template"))


def test_another_voxel_size_on_the_same_matrix_is_refused_where_both_are_known():
    coarse = MetaTensor(donor().as_tensor(), affine=AFFINE @ np.diag([2.0, 2.0, 1.0, 1.0]))
    stored = ReferenceSpectrum.from_image(DONOR, axes=(-3, -2), spacing_mm=(3.0, 3.0, 3.0))
    transforms = [
        lambda: SpectrumSwap(coarse)(image()),
        lambda: SpectrumSwap(None)(image(), coarse),
        lambda: SpectrumSwap(stored)(image()),
        lambda: SpectrumSwapd("ct", FromSample("other"))({"ct": image(), "other": coarse}),
        lambda: RandSpectrumSwap([coarse], prob=1.0)(image()),
    ]
    for call in transforms:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  (the facts are checked below)
            call()
        assert "(1.5, 1.5, 3.0)" in str(caught.value)
        assert "(3.0, 3.0, 3.0)" in str(caught.value)
    # Without an affine nothing is known, and the identity, which MONAI gives to every such image, is none.
    expected = swap_spectrum(GIVEN, DONOR, axes=(-3, -2))
    for given in (image().numpy(), image().as_tensor(), MetaTensor(image().as_tensor())):
        assert_close(SpectrumSwap(stored)(given), expected, "float32")


def test_a_path_is_read_when_the_transform_is_built(tmp_path):
    path = tmp_path / "reference.npz"
    donor_spectrum().save(path)
    transform = SpectrumSwap(str(path))
    path.unlink()
    assert_close(transform(image()), swap_spectrum(GIVEN, DONOR, axes=(-3, -2)), "float32")
    with pytest.raises(FileNotFoundError):
        SpectrumSwap(str(path))


def test_settings_reach_the_function():
    settings = {"threshold": 2, "region": "triangle", "strength": 0.5, "clip": (-60, 60)}
    result = SpectrumSwap(donor(), **settings)(image())
    assert_close(result, swap_spectrum(GIVEN, DONOR, axes=(-3, -2), **settings), "float32")


def test_inverse_restores_what_clipping_has_not_cut():
    transform = SpectrumSwap(donor(), clip=(-30, 60))
    swapped = transform(image())
    kept = (as_float64(swapped) > -30) & (as_float64(swapped) < 60)
    assert 0.2 < kept.mean() < 0.9
    np.testing.assert_allclose(as_float64(transform.inverse(swapped))[kept], GIVEN[kept], atol=1e-3)


def test_pet_is_refused_by_argument_metadata_and_reference():
    pet = image()
    pet.meta["unit"] = "SUV"
    with raises_naming(ValueError, "PET", "'SUV'"):
        SpectrumSwap(donor())(pet)
    SpectrumSwap(donor(), allow_pet=True)(pet)
    with raises_naming(ValueError, "PET", "'SUV'"):
        SpectrumSwap(donor(), unit="SUV")
    reference = ReferenceSpectrum.from_image(DONOR, axes=(-3, -2), unit="SUV")
    with raises_naming(ValueError, "PET", "'SUV'"):
        SpectrumSwap(reference)(image())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "cube"}, "'cube'"),
        ({"slice_axis": "coronal"}, "'coronal'"),
        ({"slice_axis": 3}, "slice_axis=3"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        SpectrumSwap(donor(), **settings)


def test_references_of_other_types_are_refused():
    with raises_naming(TypeError, "reference", "dict"):
        SpectrumSwap({"a": 1})


def test_shapes_without_two_spatial_axes_are_refused():
    with raises_naming(ValueError, "image", (1, 5)):
        SpectrumSwap(donor_spectrum())(torch.zeros(1, 5))


def test_a_reference_fitted_on_a_files_array_serves_the_pipeline():
    # SimpleITK gives (z, y, x), MONAI (x, y, z): the same scan, the same slices, one reference.
    from_file = ReferenceSpectrum.from_image(DONOR[0].transpose(2, 1, 0), orientation="SPL", unit="HU")
    result = SpectrumSwap(from_file, slice_axis="axial")(image())
    assert_close(result, swap_spectrum(GIVEN, DONOR, axes=(-3, -2)), "float32")
