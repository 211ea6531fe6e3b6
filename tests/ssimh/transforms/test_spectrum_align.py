"""SpectrumAlign(d) beyond the common contract: axes and directions, one-to-one, sites that travel, masks, errors."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from ssimh import FromSample, SiteSpectrum, SpectrumAlign, SpectrumAlignd, align_spectrum
from tests.facts import raises_naming
from tests.ssimh.necks import SHAPE, neck
from tests.ssimh.thighs import SHARP_MM, SMOOTH_MM, SPACING_MM, thigh, thigh_site
from tests.ssimh.tolerances import assert_close
from tests.ssimh.uptakes import pet_site, uptake

Z = np.linspace(-1, 1, SHAPE[0])[:, None, None]


@pytest.fixture(scope="module")
def sites():
    """Source with gain and drift, target without; both in z towards the head, y to the back, x to the left."""
    source = SiteSpectrum.fit((neck(seed, factor=0.96 + 0.03 * Z) for seed in range(6)), orientation="SPL")
    return source, SiteSpectrum.fit((neck(seed) for seed in range(10, 16)), orientation="SPL")


def scan_as(letters):
    """The same scan as MONAI would hold it: (1, x, y, z), with axes along ``letters``, and its (z, y, x) array."""
    values = neck(3, factor=0.96 + 0.03 * Z)
    x, y, z = letters
    array = values[:: 1 if z == "S" else -1, :: 1 if y == "P" else -1, :: 1 if x == "L" else -1]
    # RAS space: L, P and S are -1, -1, +1.
    diagonal = [1.0 if x == "R" else -1.0, 1.0 if y == "A" else -1.0, 1.0 if z == "S" else -1.0, 1.0]
    return MetaTensor(array.transpose(2, 1, 0)[None].copy(), affine=np.diag(diagonal)), values


@pytest.mark.parametrize("letters", ["LPS", "RAS", "RPI", "LAI"])
def test_axes_and_directions_are_read_off_the_affine(sites, letters):
    image, values = scan_as(letters)
    transform = SpectrumAlign(*sites)
    result = transform(image)
    same, _ = scan_as(letters)
    expected = align_spectrum(values, *sites)
    x, y, z = letters
    found = np.asarray(result[0]).transpose(2, 1, 0)
    found = found[:: 1 if z == "S" else -1, :: 1 if y == "P" else -1, :: 1 if x == "L" else -1]
    assert_close(found, expected, "float32")
    assert_close(transform.inverse(result), same, "float32")
    assert result.applied_operations[-1]["extra_info"]["shrinkage"] == transform.difference.shrinkage


def test_stated_axes_take_no_notice_of_the_affine(sites):
    image, values = scan_as("LPS")
    plain = [SiteSpectrum(site.subjects) for site in sites]
    expected = align_spectrum(values, *plain)
    assert_close(SpectrumAlign(*plain, axes_zyx=(-1, -2, -3))(image)[0].permute(2, 1, 0), expected, "float32")
    assert_close(SpectrumAlign(*plain)(torch.from_numpy(values)[None])[0], expected, "float32")
    assert_close(SpectrumAlign(*plain)(image)[0].permute(2, 1, 0), expected, "float32")


def test_without_a_source_the_scan_is_its_own_site(sites):
    _, values = scan_as("LPS")
    target = SiteSpectrum(sites[1].subjects)
    transform = SpectrumAlign(None, target)
    result = transform(values[None])
    own = SiteSpectrum.fit([values])
    assert_close(result[0], align_spectrum(values, own, target), "float32")
    assert_close(transform.inverse(result)[0], values, "float32")


def test_sites_and_masks_travel_with_the_sample(sites):
    _, values = scan_as("LPS")
    source, target = (SiteSpectrum(site.subjects) for site in sites)
    mask = np.zeros((1, *SHAPE), np.uint8)
    mask[:, :, 8:30, 8:30] = 1
    transform = SpectrumAlignd("ct", FromSample("site"), target, mask=FromSample("body"))
    sample = {"ct": values[None], "site": source, "body": mask}
    result = transform(sample)
    expected = align_spectrum(values, source, target, mask=mask[0].astype(bool))
    assert_close(result["ct"][0], expected, "float32")
    assert_close(transform.inverse(result)["ct"][0], values, "float32")
    with pytest.raises(KeyError, match="site"):
        transform({"ct": values[None], "body": mask})


def test_a_target_may_travel_with_the_sample_and_is_undone(sites):
    source, target = sites
    image, _ = scan_as("LPS")
    transform = SpectrumAlignd("ct", source, FromSample("target"))
    result = transform({"ct": image, "target": target})
    assert_close(result["ct"], SpectrumAlign(source, target)(image), "float32")
    assert_close(transform.inverse(result)["ct"], scan_as("LPS")[0], "float32")


def test_settings_and_images_that_cannot_be_used(sites):
    source, target = sites
    with pytest.raises(TypeError, match="target"):
        SpectrumAlign(source)
    with raises_naming(ValueError, "SpectrumAlign", "target"):
        SpectrumAlign(source, None)(neck(3)[None])
    with pytest.raises(ValueError, match="strength"):
        SpectrumAlign(source, target, strength=2.0)
    with raises_naming(ValueError, "body_threshold_hu", -400.0):
        SpectrumAlign(source, SiteSpectrum(target.subjects, body_threshold_hu=-400.0))
    with raises_naming(ValueError, "image", (1, 9, 9)):
        SpectrumAlign(source, target)(np.zeros((1, 9, 9)))
    pet = MetaTensor(torch.zeros(1, 9, 9, 9), meta={"unit": "SUV"})
    with pytest.raises(ValueError, match="PET"):
        SpectrumAlign(source, target)(pet)


def test_pet_is_matched_with_the_voxels_that_its_affine_states():
    source, target = pet_site(5.0, orientation="SPL"), pet_site(13.0, orientation="SPL")
    spacing_mm = (5.0, 4.0, 4.0)
    values = uptake(7, 5.0, 5.0, spacing_mm).astype(np.float32)
    image = MetaTensor(values.transpose(2, 1, 0)[None].copy(), affine=np.diag([-4.0, -4.0, 5.0, 1.0]))
    expected = align_spectrum(values, source, target, spacing_mm=spacing_mm)
    transform = SpectrumAlign(source, target)
    result = transform(image)
    assert_close(result[0].permute(2, 1, 0), expected, "float32")
    assert np.abs(expected - values).max() > 0.5
    plain = SpectrumAlign(source, target, spacing_mm=spacing_mm)(torch.from_numpy(values)[None])
    assert_close(plain[0], expected, "float32")
    other = SiteSpectrum.fit([uptake(8, 6.0, 6.0, spacing_mm)], spacing_mm=spacing_mm, modality="PT", orientation="SPL")
    kept = SpectrumAlign(None, other)(image)  # one scan against another: not enough to tell
    assert_close(kept, image, "float32")
    sample = SpectrumAlignd("pet", source, target, parts=("resolution",))({"pet": image})
    assert_close(sample["pet"], result, "float32")
    with raises_naming(ValueError, "PET"):
        transform.inverse(result)
    with raises_naming(ValueError, "spacing_mm"):
        SpectrumAlign(source, target)(torch.from_numpy(values)[None])
    with raises_naming(ValueError, "BQML", "SUV"):
        SpectrumAlign(source, target, unit="BQML")
    with raises_naming(ValueError, "resolution", "field"):
        SpectrumAlign(source, target, parts="field")


def test_grain_is_asked_for_and_matched_with_the_pixels_that_the_affine_states():
    source, target = thigh_site(SHARP_MM), thigh_site(SMOOTH_MM, first=20)
    affine = np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0])
    image = MetaTensor(thigh(7).T[None].copy(), affine=affine)
    expected = align_spectrum(thigh(7), source, target, parts=("grain",), spacing_mm=SPACING_MM)
    transform = SpectrumAlignd("ct", source, target, parts=("grain",))
    result = transform({"ct": image})
    assert_close(result["ct"][0].permute(2, 1, 0), expected, "float32")
    with raises_naming(ValueError, "CT"):
        transform.inverse(result)
    both = SpectrumAlign(target, source, parts=("field", "grain"))  # the source is the smoother: the field alone
    assert_close(both.inverse(both(image)), image, "float32")
    alone = SpectrumAlign(None, target, parts="grain")(image)  # its own site, measured in millimeters
    assert alone.shape == image.shape
    with raises_naming(ValueError, "spacing_mm"):
        SpectrumAlign(source, target, parts="grain")(thigh(7)[None])
