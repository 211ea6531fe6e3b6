"""Spectra of PET: the same uptake on other voxels, units, and what is refused."""

import numpy as np
import pytest

from ssimh.site.power_spectrum import SECTORS, SHELLS_PER_MM, bins, uptake_spectrum
from tests.facts import raises_naming
from tests.ssimh.uptakes import SPACING_MM, uptake


@pytest.fixture(scope="module")
def measured():
    return uptake_spectrum(uptake(), SPACING_MM)


def test_bins_hold_their_frequencies():
    found = bins()
    assert found.count.shape == (len(SHELLS_PER_MM), SECTORS)
    np.testing.assert_allclose(np.sqrt(found.k2), np.broadcast_to(SHELLS_PER_MM[:, None], found.k2.shape), atol=0.005)
    cosine = np.sqrt(found.axial2 / found.k2)
    assert ((cosine >= np.arange(SECTORS) / SECTORS) & (cosine <= (np.arange(SECTORS) + 1) / SECTORS)).all()


def test_noise_is_a_part_of_the_power(measured):
    power, noise = measured
    assert (power > 0).all()
    assert (noise > 0).all()
    assert (noise[:4] < 0.5 * power[:4]).all()


def test_calibration_does_not_matter(measured):
    for found, expected in zip(uptake_spectrum(uptake() * 1.3, SPACING_MM), measured, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_other_voxels_give_the_same_power(measured):
    other = uptake_spectrum(uptake(spacing_mm=(2.5, 3.5, 3.5)), (2.5, 3.5, 3.5))[0]
    assert np.abs(np.log(other / measured[0]))[:5].max() < 0.25


def test_frequencies_that_large_voxels_do_not_carry_are_left_out():
    power, noise = uptake_spectrum(uptake(spacing_mm=(4.0, 5.5, 5.5)), (4.0, 5.5, 5.5))
    np.testing.assert_array_equal(power > 0, noise > 0)
    seen = power > 0
    highest = np.sqrt(bins().in_plane2)
    assert not seen[highest > 0.5 / 5.5].any()
    assert seen[:4].all()


def test_the_power_of_the_noise_is_found():
    """White noise of standard deviation s on voxels of v mm³ has the power s² v, here on uptake without structure."""
    rng = np.random.default_rng(0)
    flat = np.full((40, 36, 36), 2.0)
    power, noise = uptake_spectrum(flat + rng.normal(0, 0.2, flat.shape), SPACING_MM)
    expected = 0.2**2 * 64 / 2.0**2
    np.testing.assert_allclose(power.mean(), expected, rtol=0.15)
    np.testing.assert_allclose(noise.mean(), expected, rtol=0.15)


@pytest.mark.parametrize(
    ("values", "spacing", "facts"),
    [
        (np.ones((40, 40, 40)), (8.0, 4.0, 4.0), ("spacing_mm", (8.0, 4.0, 4.0), 7)),
        (np.ones((10, 40, 40)), (4.0, 4.0, 4.0), ("40 × 160 × 160", 60)),
        (np.full((40, 40, 40), 5200.0), (4.0, 4.0, 4.0), (5200, "SUV", "Bq/ml")),
        (np.linspace(-1000, 60, 64000).reshape(40, 40, 40), (4.0, 4.0, 4.0), (-1000, "SUV")),
        (np.zeros((40, 40, 40)), (4.0, 4.0, 4.0), ("SUV",)),
    ],
)
def test_what_is_no_pet_is_refused(values, spacing, facts):
    with raises_naming(ValueError, *facts):
        uptake_spectrum(values, spacing)
