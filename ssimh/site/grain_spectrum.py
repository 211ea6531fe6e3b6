"""Power spectrum of the grain of a CT: the noise and texture that its reconstruction kernel leaves in soft tissue.

Windows of 16 mm in axial slices, which lie wholly in soft tissue, are transformed at the same frequencies in cycles per
mm whatever the pixels. Each loses its mean and has a Hann window; the median over the windows is kept, so that the few
with a vessel or a fascia do not count.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

WINDOW_MM = 16.0
STEP_PER_MM = 1 / WINDOW_MM
SHELLS = 16  # rings about 1/16, 2/16, … 16/16 per mm, each 1/16 wide
_COARSEST_MM = 2.0  # pixels, of which a window has eight
_FEWEST_WINDOWS, _MOST_WINDOWS = 20, 2000
# Tissue is selected in the image under a moving mean of 3 mm, because grain itself exceeds any window.
_SMOOTH_MM = 3.0
_FAR_HU = 400.0  # single pixels farther off belong to air, metal or bone


@lru_cache(maxsize=1)
def shells_per_mm() -> FloatArray:
    """(16,) mean frequency of the samples of each ring, cycles per mm."""
    ring, k = _lattice()
    return np.asarray(np.bincount(ring, k)[1:] / np.bincount(ring)[1:])


def shell_of_samples() -> NDArray[np.intp]:
    """(33, 17) number of the ring, 1 … 16, of the samples of a window's spectrum; 0 for those that no ring has."""
    return _lattice()[0].reshape(2 * SHELLS + 1, SHELLS + 1)


@lru_cache(maxsize=1)
def _lattice() -> tuple[NDArray[np.intp], FloatArray]:
    """Ring of every sample of a window's spectrum (0: none) and its frequency; x has its half from 0 up."""
    steps = np.arange(-SHELLS, SHELLS + 1)
    k = np.hypot(steps[:, None], steps[SHELLS:]).ravel()
    ring = np.rint(k).astype(np.intp)
    # Of the column x = 0 one half is enough: the other has the same power.
    twice = ((steps[:, None] < 0) & (steps[SHELLS:] == 0)).ravel()
    return np.where((ring > SHELLS) | twice, 0, ring), k * STEP_PER_MM


def grain_spectrum(
    values: NDArray[Any], spacing_mm: tuple[float, float, float], tissue_window_hu: tuple[float, float]
) -> FloatArray:
    """Power spectrum of the grain in plane.

    Args:
        values: (z, y, x) HU.
        spacing_mm: voxel size along (z, y, x).
        tissue_window_hu: of soft tissue.

    Returns:
        (16,) power in HU² mm² in the rings of :func:`shells_per_mm`; 0 above the Nyquist frequency of the pixels, and
        everywhere where the pixels are larger than 2 mm or fewer than 20 windows lie in soft tissue.
    """
    power = np.zeros(SHELLS)
    _, y_mm, x_mm = spacing_mm
    if max(y_mm, x_mm) > _COARSEST_MM:
        return power
    sizes = round(WINDOW_MM / y_mm), round(WINDOW_MM / x_mm)
    corners = _find_windows(values, sizes, (y_mm, x_mm), tissue_window_hu)
    if len(corners) < _FEWEST_WINDOWS:
        return power
    each = _window_powers(values, corners, sizes, (y_mm, x_mm))
    usable = (np.arange(1, SHELLS + 1) + 0.5) * STEP_PER_MM <= 0.5 / max(y_mm, x_mm)
    # Rounding to whole HU alone leaves 1/12 HU² a pixel; an image that holds less than that has no grain.
    power[usable] = np.median(each, axis=0)[usable] + y_mm * x_mm / 12
    return power


def _find_windows(
    values: NDArray[Any], sizes: tuple[int, int], pixel_mm: tuple[float, float], tissue_window_hu: tuple[float, float]
) -> NDArray[np.intp]:
    """(n, 3) first voxels of windows in soft tissue, which overlap by half; at most 2000, spread evenly."""
    if any(length < size for length, size in zip(values.shape[1:], sizes, strict=True)):
        return np.zeros((0, 3), dtype=np.intp)
    low, high = tissue_window_hu
    widths = [max(1, round(_SMOOTH_MM / step)) for step in pixel_mm]
    half = sizes[0] // 2, sizes[1] // 2
    found = []
    for z, plane in enumerate(values):
        plane = np.asarray(plane, dtype=np.float32)
        smooth = scipy.ndimage.uniform_filter(plane, widths)
        tissue = (smooth > low) & (smooth < high) & (np.abs(plane) < _FAR_HU)
        sums = np.pad(tissue.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32), ((1, 0), (1, 0)))
        counts = (
            sums[sizes[0] :, sizes[1] :]
            - sums[: -sizes[0], sizes[1] :]
            - sums[sizes[0] :, : -sizes[1]]
            + sums[: -sizes[0], : -sizes[1]]
        )
        y, x = np.nonzero(counts[:: half[0], :: half[1]] == sizes[0] * sizes[1])
        found.append(np.stack([np.full(len(y), z), y * half[0], x * half[1]], axis=1))
    corners = np.concatenate(found)
    if len(corners) > _MOST_WINDOWS:
        corners = corners[np.linspace(0, len(corners) - 1, _MOST_WINDOWS).astype(np.intp)]
    return np.asarray(corners)


def _window_powers(
    values: NDArray[Any], corners: NDArray[np.intp], sizes: tuple[int, int], pixel_mm: tuple[float, float]
) -> FloatArray:
    """(n, 16) mean power of each window in each ring, HU² mm²."""
    waves, windows = zip(*(_waves(size, step) for size, step in zip(sizes, pixel_mm, strict=True)), strict=True)
    ring, _ = _lattice()
    counts = np.bincount(ring, minlength=SHELLS + 1)[1:]
    scale = pixel_mm[0] * pixel_mm[1] / (np.sum(windows[0] ** 2) * np.sum(windows[1] ** 2))
    weight = np.outer(windows[0], windows[1]) / (windows[0].sum() * windows[1].sum())
    powers = np.empty((len(corners), SHELLS))
    for number, (z, y, x) in enumerate(corners):
        block = np.asarray(values[z, y : y + sizes[0], x : x + sizes[1]], dtype=np.float64)
        amplitudes = waves[0] @ (block - np.sum(weight * block)) @ waves[1][SHELLS:].T
        squares = (amplitudes.real**2 + amplitudes.imag**2).ravel() * scale
        powers[number] = np.bincount(ring, squares, SHELLS + 1)[1:] / counts
    return powers


def _waves(size: int, step_mm: float) -> tuple[NDArray[np.complex128], FloatArray]:
    """(33, size) waves under a Hann window, and the window."""
    window = np.hanning(size + 2)[1:-1]
    place_mm = (np.arange(size) - (size - 1) / 2) * step_mm
    frequencies = np.arange(-SHELLS, SHELLS + 1) * STEP_PER_MM
    return np.asarray(np.exp(-2j * np.pi * frequencies[:, None] * place_mm) * window), window
