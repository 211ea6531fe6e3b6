"""Gains of the filter that gives the grain of one site the measured power of another.

A window of 16 mm blurs the power spectrum: what a ring shows comes from its neighbors as well. The gains are found so
that a spectrum that has been filtered shows the wanted power under the same window.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ssimh.site.grain_spectrum import SHELLS, STEP_PER_MM, WINDOW_MM, shell_of_samples

FloatArray = NDArray[np.float64]

SMALLEST_GAIN = 0.05
_FINE = 8  # steps of the true spectrum in one step of the measured one
_HIGHEST_PER_MM = 1.25
_REACH_STEPS = 6  # beyond which a Hann window passes nothing
_ROUNDS = 2  # more would fit the low rings by gains that swing


def solve_gains(frequencies_per_mm: FloatArray, log_power: FloatArray, log_ratio: FloatArray) -> FloatArray:
    """Natural logarithms of the gains at the rings, 0 or below.

    Args:
        frequencies_per_mm: (n,) of the first n rings.
        log_power: (n,) logarithm of the measured power of the source.
        log_ratio: (n,) logarithm of the power of the source over that of the target; what is below 0 counts as 0.
    """
    wanted = -np.maximum(log_ratio, 0.0)
    if not wanted.any():
        return np.zeros_like(wanted)
    response, fine = window_response()
    response = response[: len(wanted)]
    true = log_power.copy()
    for _ in range(_ROUNDS):
        true += log_power - np.log(response @ np.exp(np.interp(fine, frequencies_per_mm, true)))
    power = np.exp(np.interp(fine, frequencies_per_mm, true))
    before = np.log(response @ power)
    knots = np.concatenate([[0.0], frequencies_per_mm])
    square = wanted.copy()
    for _ in range(_ROUNDS):
        gain = np.exp(np.interp(fine, knots, np.concatenate([[0.0], square])))
        square = np.clip(square + wanted - np.log(response @ (power * gain)) + before, 2 * np.log(SMALLEST_GAIN), 0.0)
    return np.asarray(square / 2)


@lru_cache(maxsize=1)
def window_response() -> tuple[FloatArray, FloatArray]:
    """(16, m) mean power that the rings show of isotropic power at m frequencies, and these frequencies, per mm."""
    step = STEP_PER_MM / _FINE
    count = round(_HIGHEST_PER_MM / step) + 1
    reach = np.arange(-_REACH_STEPS * _FINE + 1, _REACH_STEPS * _FINE)
    leak = _hann_power(np.asarray(reach * step, dtype=np.float64))
    shells = shell_of_samples()
    response = np.zeros((SHELLS, count))
    for row, column in zip(*np.nonzero(shells), strict=True):
        y, x = (row - SHELLS) * _FINE + reach, column * _FINE + reach
        index = np.minimum(np.rint(np.hypot(y[:, None], x)).astype(np.intp), count - 1)
        response[shells[row, column] - 1] += np.bincount(index.ravel(), np.outer(leak, leak).ravel(), count)
    return response / response.sum(axis=1, keepdims=True), np.linspace(0, (count - 1) * step, count)


def _hann_power(frequency_per_mm: FloatArray) -> FloatArray:
    """Squared transform of a Hann window of 16 mm along one axis, over its sum."""
    x = frequency_per_mm * WINDOW_MM
    pole = np.isclose(np.abs(x), 1)
    transform = np.where(pole, 0.5, np.sinc(x) / np.where(pole, 1.0, 1 - x**2))
    return np.asarray(transform**2 / np.sum(transform**2))
