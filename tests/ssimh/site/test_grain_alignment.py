"""CT brought to the grain of the smoother of two sites: power, means, edges, devices, and what is refused."""

import logging

import numpy as np
import pytest
import scipy.ndimage
import torch

from ssimh import SiteSpectrum, align_spectrum, site_difference
from ssimh.site import torch_grain_filter
from ssimh.site.alignment import apply_difference
from ssimh.site.grain_alignment import plan_filter
from ssimh.site.grain_difference import differ_in_grain
from ssimh.site.grain_filter import filter_volume
from ssimh.site.grain_spectrum import grain_spectrum
from tests.facts import raises_naming
from tests.ssimh.thighs import SMOOTH_MM, SPACING_MM, thigh, thigh_site

WINDOW_HU = (-150.0, 150.0)
GRAIN = {"parts": ("grain",), "spacing_mm": SPACING_MM}


@pytest.fixture(scope="module")
def sharp():
    return thigh_site(0.5)


@pytest.fixture(scope="module")
def smooth():
    return thigh_site(SMOOTH_MM, first=20)


@pytest.fixture(scope="module")
def aligned(sharp, smooth):
    return align_spectrum(thigh(7), sharp, smooth, **GRAIN)


def test_the_power_of_the_smoother_site_is_reached(aligned):
    before, after, target = (
        np.log(grain_spectrum(scan, SPACING_MM, WINDOW_HU)[:6]) for scan in (thigh(7), aligned, thigh(7, SMOOTH_MM))
    )
    assert np.abs(after - target).max() < 0.15 * np.abs(before - target).max()


def test_means_of_fat_and_muscle_and_strong_edges_stay(aligned):
    scan = thigh(7)
    change = aligned - scan
    clean = thigh(7, noise_hu=0)
    muscle, fat = (clean > 35) & (clean < 60), (clean > -115) & (clean < -90)
    assert abs(change[muscle].mean()) < 0.5
    assert abs(change[fat].mean()) < 0.5
    strong = (scan < -400) | (scan > 500)
    near = scipy.ndimage.binary_dilation(strong, np.ones((1, 3, 3)))
    assert not change[near].any()
    assert change[muscle].std() > 10


def test_the_smoother_image_and_alike_sites_keep_every_value(sharp, smooth):
    scan = thigh(7, SMOOTH_MM)
    for source, target in ((smooth, sharp), (sharp, thigh_site(0.5, 4, first=40))):
        result = align_spectrum(scan, source, target, **GRAIN)
        np.testing.assert_array_equal(result, scan)
        assert result is not scan


def test_it_joins_the_field_and_is_asked_for(sharp, smooth, aligned, caplog):
    scan = thigh(7)
    plain = align_spectrum(scan, sharp, smooth, spacing_mm=SPACING_MM)
    np.testing.assert_array_equal(plain, align_spectrum(scan, sharp, smooth))
    with caplog.at_level(logging.INFO, logger="ssimh"):
        both = align_spectrum(scan, sharp, smooth, parts=("field", "grain"), spacing_mm=SPACING_MM)
    assert "grain" in caplog.text
    assert "root mean square" in caplog.text
    assert np.abs((both - aligned) - (plain - scan)).max() < 2
    np.testing.assert_array_equal(scan, thigh(7))


def test_strength_is_a_share_of_the_logarithm(sharp, smooth):
    difference = site_difference(sharp, smooth).grain
    half, whole = (plan_filter(difference, share, SPACING_MM).transfer((40, 40)) for share in (0.5, 1.0))
    np.testing.assert_allclose(half**2, whole)
    assert plan_filter(difference, 0.0, SPACING_MM).is_identity


def test_other_pixels_get_the_same_filter_in_mm(sharp, smooth):
    spacing_mm = (5.0, 0.5, 0.5)
    before, target = (thigh(7, sigma, pixel_mm=0.5) for sigma in (0.5, SMOOTH_MM))
    after = align_spectrum(before, sharp, smooth, parts="grain", spacing_mm=spacing_mm)
    logs = [np.log(grain_spectrum(scan, spacing_mm, WINDOW_HU)[1:6]) for scan in (before, after, target)]
    assert np.abs(logs[1] - logs[2]).max() < 0.2 * np.abs(logs[0] - logs[2]).max()


def test_axes_batches_masks_clip_and_integers(sharp, smooth):
    difference = site_difference(sharp, smooth)
    scans = np.stack([thigh(7), thigh(8)])
    expected = apply_difference(scans, difference, **GRAIN)
    assert expected.dtype == np.float32
    turned = apply_difference(scans.transpose(0, 3, 2, 1), difference, axes_zyx=(-1, -2, -3), clip=(-90, 90), **GRAIN)
    np.testing.assert_array_equal(turned.transpose(0, 3, 2, 1), np.clip(expected, -90, 90))
    mask = np.zeros(scans.shape, bool)
    mask[..., :50] = True
    masked = apply_difference(scans, difference, mask=mask, **GRAIN)
    np.testing.assert_array_equal(masked[~mask], scans[~mask])
    assert (masked[mask] != scans[mask]).any()
    assert apply_difference(np.rint(scans).astype(np.int16), difference, **GRAIN).dtype == np.float32


def test_a_device_computes_what_the_host_computes(sharp, smooth, monkeypatch):
    monkeypatch.setattr(torch_grain_filter, "_PIXELS_AT_ONCE", 96 * 100 * 3)
    difference = site_difference(sharp, smooth)
    axes, clip = (-1, -3, -2), (-900, 800)
    scans = np.moveaxis(np.stack([thigh(7), thigh(8)]), (1, 2, 3), axes).astype(np.float64)
    mask = scans > -800
    filtering, limits = plan_filter(difference.grain, 0.8, SPACING_MM), (WINDOW_HU, -500.0)
    for inside in (None, mask):
        found = torch_grain_filter.match_grain(
            torch.from_numpy(scans), filtering, limits=limits, axes_zyx=axes, mask=inside, clip=clip
        )
        expected = apply_difference(scans, difference, axes_zyx=axes, mask=inside, clip=clip, strength=0.8, **GRAIN)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    tensor = apply_difference(torch.from_numpy(scans), difference, axes_zyx=axes, **GRAIN)
    np.testing.assert_array_equal(tensor, apply_difference(scans, difference, axes_zyx=axes, **GRAIN))


def test_sites_keep_the_grain_in_files_and_sums(sharp, smooth, tmp_path):
    both = sharp + smooth
    assert both.subjects["grain_hu2mm2"].shape == (12, 16)
    both.save(tmp_path / "site.npz")
    assert SiteSpectrum.load(tmp_path / "site.npz") == both
    assert SiteSpectrum.from_dicts(both.to_dicts()) == both
    assert not SiteSpectrum.fit([thigh(0)]).subjects["grain_hu2mm2"].any()
    assert site_difference(sharp, SiteSpectrum.fit([thigh(0)])).grain is None
    assert "grain" in str(site_difference(sharp, smooth))


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"spacing_mm": None}, ("spacing_mm", "grain")),
        ({"spacing_mm": (3.0, 1.0)}, ("spacing_mm",)),
        ({"spacing_mm": (3.0, 0.1, 0.1)}, ("9.6", "10.0", 16, "spacing_mm")),
        ({"parts": ("resolution",)}, ("CT", "field", "grain")),
        ({"parts": ("field", "noise")}, ("parts", "noise")),
        ({"strength": 2.0}, ("strength", 2.0)),
        ({"unit": "SUV"}, ("SUV",)),
    ],
)
def test_settings_that_do_not_fit_are_refused(sharp, smooth, settings, facts):
    with raises_naming(ValueError, *facts):
        align_spectrum(thigh(7), sharp, smooth, **{**GRAIN, **settings})


def test_images_and_sites_that_do_not_fit_are_refused(sharp, smooth):
    scan = thigh(7)
    for given, facts in (
        (scan[0], ((96, 100),)),
        (np.where(scan > 800, np.nan, scan), ("image",)),
        (np.where(scan > -500, 900.0, -1000.0), ("5%", WINDOW_HU)),
        ((scan + 1000) / 2000, (-500.0,)),
    ):
        with raises_naming(ValueError, *facts):
            align_spectrum(given, sharp, smooth, **GRAIN)
        tensor = torch.from_numpy(given)
        if given.ndim == 3:
            with raises_naming(ValueError, *facts):
                torch_grain_filter.match_grain(
                    tensor,
                    plan_filter(site_difference(sharp, smooth).grain, 1.0, SPACING_MM),
                    limits=(WINDOW_HU, -500.0),
                    axes_zyx=(-3, -2, -1),
                    mask=None,
                    clip=None,
                )
    with raises_naming(ValueError, "spacing_mm", "2 mm"):
        align_spectrum(scan, SiteSpectrum.fit([scan]), smooth, **GRAIN)


@pytest.mark.realdata
def test_two_real_kernels_meet_at_the_smoother(realdata_dir):
    """Five scans each, left out of their own site: the power of the sharper kernel comes down to that of the other."""
    sitk = pytest.importorskip("SimpleITK")
    paths = sorted((realdata_dir / "sts_petct").glob("*/*/*__CT.nii.gz"))
    if not paths:
        pytest.skip("the shared data hold no sts_petct")
    scans = [sitk.ReadImage(str(path)) for path in paths]
    spacing_mm = scans[0].GetSpacing()[::-1]
    values = [sitk.GetArrayFromImage(scan)[::2].astype(np.float32) for scan in scans]
    is_sharp = np.array([path.name.startswith("STAN") for path in paths])
    powers = np.array([grain_spectrum(scan, spacing_mm, WINDOW_HU) for scan in values])
    after = np.log(np.maximum(powers[:, :7], 1e-9))
    before = after.copy()
    for number in np.nonzero(is_sharp)[0]:
        own = is_sharp & (np.arange(len(paths)) != number)
        filtering = differ_in_grain(powers[own], powers[~is_sharp]).filter(1.0, spacing_mm[1:])
        aligned = filter_volume(values[number], filtering)
        after[number] = np.log(grain_spectrum(aligned, spacing_mm, WINDOW_HU)[:7])
        assert np.abs(aligned - values[number])[values[number] < -500].max() == 0
    gaps = [np.abs(logs[is_sharp].mean(axis=0) - logs[~is_sharp].mean(axis=0)) for logs in (before, after)]
    assert gaps[0].max() > 2
    assert gaps[1].max() < 0.3
    distance = np.linalg.norm(after[:, None] - after, axis=2)
    np.fill_diagonal(distance, np.inf)
    assert np.mean(is_sharp[distance.argmin(axis=1)] == is_sharp) <= 0.6
