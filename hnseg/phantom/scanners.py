"""Scanner models: the grids of a center, and the effects of its CT and PET on the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.images.geometry import Grid
from hnseg.phantom.shapes import F32

CT_FLOOR_HU, CT_CEILING_HU = -1024, 3071
CT_SLAB = 8  # slices
FWHM_PER_SIGMA = 2.354820045


@dataclass(frozen=True)
class Center:
    """A hospital: its protocol and its scanner. All numbers of the scanner model are here.

    Attributes:
        name: Prefix of the case identifiers.
        ct_pixel_mm, ct_slice_mm, ct_matrix: Native CT grid.
        ct_offset_hu, ct_gain: Calibration: measured = (HU + 1000) · gain − 1000 + offset.
        ct_cupping_hu: Depression at the middle of the field relative to 150 mm from it.
        ct_fwhm_mm, ct_sharpening: Reconstruction kernel: a Gaussian, then unsharp masking of that strength.
        ct_noise_hu, ct_noise_fwhm_mm: Standard deviation in the neck, and grain of the noise; doubled across the
            shoulders.
        ct_round_field: Whether voxels outside the inscribed circle hold the floor value.
        pet_pixel_mm, pet_slice_mm, pet_field_mm: Native PET grid and the width of its field of view.
        pet_fwhm_mm, pet_noise, pet_noise_fwhm_mm: Resolution; standard deviation at SUV 1, growing with the square root
            of the activity; grain.
        pet_gain: Calibration of SUV.
        top_mm, bottom_mm: Upper and lower end of the CT, canonical heights: vertex +272, chin +48, top of chest 0,
            carina −95.
        pet_top_mm, pet_bottom_mm: The PET ends this much higher (above 0) or lower than the CT.
        misregistration_mm: Standard deviation of the patient's shift between CT and PET along each axis.
        arms_up_probability, contrast_probability: Share of cases with arms beside the head, and with contrast agent.
    """

    name: str
    ct_pixel_mm: float = 0.977
    ct_slice_mm: float = 3.0
    ct_matrix: int = 512
    ct_offset_hu: float = 0.0
    ct_gain: float = 1.0
    ct_cupping_hu: float = 0.0
    ct_fwhm_mm: float = 1.5
    ct_sharpening: float = 0.0
    ct_noise_hu: float = 10.0
    ct_noise_fwhm_mm: float = 1.8
    ct_round_field: bool = False
    pet_pixel_mm: float = 4.0
    pet_slice_mm: float = 4.0
    pet_field_mm: float = 600.0
    pet_fwhm_mm: float = 6.5
    pet_noise: float = 0.15
    pet_noise_fwhm_mm: float = 6.0
    pet_gain: float = 1.0
    top_mm: float = 285.0
    bottom_mm: float = -110.0
    pet_top_mm: float = 6.0
    pet_bottom_mm: float = 6.0
    misregistration_mm: float = 0.5
    arms_up_probability: float = 0.0
    contrast_probability: float = 0.5

    def __post_init__(self) -> None:
        positive = (
            "ct_pixel_mm",
            "ct_slice_mm",
            "ct_matrix",
            "ct_gain",
            "pet_pixel_mm",
            "pet_slice_mm",
            "pet_field_mm",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"Center.{name} must be > 0; got {getattr(self, name)}")
        if not self.name.isalnum():
            raise ValueError(f"a center's name is the prefix of its case IDs: letters and digits; got {self.name!r}")
        if self.bottom_mm >= self.top_mm:
            raise ValueError(f"top_mm must lie above bottom_mm; got {self.top_mm} and {self.bottom_mm}")


DEFAULT_CENTERS = (
    Center(
        "ALFA", ct_pixel_mm=0.977, ct_slice_mm=3.0, ct_offset_hu=0.0, ct_gain=1.0, ct_cupping_hu=0.0,
        ct_fwhm_mm=1.4, ct_noise_hu=9.0, pet_pixel_mm=4.07, pet_slice_mm=3.0, pet_field_mm=620.0,
        pet_fwhm_mm=5.5, pet_noise=0.16, top_mm=284.0, bottom_mm=-100.0, contrast_probability=0.9,
    ),
    Center(
        "BETA", ct_pixel_mm=1.172, ct_slice_mm=3.27, ct_offset_hu=-4.0, ct_gain=0.995, ct_cupping_hu=7.0,
        ct_fwhm_mm=2.4, ct_noise_hu=14.0, ct_noise_fwhm_mm=3.0, ct_round_field=True, pet_pixel_mm=2.73,
        pet_slice_mm=3.27, pet_field_mm=500.0, pet_fwhm_mm=6.8, pet_noise=0.28, pet_noise_fwhm_mm=5.0,
        pet_gain=0.94, top_mm=292.0, bottom_mm=-180.0, pet_top_mm=-4.0, pet_bottom_mm=12.0,
        contrast_probability=0.2,
    ),
    Center(
        "GAMA", ct_pixel_mm=0.977, ct_slice_mm=2.5, ct_offset_hu=8.0, ct_gain=1.006, ct_cupping_hu=-5.0,
        ct_fwhm_mm=1.0, ct_sharpening=0.5, ct_noise_hu=15.0, ct_noise_fwhm_mm=1.2, pet_pixel_mm=5.3,
        pet_slice_mm=2.0, pet_field_mm=660.0, pet_fwhm_mm=7.8, pet_noise=0.20, pet_noise_fwhm_mm=7.0,
        pet_gain=1.07, top_mm=262.0, bottom_mm=-45.0, pet_top_mm=4.0, pet_bottom_mm=-5.0,
        contrast_probability=0.5,
    ),
    Center(
        "DELTA", ct_pixel_mm=1.367, ct_slice_mm=4.0, ct_offset_hu=3.0, ct_gain=1.003, ct_cupping_hu=6.0,
        ct_fwhm_mm=2.0, ct_noise_hu=20.0, ct_noise_fwhm_mm=2.4, pet_pixel_mm=4.0, pet_slice_mm=4.0,
        pet_field_mm=560.0, pet_fwhm_mm=6.2, pet_noise=0.38, pet_noise_fwhm_mm=5.0, top_mm=300.0,
        bottom_mm=-270.0, pet_top_mm=-6.0, pet_bottom_mm=-8.0, arms_up_probability=0.4,
        contrast_probability=0.1, misregistration_mm=1.2,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Grids:
    """The CT and PET grids of one case, and the physical center (x, y) of both fields."""

    ct: Grid
    pet: Grid
    axis_mm: tuple[float, float]


def sample_grids(
    center: Center, rng: np.random.Generator, *, z_range_mm: tuple[float, float], pixel_mm: float | None
) -> Grids:
    """Lay out the grids of a case.

    Args:
        center: Its native grids and field of view.
        rng: Source of offsets between the grids and of the field's position around the patient.
        z_range_mm (tuple of 2 float): Lower and upper end of the CT in the scanner.
        pixel_mm: Coarsens all grids as if a native CT pixel of 0.977 mm had this size; None keeps the native grids.
    """
    low, high = z_range_mm
    factor = 1.0 if pixel_mm is None else max(1.0, pixel_mm / 0.977)
    finest = 0.0 if pixel_mm is None else pixel_mm
    shift = rng.uniform(-6, 6, 2)
    axis = (float(shift[0]), float(8 + shift[1]))
    pixel, thick = center.ct_pixel_mm * factor, max(center.ct_slice_mm, 0.999 * finest)
    size = 2 * round(center.ct_matrix / factor / 2)
    ct = _centered(axis, low, high, (size, size), pixel, thick)
    pixel, thick = max(center.pet_pixel_mm, finest), max(center.pet_slice_mm, 0.999 * finest)
    size = 2 * round(center.pet_field_mm / pixel / 2)
    skew = rng.uniform(-0.5, 0.5, 3) * (pixel, pixel, thick)  # sub-voxel: the grids never share their voxel centers
    corner = (axis[0] + skew[0], axis[1] + skew[1])
    low, high = low - center.pet_bottom_mm + skew[2], high + center.pet_top_mm + skew[2]
    return Grids(ct, _centered(corner, low, high, (size, size), pixel, thick), axis)


def _centered(
    axis_mm: tuple[float, float], low: float, high: float, size: tuple[int, int], pixel_mm: float, slice_mm: float
) -> Grid:
    count = max(2, round((high - low) / slice_mm))
    origin = (axis_mm[0] - (size[0] - 1) / 2 * pixel_mm, axis_mm[1] - (size[1] - 1) / 2 * pixel_mm, low + slice_mm / 2)
    return Grid((*size, count), (pixel_mm, pixel_mm, slice_mm), origin)


def _sigma_vox(grid: Grid, fwhm_mm: float, slice_fwhm_mm: float | None = None) -> tuple[float, float, float]:
    along_z = fwhm_mm if slice_fwhm_mm is None else slice_fwhm_mm
    z, y, x = grid.spacing_zyx_mm
    return along_z / FWHM_PER_SIGMA / z, fwhm_mm / FWHM_PER_SIGMA / y, fwhm_mm / FWHM_PER_SIGMA / x


def _blur(image: F32, sigma_vox: tuple[float, float, float]) -> None:
    """Gaussian blur in place; axes with a sigma far below a voxel are skipped."""
    for axis, sigma in enumerate(sigma_vox):
        if sigma > 0.2:
            ndimage.gaussian_filter1d(image, sigma, axis=axis, output=image, mode="nearest", truncate=3.0)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma_vox: tuple[float, float, float]) -> F32:
    """Correlated noise of unit variance."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    _blur(noise, sigma_vox)
    sample = noise[:: max(1, noise.shape[0] // 16)]
    noise /= np.float32(max(float(sample.std()), 1e-6))
    return noise


def acquire_ct(truth: F32, grids: Grids, center: Center, rng: np.random.Generator, wide: F32) -> NDArray[np.int16]:
    """Simulate the CT image of a true HU map, which is overwritten.

    Args:
        truth (ndarray of float32, (z, y, x)): HU on ``grids.ct``.
        wide (ndarray of float32, (z,)): Amount of body in each slice, relative to the neck; noise increases with it.
    """
    x, y = _offsets_mm(grids.ct, grids.axis_mm)
    radius2_mm2 = x * x + y * y
    stored = np.empty(truth.shape, dtype=np.int16)
    # Everything a CT does here happens within a slice: a few slices at a time stay in the cache.
    for first in range(0, len(truth), CT_SLAB):
        chosen = slice(first, first + CT_SLAB)
        _acquire_slices(truth[chosen], grids.ct, center, rng, wide[chosen], radius2_mm2)
        stored[chosen] = truth[chosen]
    if center.ct_round_field:
        half = grids.ct.size[0] * grids.ct.spacing_mm[0] / 2
        stored[:, radius2_mm2 > half * half] = CT_FLOOR_HU
    return stored


def _acquire_slices(hu: F32, grid: Grid, center: Center, rng: np.random.Generator, wide: F32, radius2_mm2: F32) -> None:
    _blur(hu, _sigma_vox(grid, center.ct_fwhm_mm, 0.0))
    if center.ct_sharpening:
        soft = hu.copy()
        _blur(soft, _sigma_vox(grid, 2 * grid.spacing_mm[0], 0.0))
        soft -= hu
        soft *= np.float32(-center.ct_sharpening)
        hu += soft
    hu += np.float32(1000.0)
    hu *= np.float32(center.ct_gain)
    matter = np.clip(hu * np.float32(1e-3), 0, 1)  # beam hardening needs matter: air keeps its number
    cup = np.minimum(radius2_mm2 / np.float32(150.0**2), 2) - 1
    hu += matter * (np.float32(center.ct_cupping_hu) * cup + np.float32(center.ct_offset_hu))
    hu -= np.float32(1000.0)
    grain_mm = max(center.ct_noise_fwhm_mm, 0.8 * grid.spacing_mm[0])
    noise = _noise(rng, hu.shape, _sigma_vox(grid, grain_mm, 0.0))
    noise *= (np.float32(center.ct_noise_hu) * wide)[:, None, None]
    matter *= np.float32(0.65)  # less noise outside the body, where fewer rays cross
    matter += np.float32(0.35)
    noise *= matter
    hu += noise
    np.rint(hu, out=hu)
    np.clip(hu, CT_FLOOR_HU, CT_CEILING_HU, out=hu)


def _offsets_mm(grid: Grid, axis_mm: tuple[float, float]) -> tuple[F32, F32]:
    j, i = np.meshgrid(np.arange(grid.size[1]), np.arange(grid.size[0]), indexing="ij")
    middle = grid.to_physical(np.stack([i, j, np.zeros_like(i)], axis=-1))
    return (middle[..., 0] - axis_mm[0]).astype(np.float32), (middle[..., 1] - axis_mm[1]).astype(np.float32)


def acquire_pet(truth: F32, grid: Grid, center: Center, rng: np.random.Generator) -> F32:
    """Simulate the PET image (SUV) of a true uptake map, which is overwritten."""
    _blur(truth, _sigma_vox(grid, center.pet_fwhm_mm))
    noise = _noise(rng, grid.shape, _sigma_vox(grid, center.pet_noise_fwhm_mm))
    # Counts scatter with the square root of the local activity; the floor is scatter and randoms in air.
    noise *= np.sqrt(np.clip(truth, 0, None) + np.float32(0.002))
    edge = np.minimum(np.arange(grid.size[2]), np.arange(grid.size[2])[::-1]) * np.float32(grid.spacing_mm[2])
    noise *= (np.float32(center.pet_noise) * (1 + np.exp(-edge / np.float32(15.0))))[:, None, None]
    truth += noise
    truth *= np.float32(center.pet_gain)
    np.clip(truth, 0, None, out=truth)
    # Scanners store 16-bit integers with a slope.
    slope = np.float32(max(float(truth.max()), 1e-3) / 32767)
    np.rint(truth / slope, out=truth)
    truth *= slope
    return truth
