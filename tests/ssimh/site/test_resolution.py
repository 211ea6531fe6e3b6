"""Resolution of sites: exact on Gaussians, zero between sites that are alike, and how evidence decides."""

import numpy as np
import pytest

from ssimh import SiteSpectrum, site_difference
from ssimh.site.power_spectrum import FWHM_PER_SIGMA
from ssimh.site.resolution import SHAPE_FWHM_MM, differ_in_resolution, measure_resolution, shrink_by_evidence
from tests.facts import raises_naming
from tests.ssimh.uptakes import SPACING_MM, spectra, uptake

BASE_MM2 = (SHAPE_FWHM_MM / FWHM_PER_SIGMA) ** 2


@pytest.mark.parametrize("noise", [1e-9, 1e-3, 1e-2])
@pytest.mark.parametrize("truth", [(BASE_MM2, BASE_MM2), (4.5, 9.0), (11.5, 6.0)])
def test_a_gaussian_is_found_exactly(truth, noise):
    found = measure_resolution(*spectra(*truth, noise=noise))
    np.testing.assert_allclose(found.variance_mm2, truth, atol=0.05)
    np.testing.assert_allclose(found.fwhm_mm, FWHM_PER_SIGMA * np.sqrt(truth), atol=0.02)
    np.testing.assert_allclose(found.deviations_mm2, 0, atol=1e-9)


def test_differences_are_in_mm_of_fwhm_and_change_sign_with_the_sites():
    sharp, coarse = spectra(4.5, 4.5, count=20), spectra(11.5, 11.5, count=20)
    forth = differ_in_resolution((sharp[0], coarse[0]), (sharp[1], coarse[1]))
    back = differ_in_resolution((coarse[0], sharp[0]), (coarse[1], sharp[1]))
    expected = FWHM_PER_SIGMA * (np.sqrt(4.5) - np.sqrt(11.5))
    np.testing.assert_allclose(forth.raw_fwhm_mm, expected, rtol=0.01)
    assert forth.raw_mm2 == tuple(-value for value in back.raw_mm2)
    assert forth.applied_mm2 == tuple(-value for value in back.applied_mm2)
    np.testing.assert_allclose(forth.blur_mm2, 7.0, rtol=0.1)
    assert back.blur_mm2 == (0.0, 0.0)
    assert forth.alike_probability < 1e-3


def test_more_noise_is_stated():
    one, other = spectra(7, 7, noise=4e-3), spectra(7, 7, noise=1e-3)
    found = differ_in_resolution((one[0], other[0]), (one[1], other[1]))
    assert found.noise_ratio == pytest.approx(2, rel=0.05)
    assert found.applied_mm2 == (0.0, 0.0)


def test_an_error_falls_with_the_number_of_scans_and_grows_with_their_spread():
    def error(count, spread):
        one, other = (spectra(7, 7, count=count, spread=spread, seed=seed) for seed in (1, 2))
        return differ_in_resolution((one[0], other[0]), (one[1], other[1])).error_mm2

    assert error(16, 0)[0] < error(4, 0)[0] < error(1, 0)[0]
    assert error(1, 0)[0] > 2


def test_a_difference_within_its_error_is_not_applied_and_a_clear_one_is():
    covariance = np.diag([0.6, 1.2])
    for raw in ([0.0, 0.0], [1.2, 0.5], [-1.0, 1.5]):
        assert shrink_by_evidence(np.array(raw), covariance)[0].tolist() == [0, 0]
    applied, alike = shrink_by_evidence(np.array([5.0, 5.5]), covariance)
    np.testing.assert_allclose(applied, [5.0, 5.0], atol=0.4)
    assert alike < 0.01
    in_plane, axial = shrink_by_evidence(np.array([6.0, -6.0]), covariance)[0]
    assert in_plane > 4 > -4 > axial


@pytest.fixture(scope="module")
def sites():
    """Of the same people on scanners of 7.6 mm², and wider by 4 mm² in plane or by 5 mm² axially."""
    scanners = {"base": (7.6, 7.6), "in plane": (11.6, 7.6), "axial": (7.6, 12.6)}
    return {
        name: SiteSpectrum.fit((uptake(seed, *mm2) for seed in range(2)), spacing_mm=SPACING_MM, modality="PT")
        for name, mm2 in scanners.items()
    }


def test_images_of_known_blur_give_its_variance(sites):
    for name, truth in (("in plane", (4.0, 0.0)), ("axial", (0.0, 5.0))):
        found = site_difference(sites[name], sites["base"], shrink=False).resolution
        np.testing.assert_allclose(found.raw_mm2, truth, atol=0.5)
        assert found.applied_mm2 == found.raw_mm2


def test_a_site_and_itself_are_alike(sites):
    found = site_difference(sites["base"], sites["base"]).resolution
    assert found.raw_mm2 == found.applied_mm2 == (0.0, 0.0)
    assert found.alike_probability > 0.5
    assert found.noise_ratio == 1


def test_too_few_common_frequencies_are_refused():
    power, noise = (values.copy() for values in spectra(7, 7))
    power[0, 2:] = 0
    with raises_naming(ValueError, 8, 36, 12):
        measure_resolution(power, noise)


@pytest.mark.parametrize("values", [np.ones((40, 40, 40)), np.random.default_rng(0).gamma(2, 0.5, (40, 40, 40))])
def test_noise_alone_tells_no_resolution(values):
    site = SiteSpectrum.fit([values], spacing_mm=(4.0, 4.0, 4.0), modality="PT")
    with raises_naming(ValueError, "noise", "uptake"):
        _ = site.resolution
