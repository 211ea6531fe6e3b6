"""Generated PET for the tests of resolution: small hot spots in one half of a smooth body, on a known scanner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssimh import SiteSpectrum
from ssimh.site.power_spectrum import bins
from ssimh.site.resolution import SHAPE
from ssimh.site.subjects import PET_SUBJECT

SIZE_MM = (160.0, 140.0, 140.0)
SPACING_MM = (4.0, 4.0, 4.0)


def uptake(
    seed: int = 0,
    in_plane_mm2: float = 7.6,
    axial_mm2: float | None = None,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
) -> NDArray[np.float64]:
    """(z, y, x) SUV: a sum of Gaussians, each wider by the variances of the scanner; exact at every voxel."""
    rng = np.random.default_rng(seed)
    added = np.array([in_plane_mm2 if axial_mm2 is None else axial_mm2, in_plane_mm2, in_plane_mm2])
    size = np.array(SIZE_MM)
    middles = [np.array([0.5, 0.5, 0.5]) * size]
    widths, amounts = [np.array([45.0, 30.0, 30.0]) ** 2], [4e5]
    for _ in range(40):
        middles.append(rng.uniform([0.1, 0.2, 0.2], [0.4, 0.8, 0.8]) * size)
        widths.append(np.full(3, rng.uniform(0.5, 4.0) ** 2))
        amounts.append(float(rng.uniform(300, 3000)))
    total = np.array(amounts)
    lines = []
    for axis in range(3):
        place = (np.arange(round(SIZE_MM[axis] / spacing_mm[axis])) + 0.5) * spacing_mm[axis]
        variance = np.array(widths)[:, axis, None] + added[axis]
        offset = place - np.array(middles)[:, axis, None]
        lines.append(np.exp(-(offset**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance))
    return np.asarray(np.einsum("n,nz,ny,nx->zyx", total, *lines))


def spectra(
    in_plane_mm2: float,
    axial_mm2: float,
    noise: float = 1e-9,
    count: int = 4,
    spread: float = 0.0,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(power, noise) of sharp anatomy behind a Gaussian of these variances, in a few people."""
    found = bins()
    slope, direction = np.log(np.sqrt(found.k2) / 0.05), found.axial2 / found.k2
    terms = np.stack([np.ones_like(slope), slope, direction, direction * slope, slope**2, direction**2])
    sharp = np.tensordot(SHAPE, terms, 1)
    signal = np.exp(sharp - 4 * np.pi**2 * (in_plane_mm2 * found.in_plane2 + axial_mm2 * found.axial2))
    floor = noise * np.exp(-4 * np.pi**2 * 4.0 * found.k2)
    levels = 1 + spread * np.random.default_rng(seed).uniform(-1, 1, (count, 1, 1))
    return levels * signal + floor, np.broadcast_to(floor, (count, *floor.shape))


def pet_site(mm2: float, count: int = 12, orientation: str | None = None) -> SiteSpectrum:
    """A site of PET whose resolution is known exactly, without an image."""
    subjects = np.zeros(count, PET_SUBJECT)
    subjects["power_mm3"], subjects["noise_mm3"] = spectra(mm2, mm2, count=count)
    return SiteSpectrum(subjects, modality="PT", orientation=orientation)
