"""Generated thighs for the tests of grain: muscle in fat, bone, air, and noise behind a kernel of known width."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ssimh import SiteSpectrum

SHAPE = (4, 96, 100)
SPACING_MM = (3.0, 1.0, 1.0)
SHARP_MM, SMOOTH_MM = 0.5, 1.0
NOISE_HU = 60.0  # of the white noise before the kernel


def thigh(
    seed: int = 0, sigma_mm: float = SHARP_MM, *, noise_hu: float = NOISE_HU, pixel_mm: float = 1.0
) -> NDArray[np.float32]:
    """(z, y, x) CT in HU of a subject, whose anatomy and noise a Gaussian kernel of this width has blurred in plane."""
    rng = np.random.default_rng(seed)
    size = [SHAPE[0], *(round(length / pixel_mm) for length in SHAPE[1:])]
    y, x = np.ogrid[: size[1], : size[2]]
    radius_mm = pixel_mm * np.hypot(y - size[1] / 2 - rng.normal(), x - size[2] / 2 - rng.normal())
    muscle, fat = np.array([50.0, -103.0]) + rng.normal(0, 3, 2)
    plane = np.where(radius_mm < 34 + rng.normal(), muscle, np.where(radius_mm < 44, fat, -1000.0))
    plane[radius_mm < 5] = 900
    plane[(np.abs(y - size[1] / 2) < 2 / pixel_mm) & (np.abs(x - size[2] / 4) < 3 / pixel_mm)] = -1000
    scan = plane + rng.normal(0, noise_hu, size) / pixel_mm * (plane > -900)
    sigma = sigma_mm / pixel_mm
    return scipy.ndimage.gaussian_filter(scan, (0, sigma, sigma), mode="nearest").astype(np.float32)


@lru_cache(maxsize=4)
def thigh_site(sigma_mm: float, count: int = 6, first: int = 0) -> SiteSpectrum:
    """The site of some subjects."""
    return SiteSpectrum.fit((thigh(first + n, sigma_mm) for n in range(count)), spacing_mm=SPACING_MM)
