"""PET brought to the coarser of two sites: direction, totals, devices, and what is refused."""

import logging

import numpy as np
import pytest
import torch

import ssimh
from ssimh import SiteSpectrum, align_spectrum, site_difference
from ssimh.site import torch_resolution_filter
from ssimh.site.alignment import apply_difference
from ssimh.site.resolution_alignment import plan_filter
from tests.facts import raises_naming
from tests.ssimh.necks import neck
from tests.ssimh.uptakes import SPACING_MM, pet_site, uptake

PT = {"spacing_mm": SPACING_MM, "modality": "PT"}


@pytest.fixture(scope="module")
def sharp():
    return pet_site(5.0)


@pytest.fixture(scope="module")
def coarse():
    return pet_site(13.0)


def test_the_sharper_image_comes_to_the_coarser(sharp, coarse):
    image = uptake(7, 5.0).astype(np.float32)
    before = image.copy()
    aligned = align_spectrum(image, sharp, coarse, spacing_mm=SPACING_MM, unit="SUV")
    np.testing.assert_array_equal(image, before)
    assert aligned.dtype == np.float32
    assert aligned.sum(dtype=np.float64) == pytest.approx(image.sum(dtype=np.float64), rel=1e-5)
    target = uptake(7, 13.0)
    assert np.abs(aligned - target).mean() < 0.15 * np.abs(image - target).mean()
    assert aligned.max() == pytest.approx(target.max(), rel=0.1)


def test_the_coarser_image_keeps_its_values(sharp, coarse):
    image = uptake(7, 13.0)
    aligned = align_spectrum(image, coarse, sharp, spacing_mm=SPACING_MM)
    np.testing.assert_array_equal(aligned, image)
    assert aligned is not image


def test_alike_sites_change_nothing(sharp):
    image = uptake(7, 5.0)
    for target in (sharp, pet_site(5.5)):
        np.testing.assert_array_equal(align_spectrum(image, sharp, target, spacing_mm=SPACING_MM), image)


def test_sharpening_is_asked_for_bounded_and_reported(sharp, coarse, caplog):
    image, truth = uptake(7, 13.0), uptake(7, 5.0)
    with caplog.at_level(logging.INFO, logger="ssimh"):
        sharpened = align_spectrum(image, coarse, sharp, allow_sharpening=2.0, spacing_mm=SPACING_MM)
    assert "noise" in caplog.text
    assert image.max() < sharpened.max() < truth.max()
    assert sharpened.sum() == pytest.approx(image.sum(), rel=1e-4)
    assert np.abs(sharpened - truth).mean() < np.abs(image - truth).mean()


def test_strength_is_a_share_of_the_variance(sharp, coarse):
    difference = site_difference(sharp, coarse).resolution
    half, whole = (plan_filter(difference, share, SPACING_MM).variance_mm2 for share in (0.5, 1.0))
    np.testing.assert_allclose(np.array(half) * 2, whole)
    assert min(whole) > 4
    assert plan_filter(difference, 0.0, SPACING_MM).is_identity


def test_axes_batches_clip_and_integers(sharp, coarse):
    difference = site_difference(sharp, coarse)
    images = np.stack([uptake(7, 5.0), uptake(8, 5.0)])
    expected = apply_difference(images, difference, spacing_mm=SPACING_MM)
    np.testing.assert_allclose(expected[1], apply_difference(images[1], difference, spacing_mm=SPACING_MM))
    turned = apply_difference(
        images.transpose(0, 3, 2, 1), difference, spacing_mm=SPACING_MM, axes_zyx=(-1, -2, -3), clip=(0, 1)
    )
    np.testing.assert_allclose(turned.transpose(0, 3, 2, 1), np.clip(expected, 0, 1), atol=1e-9)
    whole = apply_difference(np.rint(images * 50).astype(np.int16), difference, spacing_mm=SPACING_MM)
    assert whole.dtype == np.float32


def test_a_device_computes_what_the_host_computes(sharp, coarse):
    filtering = plan_filter(site_difference(sharp, coarse).resolution, 1.0, SPACING_MM)
    axes = (-1, -3, -2)
    images = np.moveaxis(np.stack([uptake(7, 5.0), np.round(uptake(8, 5.0))]), (1, 2, 3), axes)
    found = torch_resolution_filter.filter_image(
        torch.from_numpy(images), filtering, axes_zyx=axes, clip=(0, 5), is_suv=True
    )
    expected = align_spectrum(images, sharp, coarse, spacing_mm=SPACING_MM, axes_zyx=axes, clip=(0, 5))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    tensor = align_spectrum(torch.from_numpy(images), sharp, coarse, spacing_mm=SPACING_MM, axes_zyx=axes, clip=(0, 5))
    np.testing.assert_array_equal(tensor, expected)


def test_sites_of_pet_stream_add_and_are_stored(sharp, tmp_path):
    parts = [SiteSpectrum.fit([uptake(seed, 5.0)], **PT) for seed in range(2)]
    both = SiteSpectrum.fit((uptake(seed, 5.0) for seed in range(2)), **PT)
    assert parts[1] + parts[0] == both
    assert both.subjects.nbytes < 600 * 2
    sharp.save(tmp_path / "site.npz")
    again = SiteSpectrum.load(tmp_path / "site.npz")
    assert again == sharp
    assert again.modality == "PT"
    assert SiteSpectrum.from_dicts(sharp.to_dicts(), modality="PT") == sharp
    assert site_difference(tmp_path / "site.npz", sharp).resolution.raw_mm2 == (0.0, 0.0)
    np.testing.assert_allclose(sharp.resolution.fwhm_mm, again.resolution.fwhm_mm)


def test_what_only_ct_or_only_pet_has_is_refused_elsewhere(sharp, coarse):
    ct = SiteSpectrum.fit([neck(0)])
    for ask in (
        lambda: sharp.tissue_shares,
        lambda: sharp.body_ml,
        lambda: sharp.boxes,
        sharp.coefficients,
        sharp.uncertainty,
    ):
        with raises_naming(ValueError, "PT", "CT"):
            ask()
    with raises_naming(ValueError, "CT", "PET"):
        ct.resolution  # noqa: B018  (the property raises)
    for one, other in ((sharp, ct), (ct, sharp)):
        with raises_naming(ValueError, "modality", "CT", "PT"):
            site_difference(one, other)
    with raises_naming(ValueError, "modality", "MR"):
        SiteSpectrum.fit([neck(0)], modality="MR")
    with raises_naming(ValueError, "PT", "power_mm3"):
        SiteSpectrum(ct.subjects, modality="PT")
    assert site_difference(ct, ct).resolution is None


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"spacing_mm": None}, ("spacing_mm",)),
        ({"spacing_mm": (4.0, 4.0)}, ("spacing_mm", (4.0, 4.0))),
        ({"spacing_mm": (4.0, -4.0, 4.0)}, ("spacing_mm", -4.0)),
        ({"unit": "BQML"}, ("BQML", "SUV")),
        ({"unit": "HU"}, ("HU", "SUV")),
        ({"parts": ("field",)}, ("PT", "resolution", "field")),
        ({"parts": ()}, ("parts", "field", "resolution")),
        ({"parts": ("grain",)}, ("PT", "resolution", "grain")),
        ({"parts": ("noise",)}, ("parts", "noise", "grain")),
        ({"mask": np.ones((40, 35, 35), bool)}, ("mask", "CT")),
        ({"allow_sharpening": 3.0}, ("allow_sharpening", 3.0)),
    ],
)
def test_settings_that_do_not_fit_are_refused(sharp, coarse, settings, facts):
    with raises_naming(ValueError, *facts):
        align_spectrum(uptake(7, 5.0), sharp, coarse, **{"spacing_mm": SPACING_MM, **settings})


def test_images_that_do_not_fit_are_refused(sharp, coarse):
    difference = site_difference(sharp, coarse)
    image = uptake(7, 5.0)
    for given, facts in (
        (image * 5000, ("SUV", "Bq/ml")),
        (image - 5, ("SUV",)),
        (image[0], ((35, 35),)),
        (np.where(image == image.max(), np.nan, image), ("image",)),
        (image[:1], ("axis 0", 4)),
    ):
        with raises_naming(ValueError, *facts):
            apply_difference(given, difference, spacing_mm=SPACING_MM)


def test_scans_that_tell_nothing_are_refused():
    with raises_naming(ValueError, "image 1", "spacing_mm"):
        SiteSpectrum.fit([uptake(0)], modality="PT")
    with raises_naming(ValueError, "image 2", 60, "spacing_mm"):
        SiteSpectrum.fit([uptake(0), uptake(0)[:12]], **PT)
    with raises_naming(ValueError, "image 1", "masks"):
        SiteSpectrum.fit([uptake(0)], masks=[uptake(0) > 1], **PT)


def test_one_scan_is_not_enough_to_tell():
    one, other = (pet_site(mm2, count=1) for mm2 in (6.0, 8.5))
    found = site_difference(one, other).resolution
    assert found.error_mm2[0] > 1.5
    assert found.applied_mm2 == (0.0, 0.0)
    assert "1 against 1" in str(ssimh.site_difference(one, other))
