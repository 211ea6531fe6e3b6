"""The filter: exact on Gaussians, totals kept, filters add up, sharpening bounded."""

import numpy as np
import pytest

from ssimh.site.resolution_filter import ResolutionFilter, check_sharpening, filter_volume
from tests.facts import raises_naming
from tests.ssimh.uptakes import SPACING_MM, uptake


def test_a_gaussian_becomes_the_wider_gaussian():
    """The uptake of a wider scanner is the uptake filtered by the difference; borders are far from the hot spots."""
    spacing_mm = (3.0, 3.0, 3.0)
    filtered = filter_volume(uptake(0, 7.6, 7.6, spacing_mm), ResolutionFilter((4.0, 2.0), spacing_mm))
    inside = (slice(8, -8),) * 3
    np.testing.assert_allclose(filtered[inside], uptake(0, 11.6, 9.6, spacing_mm)[inside], atol=0.03)


@pytest.mark.parametrize("variance", [(4.0, 4.0), (0.3, 9.0), (-2.0, -1.0), (2.0, -2.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_totals_are_kept(variance, dtype):
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(0.5, 1, (30, 26, 28)), 0).astype(dtype)
    found = filter_volume(values, ResolutionFilter(variance, (3.0, 4.0, 4.0), 1.5))
    assert found.dtype == dtype
    assert found.min() >= 0
    assert found.sum(dtype=np.float64) == pytest.approx(values.sum(dtype=np.float64), rel=1e-5)


def test_filters_add_up_in_any_order():
    values = uptake(1)
    one, other = ResolutionFilter((1.5, 0.0), SPACING_MM), ResolutionFilter((2.0, 3.0), SPACING_MM)
    both = filter_volume(values, ResolutionFilter((3.5, 3.0), SPACING_MM))
    for first, second in ((one, other), (other, one)):
        np.testing.assert_allclose(filter_volume(filter_volume(values, first), second), both, atol=1e-6)


def test_the_unit_is_mm():
    """Twice the voxel size and twice the width is the same filter."""
    values = uptake(1)
    np.testing.assert_allclose(
        filter_volume(values, ResolutionFilter((2.0, 3.0), (4.0, 3.0, 3.0))),
        filter_volume(values, ResolutionFilter((8.0, 12.0), (8.0, 6.0, 6.0))),
        atol=1e-9,
    )


def test_nothing_changes_without_a_difference():
    values = uptake(1).astype(np.float32)
    identity = ResolutionFilter((0.0, 0.0), SPACING_MM)
    assert identity.is_identity
    np.testing.assert_allclose(filter_volume(values, identity), values, atol=1e-5)
    assert identity.noise_gain(values.shape) == 1


@pytest.mark.parametrize("gain", [1.2, 2.0])
def test_sharpening_is_bounded(gain):
    sharp = ResolutionFilter((-6.0, -6.0), (2.0, 2.0, 2.0), gain)
    transfers = [sharp.transfer(axis, 64) for axis in range(3)]
    assert np.prod([transfer.max() for transfer in transfers]) <= gain * (1 + 1e-9)
    assert all(transfer[0] == pytest.approx(1) and transfer.max() > 1 for transfer in transfers)
    assert all(transfer[-1] < 0.1 for transfer in transfers)


def test_the_noise_gain_is_that_of_white_noise():
    noise = np.random.default_rng(0).normal(size=(48, 48, 48))
    for variance in ((-1.0, -1.0), (3.0, 1.0)):
        filtering = ResolutionFilter(variance, SPACING_MM, 2.0)
        assert filter_volume(noise, filtering).std() == pytest.approx(filtering.noise_gain(noise.shape), rel=0.02)


def test_an_image_smaller_than_the_filter_is_refused():
    with raises_naming(ValueError, 8, 9.4, "axis 0"):
        filter_volume(np.ones((2, 40, 40)), ResolutionFilter((0.0, 16.0), SPACING_MM))


@pytest.mark.parametrize("given", [1.0, 0.5, 2.5, float("nan")])
def test_gains_out_of_range_are_refused(given):
    with raises_naming(ValueError, "allow_sharpening", given):
        check_sharpening(given)


def test_a_gain_is_a_number():
    assert check_sharpening(None) == 1
    assert check_sharpening(1.5) == 1.5
    assert check_sharpening(None, "CT") == 1
    with raises_naming(ValueError, "allow_sharpening", "CT"):
        check_sharpening(1.5, "CT")
    for given in (True, "2"):
        with raises_naming(TypeError, "allow_sharpening", type(given).__name__):
            check_sharpening(given)
