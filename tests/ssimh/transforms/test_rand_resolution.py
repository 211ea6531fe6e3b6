"""RandResolution beyond the common contract: what is drawn, totals, voxel sizes and axes."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from ssimh import RandResolution, SiteSpectrum, site_difference
from ssimh.site.resolution_filter import ResolutionFilter, filter_volume
from tests.facts import raises_naming
from tests.ssimh.necks import neck
from tests.ssimh.tolerances import as_float64
from tests.ssimh.uptakes import SPACING_MM, pet_site, uptake

SHARP, COARSE = pet_site(5.0), pet_site(12.0)


def draws(transform, number=200):
    found = []
    for _ in range(number):
        transform.randomize()
        found.append(transform.blur_fwhm_mm)
    return np.array(found)


def test_the_draw_is_what_is_done_and_the_sum_stays():
    transform = RandResolution(
        None, prob=1.0, in_plane_range_mm=(3, 7), axial_range_mm=(0, 5), spacing_mm=SPACING_MM
    ).set_random_state(1)
    given = uptake(1)[None]
    for _ in range(3):
        result = as_float64(transform(given))
        in_plane, axial = transform.blur_fwhm_mm
        filtering = ResolutionFilter(((in_plane / 2.354820045) ** 2, (axial / 2.354820045) ** 2), SPACING_MM)
        np.testing.assert_allclose(result[0], filter_volume(given[0], filtering), atol=1e-6)
        assert result.sum() == pytest.approx(given.sum(), rel=1e-5)
        assert result.min() >= 0


def test_ranges_are_covered_apart():
    in_plane, axial = draws(RandResolution(None, in_plane_range_mm=(2, 6), axial_range_mm=(0, 3)).set_random_state(0)).T
    assert 2 <= in_plane.min() < 2.2 < 5.8 < in_plane.max() <= 6
    assert 0 <= axial.min() < 0.2 < 2.8 < axial.max() <= 3
    assert abs(np.corrcoef(in_plane, axial)[0, 1]) < 0.2
    assert (draws(RandResolution(None, in_plane_range_mm=4, axial_range_mm=2), 3) == [[4, 2]] * 3).all()
    both = draws(RandResolution(None, in_plane_range_mm=(2, 6)).set_random_state(0))
    assert both[:, 1].min() >= 2


def test_sites_give_shares_of_what_they_differ_in():
    applied = site_difference(SHARP, COARSE).resolution.applied_mm2
    largest = 2.354820045 * np.sqrt(np.abs(applied))
    found = draws(RandResolution([COARSE, SHARP, SHARP]).set_random_state(0))
    assert (found <= largest + 1e-9).all()
    assert (found.max(axis=0) > 0.97 * largest).all()
    np.testing.assert_allclose(found[:, 0] / largest[0], found[:, 1] / largest[1], rtol=1e-9)
    whole = draws(RandResolution([SHARP, COARSE], strength_range=1.0), 3)
    np.testing.assert_allclose(whole, [largest] * 3)


def test_paths_are_sites(tmp_path):
    for name, site in (("a", SHARP), ("b", COARSE)):
        site.save(tmp_path / f"{name}.npz")
    from_files = RandResolution([str(tmp_path / "a.npz"), tmp_path / "b.npz"])
    assert from_files.differences_mm2 == RandResolution([SHARP, COARSE]).differences_mm2


def test_axes_and_voxel_size_come_from_the_affine():
    """An image stored as (x, y, z) with slices of 6 mm is blurred as the same image in (z, y, x) order."""
    rng = np.random.default_rng(0)
    values = rng.gamma(2.0, 1.0, (12, 20, 24))
    affine = np.diag([-2.0, -3.0, 6.0, 1.0])
    stored = MetaTensor(torch.tensor(values.transpose(2, 1, 0).copy())[None], affine=affine)
    blur = {"prob": 1.0, "in_plane_range_mm": 5.0, "axial_range_mm": 9.0}
    found = as_float64(RandResolution(None, **blur)(stored))[0].transpose(2, 1, 0)
    expected = as_float64(RandResolution(None, **blur, spacing_mm=(6.0, 3.0, 2.0))(values[None]))[0]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    turned = RandResolution(None, **blur, spacing_mm=(6.0, 3.0, 2.0), axes_zyx=(-1, -2, -3))
    np.testing.assert_allclose(as_float64(turned(stored.as_tensor()))[0].transpose(2, 1, 0), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("sites", "settings", "facts"),
    [
        (None, {}, ["in_plane_range_mm", "sites"]),
        ([SHARP, COARSE], {"in_plane_range_mm": 3}, ["in_plane_range_mm=3"]),
        ([SHARP, COARSE], {"axial_range_mm": 3}, ["axial_range_mm=3"]),
        ([SHARP], {}, ["two sites"]),
        ("site.npz", {}, ["site.npz"]),
        ([SHARP, SHARP], {}, ["2 sites", "alike"]),
        ([SiteSpectrum.fit([neck(0)])] * 2, {}, ["CT"]),
        ([SHARP, SiteSpectrum.fit([neck(0)])], {}, ["modality", "CT"]),
        (None, {"in_plane_range_mm": (5, 3)}, ["in_plane_range_mm", (5, 3)]),
        (None, {"in_plane_range_mm": -1}, ["in_plane_range_mm", -1]),
        (None, {"in_plane_range_mm": 3, "axial_range_mm": float("nan")}, ["axial_range_mm"]),
        ([SHARP, COARSE], {"strength_range": 2}, ["2"]),
        (None, {"in_plane_range_mm": 3, "prob": 2}, ["prob", 2]),
        (None, {"in_plane_range_mm": 3, "spacing_mm": (1, 2)}, ["spacing_mm", (1, 2)]),
    ],
)
def test_bad_settings(sites, settings, facts):
    with raises_naming(ValueError, *facts):
        RandResolution(sites, **settings)


@pytest.mark.parametrize(
    ("shape", "settings", "facts"),
    [
        ((1, 20, 20, 20), {}, ["spacing_mm"]),
        ((1, 20, 20), {"spacing_mm": SPACING_MM}, [(1, 20, 20)]),
        ((1, 3, 20, 20), {"spacing_mm": SPACING_MM}, [12.0, 8.0]),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, settings, facts):
    with raises_naming(ValueError, *facts):
        RandResolution(None, prob=1.0, in_plane_range_mm=8.0, **settings)(np.ones(shape, np.float32))
