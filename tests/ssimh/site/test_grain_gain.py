"""Gains of the filter: they are the square root of the ratio of the powers, without the blur of the window."""

import numpy as np

from ssimh.site.grain_gain import SMALLEST_GAIN, solve_gains, window_response
from ssimh.site.grain_spectrum import shells_per_mm

K = shells_per_mm()[:7]


def test_the_response_is_that_of_a_window():
    response, fine = window_response()
    np.testing.assert_allclose(response.sum(axis=1), 1)
    # A flat and, from the second ring on, a straight spectrum are shown as they are.
    np.testing.assert_allclose((response @ fine)[1:], shells_per_mm()[1:], atol=0.006)


def test_a_flat_ratio_is_its_square_root():
    gains = solve_gains(K, np.full(7, 6.0), np.full(7, np.log(4.0)))
    np.testing.assert_allclose(gains[2:], -np.log(2), atol=0.02)


def test_the_filtered_spectrum_shows_the_wanted_power():
    response, fine = window_response()
    power = np.exp(6 - 3 * fine)
    source, target = (np.log(response[:7] @ values) for values in (power, power * np.exp(-30 * fine**2)))
    gains = solve_gains(K, source, source - target)
    shown = response[:7] @ (power * np.exp(2 * np.interp(fine, [0, *K], [0, *gains])))
    np.testing.assert_allclose(np.log(shown)[:6], target[:6], atol=0.02)
    np.testing.assert_allclose(np.log(shown)[6], target[6], atol=0.1)
    # The true gain at the highest ring is below what the powers say, because of what leaks from below.
    assert gains[-1] < -0.5 * (source - target)[-1]


def test_it_never_sharpens_and_never_takes_all():
    assert solve_gains(K, np.full(7, 6.0), -np.ones(7)).tolist() == [0] * 7
    gains = solve_gains(K, np.full(7, 6.0), np.linspace(-1, 40, 7))
    assert gains.max() <= 0
    assert gains.min() >= np.log(SMALLEST_GAIN) - 1e-12
