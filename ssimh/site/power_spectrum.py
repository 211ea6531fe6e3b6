"""Power spectrum of the uptake in a PET, over shells of frequency and sectors from in plane to axial, and its noise.

The scan is covered by overlapping cubes of 96 mm with a Hann window. What differs between people most, the slow
frequencies, is left out; above 0.125 per mm nothing but noise passes through a scanner. Frequencies are in cycles per
mm, so that scans with other voxels compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.site.scan_checks import check_suv

FloatArray = NDArray[np.float64]

BLOCK_MM = 96.0
STEP_PER_MM = 0.01  # of the frequencies at which blocks are transformed; 1 / BLOCK_MM
SHELLS_PER_MM = np.arange(4, 13) * STEP_PER_MM  # 0.04 … 0.12, each 0.01 wide
SECTORS = 4  # of |k_z| / |k|, 0 … 1, of equal width and so of equal area on the sphere
_STEPS = 12
_SHORTEST_MM = 60.0
_COARSEST_MM = 7.0  # voxels: the Nyquist frequency of 7 mm is 0.071 per mm
_USABLE = 0.96  # of the Nyquist frequency
_FAINTEST_SUV = 0.08  # mean of a block, below which it is air; the mean of a whole body is about 1 by definition
# Sharp structures tell the resolution: blocks are weighed by power over activity in these shells.
_LOUD = SHELLS_PER_MM < 0.065
# Where little but noise is left: the quarter of blocks with least power over activity is taken for noise.
_QUIET_FROM_PER_MM, _QUIET_SHARE, _QUIET_FEWEST = 0.085, 0.25, 3
# Below this frequency quiet blocks have anatomy too: there the noise is a Gaussian through what is above it.
_NOISE_FROM_PER_MM = 0.07
_GRAIN_MM, _GRAIN_SPREAD_MM, _GRAIN_LIMITS_MM = 5.5, 2.0, (3.0, 9.0)
FWHM_PER_SIGMA = 2.354820045
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Bins:
    """Frequencies of the (shells, sectors) bins: number of samples, and means of k² in plane and axial, 1/mm²."""

    count: FloatArray
    in_plane2: FloatArray
    axial2: FloatArray

    @property
    def k2(self) -> FloatArray:
        """Mean of the squared frequency, 1/mm²."""
        return self.in_plane2 + self.axial2


@lru_cache(maxsize=1)
def bins() -> Bins:
    """The bins, from the lattice of frequencies that a block is transformed at."""
    index, weight, squares = _lattice()
    size = len(SHELLS_PER_MM) * SECTORS + 1
    shape = (len(SHELLS_PER_MM), SECTORS)
    count, in_plane2, axial2 = (
        np.asarray(np.bincount(index, weight * values, size)[:-1], dtype=np.float64).reshape(shape)
        for values in (np.ones(len(weight)), *squares)
    )
    return Bins(count, in_plane2 / count, axial2 / count)


@lru_cache(maxsize=1)
def _lattice() -> tuple[NDArray[np.intp], FloatArray, tuple[FloatArray, FloatArray]]:
    """Bin of every sample (the last: none), its weight, and its k² in plane and axial; x has its half from 0 up."""
    steps = np.arange(-_STEPS, _STEPS + 1)
    z, y, x = np.meshgrid(steps, steps, steps[_STEPS:], indexing="ij")
    k = np.sqrt(z * z + y * y + x * x) * STEP_PER_MM
    shell = np.rint(k / STEP_PER_MM).astype(np.intp) - 4
    cosine = np.abs(z) * STEP_PER_MM / np.maximum(k, _TINY)
    sector = np.minimum((cosine * SECTORS + 1e-9).astype(np.intp), SECTORS - 1)
    inside = (shell >= 0) & (shell < len(SHELLS_PER_MM))
    index = np.where(inside, shell * SECTORS + sector, len(SHELLS_PER_MM) * SECTORS)
    weight = np.where(x == 0, 1.0, 2.0).ravel()
    in_plane2, axial2 = ((squares * STEP_PER_MM**2).ravel().astype(np.float64) for squares in (y * y + x * x, z * z))
    return np.asarray(index.ravel(), dtype=np.intp), np.asarray(weight), (in_plane2, axial2)


def uptake_spectrum(values: NDArray[Any], spacing_mm: tuple[float, float, float]) -> tuple[FloatArray, FloatArray]:
    """Power spectrum of a PET and of its noise, both (shells, sectors), relative to the square of the mean uptake.

    Args:
        values: (z, y, x) SUV.
        spacing_mm: voxel size along (z, y, x).

    Returns:
        Power and noise, mm³; 0 in bins above the Nyquist frequency of the voxels.

    Raises:
        ValueError: voxels of more than 7 mm, an image smaller than 60 mm, values that are no SUV, or no uptake.
    """
    _check_scan(values, spacing_mm)
    index, weight, _ = _lattice()
    usable = _usable_bins(spacing_mm)
    powers, means = [], []
    for block, mean in _transformed_blocks(values, spacing_mm):
        sums = np.bincount(index, weight * block.ravel(), bins().count.size + 1)[:-1]
        powers.append(sums.reshape(bins().count.shape) / bins().count * usable)
        means.append(mean)
    return _summarize(np.array(powers), np.array(means), usable)


def _summarize(powers: FloatArray, means: FloatArray, usable: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Power and noise of a scan from those of its blocks, weighed by how much sharp structure they hold."""
    noise = _noise_per_activity(powers, means, usable)
    loudness = np.tensordot(powers[:, _LOUD], (bins().count * bins().k2 ** 1.5)[_LOUD], 2) / means
    shares = loudness / loudness.sum() if loudness.sum() > 0 else np.full(len(means), 1 / len(means))
    level = float(shares @ means)
    return np.tensordot(shares, powers, 1) / level**2, noise / level


def _check_scan(values: NDArray[Any], spacing_mm: tuple[float, float, float]) -> None:
    if max(spacing_mm) > _COARSEST_MM:
        raise ValueError(
            f"spacing_mm is {tuple(spacing_mm)}; the resolution of PET is measured with voxels of at most "
            f"{_COARSEST_MM:g} mm along each axis."
        )
    extent = [size * step for size, step in zip(values.shape, spacing_mm, strict=True)]
    if min(extent) < _SHORTEST_MM:
        raise ValueError(
            f"the image measures {' × '.join(f'{mm:.0f}' for mm in extent)} mm (z, y, x); its power spectrum needs "
            f"{_SHORTEST_MM:g} mm along each axis. Is spacing_mm right?"
        )
    check_suv(float(values.min()), float(values.max()))


def _usable_bins(spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Bins all of whose frequencies lie below the Nyquist frequency of the voxels."""
    index, _, _ = _lattice()
    steps = np.abs(np.arange(-_STEPS, _STEPS + 1)) * STEP_PER_MM
    z, y, x = (steps <= _USABLE * 0.5 / step for step in spacing_mm)
    seen = z[:, None, None] & y[:, None] & x[_STEPS:]
    missed = np.bincount(index, ~seen.ravel(), bins().count.size + 1)[:-1]
    return np.asarray((missed == 0).reshape(bins().count.shape))


def _transformed_blocks(
    values: NDArray[Any], spacing_mm: tuple[float, float, float]
) -> Iterator[tuple[FloatArray, float]]:
    """Squared amplitudes of the windowed blocks at the frequencies of the lattice, mm³, and their mean uptake.

    Blocks of air are left out.
    """
    sizes = [min(round(BLOCK_MM / step), size) for step, size in zip(spacing_mm, values.shape, strict=True)]
    waves = [_waves(size, step) for size, step in zip(sizes, spacing_mm, strict=True)]
    starts = [_starts(length, size) for length, size in zip(values.shape, sizes, strict=True)]
    means = _means(values, starts, [np.abs(wave[_STEPS]) ** 2 for wave in waves])
    kept = means > min(_FAINTEST_SUV, 0.5 * float(means.max()))
    voxel_mm3 = float(np.prod(spacing_mm))
    for a, z in enumerate(starts[0]):
        along_z = np.tensordot(waves[0], np.asarray(values[z : z + sizes[0]], dtype=np.float64), 1)
        for b, y in enumerate(starts[1]):
            if not kept[a, b].any():
                continue
            along_y = np.matmul(waves[1], along_z[:, y : y + sizes[1]])
            for c, x in enumerate(starts[2]):
                if kept[a, b, c]:
                    block = along_y[..., x : x + sizes[2]] @ waves[2][_STEPS:].T
                    yield (block.real**2 + block.imag**2) * voxel_mm3, float(means[a, b, c])


def _means(values: NDArray[Any], starts: list[list[int]], windows: list[FloatArray]) -> FloatArray:
    """Mean uptake of every block under its window."""
    means: FloatArray = np.asarray(values, dtype=np.float64)
    for begins, window in zip(starts, windows, strict=True):
        parts = [np.tensordot(means[begin : begin + len(window)], window, (0, 0)) for begin in begins]
        means = np.stack(parts, axis=-1)
    return means


def _waves(size: int, step_mm: float) -> NDArray[np.complex128]:
    """(frequencies, size) waves under a Hann window of unit energy."""
    window = np.hanning(size + 2)[1:-1]
    window /= np.sqrt(np.sum(window**2))
    place_mm = (np.arange(size) - (size - 1) / 2) * step_mm
    frequencies = np.arange(-_STEPS, _STEPS + 1) * STEP_PER_MM
    return np.asarray(np.exp(-2j * np.pi * frequencies[:, None] * place_mm) * window)


def _starts(length: int, size: int) -> list[int]:
    """Where blocks begin that overlap by half or more and cover the length."""
    count = 1 + -(-(length - size) * 2 // size) if length > size else 1
    return sorted({round(float(start)) for start in np.linspace(0, length - size, count)})


def _noise_per_activity(powers: FloatArray, means: FloatArray, usable: NDArray[np.bool_]) -> FloatArray:
    """Noise power per uptake, from the blocks that have least power in the high frequencies."""
    k = np.sqrt(bins().k2)
    ratios = (powers / means[:, None, None])[means > 0.5 * np.median(means)]
    # The highest frequency that is measured in every direction.
    top = float(np.where(usable, k, 0.0).max(axis=0).min())
    high = usable & (k >= min(_QUIET_FROM_PER_MM, 0.7 * top))
    order = np.argsort(np.tensordot(ratios, bins().count * high, 2), kind="stable")
    quiet = ratios[order[: max(_QUIET_FEWEST, int(_QUIET_SHARE * len(order)))]].mean(axis=0)
    start = min(_NOISE_FROM_PER_MM, 0.65 * top)
    fitted = usable & (k >= start - 0.001) & (k <= max(0.115, start + 0.02))
    x, y = 4 * np.pi**2 * bins().k2[fitted], np.log(quiet[fitted] + _TINY)
    weight = bins().count[fitted] / bins().count[fitted].sum()
    x_mean, y_mean = float(weight @ x), float(weight @ y)
    expected = (_GRAIN_MM / FWHM_PER_SIGMA) ** 2
    stiffness = (0.1 / (2 * _GRAIN_MM * _GRAIN_SPREAD_MM / FWHM_PER_SIGMA**2)) ** 2
    falling = float(weight @ ((x - x_mean) * (y_mean - y)))
    grain = (falling + stiffness * expected) / (float(weight @ (x - x_mean) ** 2) + stiffness)
    finest, coarsest = ((mm / FWHM_PER_SIGMA) ** 2 for mm in _GRAIN_LIMITS_MM)
    grain = min(max(grain, finest), coarsest)
    smooth = np.exp(y_mean - grain * (4 * np.pi**2 * bins().k2 - x_mean))
    return np.where(usable, np.where(k >= start + 0.004, np.maximum(quiet, _TINY), smooth), 0.0)
