"""How the grain of two CT sites differs, from the power spectra of their subjects.

Mean logarithms of two sites are subtracted. People differ too: by anatomy at low frequencies, by size and dose (the
level of the noise), and by the share of noise in the power, which tilts the spectrum. How much they do is estimated
from the subjects and a prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimh.site.grain_filter import GrainFilter
from ssimh.site.grain_gain import solve_gains
from ssimh.site.grain_spectrum import shells_per_mm

FloatArray = NDArray[np.float64]

_FEWEST_RINGS = 3
# Standard deviations between people, of the logarithm of the power: level; tilt at 0.4 per mm; anatomy, which fades
# with the frequency; and each ring by itself. They count as much as ten subjects.
_LEVEL, _TILT, _ANATOMY, _RING = 0.4, 0.9, 0.6, 0.1
_TILT_PER_MM, _TILT_LARGEST, _ANATOMY_PER_MM = 0.4, 1.5, 0.1
_SPREAD_SUBJECTS = 10
# The same of a difference between kernels: level, tilt and curvature at 0.4 per mm, and what is beyond them, with its
# width in frequency. Kernels are alike, differ smoothly, or in any way.
_KERNEL_LEVEL, _KERNEL_TILT, _KERNEL_BLUR = 0.5, 2.0, 0.7
_KERNEL_SHAPES = ((0.3, 0.15), (0.5, 0.1))
_PROBABILITIES = (0.5, 0.35, 0.15)
_LIKELY_DIFFERENT = 0.8
_SHOWN_PER_MM = (0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class GrainDifference:
    """How the grain of one CT site differs from that of another.

    Args:
        frequencies_per_mm: rings that all subjects have, cycles per mm.
        raw: difference of the logarithms of the power there, source minus target, before shrinkage.
        error: its standard error.
        source_power: logarithm of the power of the source, HU² mm².
        applied: the difference that alignment assumes; 0 where the sites are alike as far as the scans tell.
        alike_probability: probability that the kernels are alike, 0 … 1.
        n_subjects: of source and target, those with a measured grain.

    >>> found = GrainDifference((0.1, 0.3), (0.5, -0.4), (0.2, 0.2), (5.0, 5.0), (0.4, -0.3), 0.1, (5, 5))
    >>> gains = found.filter(1.0, (1.0, 1.0)).log_gains
    >>> gains[0] < 0, gains[1], found.is_alike
    (True, 0.0, False)
    """

    frequencies_per_mm: tuple[float, ...]
    raw: tuple[float, ...]
    error: tuple[float, ...]
    source_power: tuple[float, ...]
    applied: tuple[float, ...]
    alike_probability: float
    n_subjects: tuple[int, int]

    @property
    def is_alike(self) -> bool:
        """Whether nothing is applied in either direction."""
        return not any(self.applied)

    def filter(self, strength: float, pixel_mm: tuple[float, float]) -> GrainFilter:
        """The filter that takes the source's images to the target wherever the target is the smoother.

        Args:
            strength: 0 … 1, share of the way.
            pixel_mm: (y, x) size of the pixels.
        """
        k, power, ratio = map(np.array, (self.frequencies_per_mm, self.source_power, self.applied))
        return GrainFilter(self.frequencies_per_mm, _tuple(strength * solve_gains(k, power, ratio) + 0.0), pixel_mm)

    def __str__(self) -> str:
        shown = [k for k in _SHOWN_PER_MM if k <= self.frequencies_per_mm[-1]]
        raw, error, applied = (
            np.interp(shown, self.frequencies_per_mm, values) for values in (self.raw, self.error, self.applied)
        )
        ratios = ", ".join(
            f"{np.exp(value):.3g} (×÷ {np.exp(wide):.2g}) at {k:g}"
            for k, value, wide in zip(shown, raw, error, strict=True)
        )
        gains = ", ".join(f"{value:.2f}" for value in np.exp(-0.5 * np.maximum(applied, 0)))
        effect = f"gain of its filter {gains}"
        if max(self.applied) <= 0:
            effect = "alike as far as the scans tell" if self.is_alike else "the source is the smoother"
        return f"grain has this many times the target's power: {ratios} per mm; {effect}"


def differ_in_grain(source: FloatArray, target: FloatArray, *, shrink: bool = True) -> GrainDifference | None:
    """Difference in grain of a source and a target.

    Args:
        source, target: (n, 16) of :func:`ssimh.site.grain_spectrum.grain_spectrum`; subjects of which it was not
            measured are left out.
        shrink: weigh the difference by its evidence; without it, the plain difference is applied.

    Returns:
        None where a site has no subject with a measured grain, or fewer than three rings are common to all.
    """
    one, other = (site[np.any(site > 0, axis=1)] for site in (source, target))
    used = np.all(one > 0, axis=0) & np.all(other > 0, axis=0)
    if not len(one) or not len(other) or np.count_nonzero(used) < _FEWEST_RINGS:
        return None
    k, logs = shells_per_mm()[used], [np.log(site[:, used]) for site in (one, other)]
    raw = logs[0].mean(axis=0) - logs[1].mean(axis=0)
    covariance = _spread(k, logs) * (1 / len(one) + 1 / len(other))
    applied, alike = _shrink(raw, covariance, k) if shrink else (raw, 0.0)
    error = np.sqrt(np.diag(covariance))
    power = _tuple(logs[0].mean(axis=0))
    return GrainDifference(_tuple(k), _tuple(raw), _tuple(error), power, _tuple(applied), alike, (len(one), len(other)))


def _spread(k: FloatArray, sites: list[FloatArray]) -> FloatArray:
    """Covariance between the subjects of a site, from the prior and the subjects."""
    anatomy = np.exp(-0.5 * (k / _ANATOMY_PER_MM) ** 2)
    tilt = np.minimum(k / _TILT_PER_MM, _TILT_LARGEST)
    prior = _LEVEL**2 + _TILT**2 * np.outer(tilt, tilt) + _ANATOMY**2 * np.outer(anatomy, anatomy)
    scatter, freedom = (prior + _RING**2 * np.eye(len(k))) * _SPREAD_SUBJECTS, _SPREAD_SUBJECTS
    for logs in sites:
        deviations = logs - logs.mean(axis=0)
        scatter = scatter + deviations.T @ deviations
        freedom += len(logs) - 1
    return np.asarray(scatter / freedom)


def _kernel_prior(k: FloatArray, size: float, width_per_mm: float) -> FloatArray:
    """Covariance of the difference between two kernels, with a shape of some size beyond tilt and curvature."""
    tilt = np.minimum(k / _TILT_PER_MM, _TILT_LARGEST)
    shape = size**2 * np.exp(-0.5 * ((k[:, None] - k) / width_per_mm) ** 2)
    straight, curved = np.outer(tilt, tilt), np.outer(tilt**2, tilt**2)
    return np.asarray(_KERNEL_LEVEL**2 + _KERNEL_TILT**2 * straight + _KERNEL_BLUR**2 * curved + shape)


def _shrink(raw: FloatArray, covariance: FloatArray, k: FloatArray) -> tuple[FloatArray, float]:
    """Expected difference where it is likely that there is one, otherwise 0; and the probability that there is none."""
    priors = [np.zeros_like(covariance), *(_kernel_prior(k, *shape) for shape in _KERNEL_SHAPES)]
    evidence, means = [], []
    for probability, prior in zip(_PROBABILITIES, priors, strict=True):
        gain = np.linalg.solve(covariance + prior, raw)
        misfit = raw @ gain + np.linalg.slogdet(covariance + prior)[1]
        evidence.append(np.log(probability) - 0.5 * misfit)
        means.append(prior @ gain)
    weights = np.exp(np.array(evidence) - max(evidence))
    weights /= weights.sum()
    alike = float(weights[0])
    if 1 - alike < _LIKELY_DIFFERENT:
        return np.zeros_like(raw), alike
    return np.asarray((weights[1:] @ np.array(means[1:])) / weights[1:].sum()), alike


def _tuple(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
