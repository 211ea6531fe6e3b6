"""Scans of the benchmark of grain: real CTs of two kernels, and real anatomy behind simulated kernels with noise.

The 28 head-and-neck CTs have pixels of 4 to 5 mm. They are interpolated to 1 mm, get noise whose power rises with the
frequency as behind filtered backprojection, and both pass the transfer function of a kernel, in plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from scanner_effect_cohort import Subject, cohort, kernel_scans

SPACING_MM = (3.0, 1.0, 1.0)
REAL_SPACING_MM = (3.27, 0.977, 0.977)
SLICES = 8
NOISE_HU, NOISE_SPREAD = 45.0, 0.3  # before the kernel; logarithm of its standard deviation, between people


@dataclass(frozen=True)
class Kernel:
    """Transfer function of a reconstruction kernel: a Gaussian, with a rise at edges or an end.

    Args:
        name: for the tables.
        sigma_mm: of the Gaussian.
        rise: gain at 0.3 per mm, minus 1, before the Gaussian.
        end_per_mm: frequency where a cosine brings it to 0; None for no end.
    """

    name: str
    sigma_mm: float
    rise: float = 0.0
    end_per_mm: float | None = None

    def transfer(self, k: np.ndarray) -> np.ndarray:
        """Factors at frequencies in cycles per mm."""
        values = np.exp(-2 * np.pi**2 * self.sigma_mm**2 * k**2) * (1 + self.rise * (k / 0.3) ** 2)
        if self.end_per_mm is not None:
            values = values * np.cos(np.pi / 2 * np.clip(k / self.end_per_mm, 0, 1)) ** 2
        return np.asarray(values)


SMOOTH, STANDARD, SHARP = Kernel("smooth", 0.8), Kernel("standard", 0.5), Kernel("sharp", 0.3)
EDGE, ENDING = Kernel("edge-enhancing", 0.45, rise=1.5), Kernel("ending at 0.55 per mm", 0.0, end_per_mm=0.55)
KERNELS = (SMOOTH, STANDARD, SHARP, EDGE, ENDING)
# Source and target; the target is the smoother at every frequency.
PAIRS = ((SHARP, STANDARD), (STANDARD, SMOOTH), (SHARP, SMOOTH), (EDGE, STANDARD), (EDGE, ENDING))


def real() -> dict[str, np.ndarray]:
    """The ten CTs of two kernels by name, SOFT-… and STAN-…."""
    return kernel_scans()


def people() -> list[Subject]:
    """The subjects of the simulation."""
    return cohort()[0]


def anatomy(subject: Subject) -> np.ndarray:
    """(z, y, x) HU at 3 × 1 × 1 mm: eight slices of the body, cropped to it."""
    import SimpleITK as sitk

    values, pixel_mm = subject.load(), 4.0
    if subject.path is not None:
        pixel_mm = sitk.ReadImage(str(subject.path)).GetSpacing()[0]
    body = values > -300
    area = body.sum(axis=(1, 2))
    inside = np.nonzero(area > 0.3 * area.max())[0]
    values = values[np.linspace(inside[0], inside[-1], SLICES).round().astype(int)]
    y, x = (np.nonzero(body.any(axis=axes))[0] for axes in ((0, 2), (0, 1)))
    values = values[:, max(0, y[0] - 3) : y[-1] + 4, max(0, x[0] - 3) : x[-1] + 4]
    return np.asarray(scipy.ndimage.zoom(values, (1, pixel_mm, pixel_mm), order=1), dtype=np.float32)


def scan(truth: np.ndarray, kernel: Kernel, seed: int) -> np.ndarray:
    """A CT of this anatomy; the seed is the person, whose noise is the same behind every kernel."""
    rng = np.random.default_rng([7, seed])
    level = NOISE_HU * np.exp(rng.normal(0, NOISE_SPREAD))
    shape = truth.shape[1:]
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])) / SPACING_MM[1]
    ramp, transfer = np.sqrt(np.minimum(k, 0.5) + 0.01), kernel.transfer(k)
    result = np.empty_like(truth)
    for number, plane in enumerate(truth):
        thickness = scipy.ndimage.uniform_filter((plane > -300).astype(np.float64), 9)
        noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * ramp * transfer, shape)
        result[number] = np.fft.irfft2(np.fft.rfft2(plane) * transfer, shape) + level * (0.3 + thickness) * noise
    return result


def blurred(sigma_mm: float) -> Iterator[tuple[str, np.ndarray]]:
    """The real CTs behind another Gaussian in plane."""
    for name, values in real().items():
        sigma = sigma_mm / REAL_SPACING_MM[1]
        yield name, scipy.ndimage.gaussian_filter(values, (0, sigma, sigma), mode="nearest")
