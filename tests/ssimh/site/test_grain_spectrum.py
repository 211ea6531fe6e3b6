"""Power of grain: units, pixels, noise floors, and scans that tell nothing."""

import numpy as np
import pytest
import scipy.ndimage

from ssimh.site.grain_spectrum import SHELLS, grain_spectrum, shells_per_mm

WINDOW_HU = (-150.0, 150.0)


def noise(pixel_mm, size_mm=96, *, sigma_hu=20.0, slices=3, seed=0):
    size = round(size_mm / pixel_mm)
    return 40 + np.random.default_rng(seed).normal(0, sigma_hu, (slices, size, size))


@pytest.mark.parametrize("pixel_mm", [0.5, 0.8, 1.0, 2.0])
def test_white_noise_has_its_variance_times_the_area_of_a_pixel(pixel_mm):
    power = grain_spectrum(noise(pixel_mm), (3.0, pixel_mm, pixel_mm), WINDOW_HU)
    ring = np.arange(1, SHELLS + 1)
    measured = (ring + 0.5) / 16 <= 0.5 / pixel_mm
    np.testing.assert_array_equal(power > 0, measured)
    # Beyond the first ring, from which the mean is taken; the median of a mean of many samples is a little lower.
    np.testing.assert_allclose(power[1:][measured[1:]], 20**2 * pixel_mm**2, rtol=0.15)


def test_a_kernel_multiplies_the_power_whatever_the_pixels():
    sigma_mm, k = 0.8, shells_per_mm()
    for pixel_mm in (0.5, 1.0):
        scan, spacing = noise(pixel_mm, seed=3), (3.0, pixel_mm, pixel_mm)
        blurred = scipy.ndimage.gaussian_filter(scan, (0, sigma_mm / pixel_mm, sigma_mm / pixel_mm), mode="wrap")
        ratio = grain_spectrum(blurred, spacing, WINDOW_HU)[1:5] / grain_spectrum(scan, spacing, WINDOW_HU)[1:5]
        np.testing.assert_allclose(np.log(ratio), -4 * np.pi**2 * sigma_mm**2 * k[1:5] ** 2, atol=0.25)


def test_thick_slices_have_less_noise_at_every_frequency():
    thin = noise(1.0, slices=10, seed=4)
    thick = 40 + (thin.reshape(2, 5, 96, 96) - 40).mean(axis=1)
    powers = [grain_spectrum(scan, (mm, 1.0, 1.0), WINDOW_HU)[1:7] for scan, mm in ((thin, 1.0), (thick, 5.0))]
    np.testing.assert_allclose(powers[0] / powers[1], 5, rtol=0.2)


def test_rings_are_centered_on_their_frequencies():
    np.testing.assert_allclose(shells_per_mm(), np.arange(1, SHELLS + 1) / 16, rtol=0.25)
    np.testing.assert_allclose(shells_per_mm()[3:], np.arange(4, SHELLS + 1) / 16, rtol=0.03)


def test_edges_and_a_slope_do_not_count():
    scan = noise(1.0, seed=5)
    plain = grain_spectrum(scan, (3.0, 1.0, 1.0), WINDOW_HU)
    scan[:, :30] = -1000
    scan[:, 50:56, 50:56] = 900
    with_edges = grain_spectrum(scan + np.linspace(-10, 10, 96), (3.0, 1.0, 1.0), WINDOW_HU)
    np.testing.assert_allclose(with_edges[1:7], plain[1:7], rtol=0.2)


def test_a_filtered_image_keeps_the_power_of_rounding():
    silent = grain_spectrum(np.full((3, 96, 96), 40.0), (3.0, 0.8, 0.8), WINDOW_HU)
    np.testing.assert_allclose(silent[silent > 0], 0.8**2 / 12)


@pytest.mark.parametrize(
    ("scan", "spacing_mm"),
    [
        (noise(1.0), (3.0, 2.5, 2.5)),
        (noise(1.0, 12), (3.0, 1.0, 1.0)),
        (noise(1.0) - 1000, (3.0, 1.0, 1.0)),
        (noise(1.0, 30, slices=1), (3.0, 1.0, 1.0)),
    ],
    ids=["large pixels", "smaller than a window", "lung", "too few windows"],
)
def test_scans_that_tell_nothing_have_no_power(scan, spacing_mm):
    assert not grain_spectrum(scan, spacing_mm, WINDOW_HU).any()
