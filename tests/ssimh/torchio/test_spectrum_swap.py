"""What is the swap's own: where its references come from, which images it takes, and what may move."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import torchio as tio

import ssimh
from ssimh.tissue_warning import TissueMovedWarning
from ssimh.torchio import RandomSpectrumSwap, SpectrumSwap
from tests.facts import raises_naming
from tests.ssimh.tolerances import assert_close
from tests.ssimh.torchio.torchio_cases import AFFINE, SHAPE, scan, subject


def negative(tensor):
    return tensor < -500


def quiet_swap(donor, **settings):
    return SpectrumSwap(donor, warn_above_hu=None, **settings)


def broken(tensor):
    raise RuntimeError("no background here")


def test_it_is_swap_spectrum_on_axial_slices():
    given, donor = scan(1), scan(9)
    result = SpectrumSwap(donor, threshold=2, strength=0.5, clip=(-1024, 3071), warn_above_hu=None)(given)
    expected = ssimh.swap_spectrum(given.data, donor.data, axes=(-3, -2), threshold=2, strength=0.5, clip=(-1024, 3071))
    assert torch.equal(result.data, expected)


def test_every_form_of_a_reference_is_the_same(tmp_path):
    donor = scan(9, unit="HU")
    spectrum = ssimh.ReferenceSpectrum.from_image(donor.data[0], axes=(-3, -2), orientation="LPS", unit="HU")
    spectrum.save(tmp_path / "saved.npz")
    donor.save(tmp_path / "image.nii.gz")
    expected = SpectrumSwap(donor, warn_above_hu=None)(scan(1)).data
    for reference in (spectrum, tmp_path / "saved.npz", str(tmp_path / "saved.npz"), tmp_path / "image.nii.gz"):
        assert_close(SpectrumSwap(reference, warn_above_hu=None)(scan(1)).data, expected, "float32")
    with raises_naming(TypeError, "ndarray", "ReferenceSpectrum"):
        SpectrumSwap(donor.numpy())
    with pytest.raises(ValueError, match="missing"):
        SpectrumSwap(tmp_path / "missing.nii.gz")


def test_pet_is_refused_whoever_states_it(tmp_path):
    with raises_naming(ValueError, "SUV"):
        SpectrumSwap(scan(9, unit="SUV"))
    with raises_naming(ValueError, "PET"):
        SpectrumSwap(scan(9), unit="PET")
    pet = sitk.GetImageFromArray(np.ones((4, 8, 8), np.float32))
    pet.SetMetaData("unit", "SUV")
    sitk.WriteImage(pet, str(tmp_path / "pet.mha"))
    with pytest.raises(ValueError, match="SUV"):
        SpectrumSwap(tmp_path / "pet.mha")
    mixed = tio.Subject(ct=scan(1, unit="HU"), pet=scan(2, unit="SUV"))
    with raises_naming(ValueError, "pet", "SUV"):
        SpectrumSwap(scan(9), warn_above_hu=None)(mixed)
    result = SpectrumSwap(scan(9), include=["ct"], warn_above_hu=None)(mixed)
    assert torch.equal(result["pet"].data, mixed["pet"].data)
    assert SpectrumSwap(scan(9), allow_pet=True, warn_above_hu=None)(mixed) is not None


def test_another_field_of_view_is_refused():
    finer = tio.ScalarImage(tensor=scan(1).data, affine=AFFINE @ np.diag([0.5, 0.5, 1, 1]))
    with raises_naming(ValueError, "default_image_name", "0.75", "1.5"):
        SpectrumSwap(scan(9))(finer)


def test_images_of_one_slice_are_that_slice():
    flat = tio.ScalarImage(tensor=scan(1).data[..., 8:9])
    donor = tio.ScalarImage(tensor=scan(9).data[..., 8:9])
    expected = ssimh.swap_spectrum(flat.data, donor.data, axes=(-3, -2))
    for mode in ("slice", "volume"):
        result = SpectrumSwap(donor, mode=mode, warn_above_hu=None)(tio.Subject(ct=flat))
        assert torch.equal(result["ct"].data, expected)
        assert_close(result.apply_inverse_transform()["ct"].data, flat.data, "float32")


def test_several_channels_and_a_reference_of_one():
    both = tio.ScalarImage(tensor=torch.cat([scan(1).data, scan(2).data]), affine=AFFINE)
    result = SpectrumSwap(scan(9), warn_above_hu=None)(both)
    assert_close(result.data[1:], SpectrumSwap(scan(9), warn_above_hu=None)(scan(2)).data, "float32")


def test_another_number_of_voxels_over_the_same_field():
    coarse = tio.ScalarImage(tensor=scan(1).data[:, ::2, ::2], affine=AFFINE @ np.diag([2, 2, 1, 1.0]))
    with raises_naming(ValueError, "(1, 22, 20, 20)"):
        SpectrumSwap(scan(9))(coarse)
    result = SpectrumSwap(scan(9), grid="field-of-view", warn_above_hu=None)(tio.Subject(ct=coarse))
    reference = ssimh.ReferenceSpectrum.from_image(scan(9).data[0], axes=(-3, -2))
    expected = ssimh.swap_spectrum(coarse.data, reference, axes=(-3, -2), grid="field-of-view")
    assert_close(result["ct"].data, expected, "float32")
    assert_close(result.apply_inverse_transform()["ct"].data, coarse.data, "float32")


@pytest.mark.parametrize("build", [quiet_swap, lambda donor, **more: RandomSpectrumSwap([donor], **more)])
@pytest.mark.parametrize(
    "where", [{"mask": "body"}, {"mask": subject()["body"].data.bool()[0]}, {"background": negative}]
)
def test_outside_nothing_moves_and_the_inverse_is_exact(build, where):
    given = tio.Subject(ct=scan(0, dtype=torch.float64), body=subject()["body"])
    inside = given["body"].data.bool()
    result = build(scan(9), **where)(given)
    assert torch.equal(result["ct"].data[~inside], given["ct"].data[~inside])
    assert (result["ct"].data[inside] - given["ct"].data[inside]).abs().max() > 1
    assert torch.equal(result.get_composed_history()(given)["ct"].data, result["ct"].data)
    assert_close(result.apply_inverse_transform()["ct"].data, given["ct"].data, "float64")


def test_a_mask_survives_inverted_spatial_transforms():
    given = tio.Subject(ct=scan(0, dtype=torch.float64), body=subject()["body"])
    pipeline = tio.Compose([tio.Flip(0), SpectrumSwap(scan(9), mask="body", warn_above_hu=None), tio.Flip((1, 2))])
    assert_close(pipeline(given).apply_inverse_transform()["ct"].data, given["ct"].data, "float64")


def test_physical_takes_any_grid_and_its_inverse_is_exact():
    given = tio.Subject(ct=scan(0, dtype=torch.float64), body=subject()["body"])
    physical = SpectrumSwap(scan(9), grid="physical", warn_above_hu=None)
    expected = quiet_swap(scan(9))(given)["ct"].data
    assert (physical(given)["ct"].data - expected).abs().max() < 1e-3
    pipeline = tio.Compose([tio.ToOrientation("SPR"), tio.Pad((3, 0, 4, 1, 0, 2)), physical])
    result = pipeline(given)
    assert torch.equal(result.get_composed_history()(given)["ct"].data, result["ct"].data)
    restored = result.apply_inverse_transform(warn=False)
    back = tio.ToOrientation("LPS")(tio.Crop((3, 0, 4, 1, 0, 2))(result["ct"]))
    assert (back.data - expected).abs().max() < 0.01
    assert_close(tio.ToOrientation("LPS")(restored["ct"]).data, given["ct"].data, "float64")
    center = tuple(AFFINE[:3, :3] @ ((np.array(SHAPE[1:]) - 1) / 2) + AFFINE[:3, 3])
    placed = RandomSpectrumSwap([scan(9)], grid="physical", center_mm=center, threshold_range=3, strength_range=1)
    assert (placed(given)["ct"].data - expected).abs().max() < 0.01


def test_physical_refuses_what_it_cannot_place():
    with raises_naming(ValueError, "default_image_name", "affine"):
        SpectrumSwap(scan(9), grid="physical")(tio.ScalarImage(tensor=scan(1).data))
    with raises_naming(ValueError, "center_mm", "same"):
        SpectrumSwap(scan(9), center_mm=(0, 0, 0))
    volume = ssimh.ReferenceSpectrum.from_image(scan(9).data[0], axes=(-3, -2, -1), affine=AFFINE)
    with raises_naming(ValueError, "volume", "slice"):
        SpectrumSwap(volume, grid="physical")


def test_masks_that_do_not_fit_are_refused():
    given = subject()
    for mask, error, facts in (
        ("ct", KeyError, ("ct", "body")),
        ("nothing", KeyError, ("nothing", "body")),
        (torch.ones(3, 3, 3, dtype=torch.bool), ValueError, ("ct", "(3, 3, 3)", SHAPE)),
        (torch.ones(SHAPE), TypeError, ("ct", "torch.float32")),
        (np.zeros(SHAPE, bool), ValueError, ("ct", "mask")),
    ):
        with raises_naming(error, *facts):
            SpectrumSwap(scan(9), mask=mask)(given)
    moved = subject()
    moved["body"].affine = AFFINE + np.diag([0, 0, 1.0, 0])
    with raises_naming(ValueError, "ct", "body"):
        SpectrumSwap(scan(9), mask="body")(moved)
    with raises_naming(ValueError, "ct", "broken", "no background here"):
        SpectrumSwap(scan(9), background=broken)(given)


def test_settings_are_checked_when_the_transform_is_built():
    for name, value in (("mode", "cube"), ("grid", "other"), ("region", "disc"), ("strength", 2), ("clip", (1, 0))):
        with raises_naming(ValueError, name, value):
            SpectrumSwap(scan(9), **{name: value})
    for wrong in ({"references": []}, {"threshold_range": (3, 1)}, {"strength_range": (0, 2)}):
        with pytest.raises(ValueError, match=r"references|threshold_range|strength"):
            RandomSpectrumSwap(**{"references": [scan(9)], **wrong})


def test_it_warns_where_soft_tissue_moves_and_names_this_line():
    with pytest.warns(TissueMovedWarning) as caught:
        SpectrumSwap(scan(9, 1.3))(subject())
    assert caught[0].filename == __file__


def test_draws_stay_in_their_ranges():
    augment = RandomSpectrumSwap([scan(8), scan(9)], threshold_range=(2, 4), strength_range=(0.5, 0.75))
    entries = [augment(tio.Subject(ct=scan(1))).history[0] for _ in range(12)]
    assert {entry.threshold for entry in entries} <= {2, 3, 4}
    assert len({entry.threshold for entry in entries}) > 1
    assert all(0.5 <= entry.strength <= 0.75 for entry in entries)
    assert len({entry.reference.content_hash for entry in entries}) == 2
