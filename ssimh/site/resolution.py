"""Resolution of a PET site from the power spectra of its subjects, and how two sites differ in it.

A scanner multiplies the power spectrum of what it images by its squared transfer function, and adds noise. In the
logarithm, sharp anatomy falls with a shape that people have in common; the transfer function falls with the square of
the frequency, -4π² σ² k². Per site, level, slope, the variances σ² in plane and axial, and the level and grain of the
noise are fitted to the mean of its subjects. Between two sites the shape of anatomy cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimh.site.power_spectrum import FWHM_PER_SIGMA, bins

FloatArray = NDArray[np.float64]

# Logarithm of the mean power of uptake behind a scanner of 6.5 mm, without noise: polynomial in l = ln(k / 0.05 per mm)
# and c = (k_z / k)², with the terms 1, l, c, c·l, l², c². Written by benchmarks/site_resolution.py --shape.
SHAPE = (0.0, -3.292, -1.931, 0.154, -0.705, 1.862)
SHAPE_FWHM_MM = 6.5
# Deviations of one site's mean from this model: relative, of a bin; slope of anatomy; level and grain of the noise.
_BIN, _BIN_SAMPLES, _BINS_ALIKE = 0.2, 50.0, 4.0
_SLOPE, _NOISE_LEVEL, _NOISE_GRAIN_MM2 = 0.3, 0.3, 0.5
_PIVOT_PER_MM, _GRAIN_PIVOT_PER_MM = 0.05, 0.09
_WIDEST_MM2 = 30.0
_FEWEST_BINS = 12
_ITERATIONS = 30
# Covariance between subjects that is expected before any is seen, which counts as much as ten subjects; and standard
# deviation of the difference that another noise makes between sites whose scanners are alike.
SPREAD_MM4, SPREAD_SUBJECTS = ((2.2, 0.0), (0.0, 6.0)), 10
SYSTEMATIC_MM2 = (0.35, 0.5)
# Scanners are alike, or differ by some 3.5 mm² (5.0 against 6.5 mm is 3.1): in all directions, or in each by itself.
_WIDTH_MM2 = 3.5
_ALIKE, _ISOTROPIC = 0.5, 0.3
_LIKELY_DIFFERENT = 0.85
_FWHM_LIMITS_MM = (3.0, 12.0)


@dataclass(frozen=True, eq=False)
class SiteResolution:
    """Resolution of one site.

    Args:
        variance_mm2: (2,) σ² of the transfer function in plane and axial. The absolute value rests on the shape of
            anatomy; differences do not.
        deviations_mm2: (n, 2) of each subject from it.
        noise: power of the noise over that of the uptake at 0.05 per mm.
    """

    variance_mm2: FloatArray
    deviations_mm2: FloatArray
    noise: float

    @property
    def fwhm_mm(self) -> tuple[float, float]:
        """Width in plane and axial, mm, kept within 3 and 12 mm."""
        low, high = ((mm / FWHM_PER_SIGMA) ** 2 for mm in _FWHM_LIMITS_MM)
        in_plane, axial = FWHM_PER_SIGMA * np.sqrt(np.clip(self.variance_mm2, low, high))
        return float(in_plane), float(axial)


@dataclass(frozen=True)
class ResolutionDifference:
    """How the resolution of one PET site differs from that of another; pairs are in plane and axial.

    Args:
        raw_mm2: difference of the variances σ², source minus target, before shrinkage.
        error_mm2: its standard error.
        applied_mm2: the difference that alignment assumes; 0 where the sites are alike as far as the scans tell.
        alike_probability: probability that the scanners are alike, 0 … 1.
        fwhm_mm: widths of the source and of the target; each rests on the shape of anatomy, their difference does not.
        noise_ratio: noise of the source over that of the target, standard deviation relative to the uptake.
    """

    raw_mm2: tuple[float, float]
    error_mm2: tuple[float, float]
    applied_mm2: tuple[float, float]
    alike_probability: float
    fwhm_mm: tuple[tuple[float, float], tuple[float, float]]
    noise_ratio: float

    @property
    def blur_mm2(self) -> tuple[float, float]:
        """σ² of the filter that brings the source to the target, 0 where the source is the coarser."""
        in_plane, axial = (max(0.0, -value) for value in self.applied_mm2)
        return in_plane, axial

    @property
    def raw_fwhm_mm(self) -> tuple[float, float]:
        """Difference of the widths, source minus target, before shrinkage."""
        return self._in_fwhm(self.raw_mm2)

    @property
    def applied_fwhm_mm(self) -> tuple[float, float]:
        """Difference of the widths that alignment assumes."""
        return self._in_fwhm(self.applied_mm2)

    @property
    def error_fwhm_mm(self) -> tuple[float, float]:
        """Standard error of :attr:`raw_fwhm_mm`."""
        return self._in_fwhm(self.error_mm2)

    def _in_fwhm(self, values_mm2: tuple[float, float]) -> tuple[float, float]:
        """F₁ - F₂ = 8 ln 2 (σ₁² - σ₂²) / (F₁ + F₂)."""
        in_plane, axial = (
            FWHM_PER_SIGMA**2 * value / (one + other)
            for value, one, other in zip(values_mm2, *self.fwhm_mm, strict=True)
        )
        return in_plane, axial

    def __str__(self) -> str:
        parts = [
            f"{raw:+.1f} ± {error:.1f} mm {name} ({applied:+.1f} applied)"
            for name, raw, error, applied in zip(
                ("in plane", "axial"), self.raw_fwhm_mm, self.error_fwhm_mm, self.applied_fwhm_mm, strict=True
            )
        ]
        return f"resolution (FWHM) differs by {' and '.join(parts)}; noise is {self.noise_ratio:.2f} times the target's"


def measure_resolution(power: FloatArray, noise: FloatArray, usable: NDArray[np.bool_] | None = None) -> SiteResolution:
    """Resolution of the mean of some subjects.

    Args:
        power, noise: (n, shells, sectors) of each subject, from
            :func:`ssimh.site.power_spectrum.uptake_spectrum`; 0 where the voxels are too coarse.
        usable: (shells, sectors) bins to take part; None for those that all subjects have.

    Raises:
        ValueError: too few bins that all subjects have, or nothing but noise in them.
    """
    used = np.all(power > 0, axis=0) if usable is None else usable & np.all(power > 0, axis=0)
    if np.count_nonzero(used) < _FEWEST_BINS:
        raise ValueError(
            f"{np.count_nonzero(used)} of {used.size} frequency bins are measured in all subjects of the sites, and "
            f"{_FEWEST_BINS} are needed; the voxels are too large."
        )
    each, each_noise = np.log(power[:, used]), np.log(noise[:, used])
    model = _Model(used, each_noise.mean(axis=0))
    try:
        answer = model.fit(each.mean(axis=0))
        influence = model.influence(answer)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "the power spectra are those of noise alone, which tells no resolution; is there uptake in the images?"
        ) from error
    shares = model.noise_shares(answer)
    unexpected = (each - each.mean(axis=0)) - shares * (each_noise - each_noise.mean(axis=0))
    deviations = unexpected @ influence.T
    near = np.abs(model.k - _PIVOT_PER_MM) < 0.006
    signal, floor = model.parts(answer)
    return SiteResolution(
        (SHAPE_FWHM_MM / FWHM_PER_SIGMA) ** 2 + answer[1:3],
        deviations,
        float(np.exp(np.mean(floor[near] - signal[near]))),
    )


class _Model:
    """ln(signal + noise) on the bins in use, with (level, σ² in plane, axial, slope, noise level, noise grain).

    Args:
        used: (shells, sectors) bins.
        noise: logarithm of the measured noise in them.
    """

    def __init__(self, used: NDArray[np.bool_], noise: FloatArray) -> None:
        found = bins()
        in_plane, axial = 4 * np.pi**2 * found.in_plane2[used], 4 * np.pi**2 * found.axial2[used]
        self.k = np.sqrt(found.k2[used])
        slope = np.log(self.k / _PIVOT_PER_MM)
        direction = found.axial2[used] / found.k2[used]
        terms = np.stack([np.ones_like(slope), slope, direction, direction * slope, slope**2, direction**2])
        self._shape = np.array(SHAPE) @ terms - (SHAPE_FWHM_MM / FWHM_PER_SIGMA) ** 2 * (in_plane + axial)
        self._noise = noise
        self._signal_terms = np.stack([np.ones_like(slope), -in_plane, -axial, slope], axis=1)
        grain = in_plane + axial - 4 * np.pi**2 * _GRAIN_PIVOT_PER_MM**2
        self._noise_terms = np.stack([np.ones_like(slope), -grain], axis=1)
        self._weight = 1 / (_BIN**2 * (1 + _BIN_SAMPLES / found.count[used])) / _BINS_ALIKE
        widths = np.array([np.inf, _WIDEST_MM2, _WIDEST_MM2, _SLOPE, _NOISE_LEVEL, _NOISE_GRAIN_MM2])
        self._prior = 1 / widths**2

    def parts(self, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logarithms of signal and noise."""
        return self._shape + self._signal_terms @ at[:4], self._noise + self._noise_terms @ at[4:]

    def noise_shares(self, at: FloatArray) -> FloatArray:
        """Share of the noise in the power of each bin."""
        signal, noise = self.parts(at)
        return np.asarray(np.exp(noise - np.logaddexp(signal, noise)))

    def _cost(self, at: FloatArray, measured: FloatArray) -> float:
        misfit = measured - np.logaddexp(*self.parts(at))
        return float(np.sum(self._weight * misfit**2) + np.sum(self._prior * at**2))

    def _system(self, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        share = self.noise_shares(at)[:, None]
        slopes = np.concatenate([(1 - share) * self._signal_terms, share * self._noise_terms], axis=1)
        weighted = slopes * self._weight[:, None]
        return weighted.T @ slopes + np.diag(self._prior), weighted

    def fit(self, measured: FloatArray) -> FloatArray:
        """The parameters, by damped Gauss–Newton steps."""
        at = np.zeros(6)
        at[0] = np.median((measured - self._shape)[self.k < _PIVOT_PER_MM + 0.006])
        cost, damping = self._cost(at, measured), 1e-3
        for _ in range(_ITERATIONS):
            system, weighted = self._system(at)
            pull = weighted.T @ (measured - np.logaddexp(*self.parts(at))) - self._prior * at
            step = at + np.linalg.solve(system + damping * np.diag(np.diag(system)), pull)
            reached = self._cost(step, measured)
            if reached > cost:
                damping *= 10
                continue
            finished = cost - reached <= 1e-10 * cost
            at, cost, damping = step, reached, max(damping / 10, 1e-9)
            if finished:
                break
        return at

    def influence(self, at: FloatArray) -> FloatArray:
        """(2, bins): how the variances follow a change of the measured logarithms."""
        system, weighted = self._system(at)
        return np.asarray(np.linalg.solve(system, weighted.T)[1:3])


def differ_in_resolution(
    power: tuple[FloatArray, FloatArray], noise: tuple[FloatArray, FloatArray], *, shrink: bool = True
) -> ResolutionDifference:
    """Difference in resolution of a source and a target.

    Args:
        power, noise: of source and target, each (n, shells, sectors).
        shrink: weigh the difference by its evidence; without it, the plain difference is applied.

    Raises:
        ValueError: too few frequencies that all subjects have.
    """
    usable = np.all(power[0] > 0, axis=0) & np.all(power[1] > 0, axis=0)
    one, other = (measure_resolution(p, n, usable) for p, n in zip(power, noise, strict=True))
    raw = one.variance_mm2 - other.variance_mm2
    scatter, freedom = np.array(SPREAD_MM4) * SPREAD_SUBJECTS, SPREAD_SUBJECTS
    for site in (one, other):
        scatter = scatter + site.deviations_mm2.T @ site.deviations_mm2
        freedom += len(site.deviations_mm2) - 1
    covariance = scatter / freedom * (1 / len(power[0]) + 1 / len(power[1])) + np.diag(np.square(SYSTEMATIC_MM2))
    applied, alike = shrink_by_evidence(raw, covariance) if shrink else (raw, 0.0)
    return ResolutionDifference(
        raw_mm2=_pair(raw),
        error_mm2=_pair(np.sqrt(np.diag(covariance))),
        applied_mm2=_pair(applied),
        alike_probability=alike,
        fwhm_mm=(one.fwhm_mm, other.fwhm_mm),
        noise_ratio=float(np.sqrt(one.noise / other.noise)),
    )


def shrink_by_evidence(raw: FloatArray, covariance: FloatArray) -> tuple[FloatArray, float]:
    """Expected difference where it is likely that there is one, otherwise 0; and the probability that there is none.

    Args:
        raw: (2,) measured difference.
        covariance: (2, 2) of its error.

    >>> shrink_by_evidence(np.array([0.8, 0.9]), np.eye(2) * 0.6)[0].tolist()
    [0.0, 0.0]
    >>> shrink_by_evidence(np.array([4.0, 4.0]), np.eye(2) * 0.6)[0].round(1).tolist()
    [3.9, 3.9]
    """
    wide = _WIDTH_MM2**2
    priors = (
        (_ALIKE, np.zeros((2, 2))),
        (_ISOTROPIC, wide * np.array([[1.0, 0.95], [0.95, 1.0]])),
        (1 - _ALIKE - _ISOTROPIC, wide * np.eye(2)),
    )
    evidence, means = [], []
    for probability, prior in priors:
        total = covariance + prior
        gain = np.linalg.solve(total, raw)
        evidence.append(np.log(probability) - 0.5 * raw @ gain - 0.5 * np.linalg.slogdet(total)[1])
        means.append(prior @ gain)
    weights = np.exp(np.array(evidence) - max(evidence))
    weights /= weights.sum()
    alike = float(weights[0])
    if 1 - alike < _LIKELY_DIFFERENT:
        return np.zeros(2), alike
    return np.asarray((weights[1:] @ np.array(means[1:])) / weights[1:].sum()), alike


def _pair(values: FloatArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])
