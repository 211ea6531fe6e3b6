"""Scans of known resolution for ``site_resolution.py``: simulated PET of real anatomy, generated patients, real PET.

A scanner here multiplies the spectrum of the true uptake by a transfer function of its own in plane and axial,
samples it every 4 mm, and adds noise that grows with the square root of the activity, has grain, and doubles towards
both ends of the scan.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scanner_effect_cohort import cohort
from scipy import fft, ndimage
from semireal_anatomy import OUTSIDE_HU, STEP_MM, Anatomy, scanned_slices
from semireal_cohort import STORED_MAX_HU, uptake_map
from semireal_lesions import sample_lesions

from hnseg.errors import CohortError
from hnseg.images.image_io import read_grid
from hnseg.phantom import Center
from hnseg.phantom.case import generate_case
from hnseg.phantom.scanners import FWHM_PER_SIGMA
from hnseg.phantom.subject import sample_subject

SPACING_MM = (4.0, 4.0, 4.0)
PAD_MM = 24.0


@dataclass(frozen=True)
class Scanner:
    """Transfer function exp(-u) (1 + ringing · u), u = 2π² σ² k², in plane and axial.

    Attributes:
        in_plane_mm, axial_mm: width that σ belongs to, FWHM.
        ringing: 0: Gaussian; 0.6: edges overshoot, as with a modeled point-spread function.
    """

    in_plane_mm: float
    axial_mm: float
    ringing: float = 0.0

    @property
    def name(self) -> str:
        """For file names."""
        return f"{self.in_plane_mm:g}-{self.axial_mm:g}-{self.ringing:g}"

    @property
    def fwhm_mm(self) -> tuple[float, float]:
        """Full width at half maximum of the point-spread function in plane and axial."""
        return self.in_plane_mm * _narrowing(self.ringing), self.axial_mm * _narrowing(self.ringing)


@lru_cache(maxsize=8)
def _narrowing(ringing: float) -> float:
    """Width of exp(-u) (1 + ringing · u) over that of exp(-u)."""
    if ringing == 0:
        return 1.0
    k = np.linspace(0, 1.5, 6001)
    u = 2 * np.pi**2 * k**2
    x = np.linspace(0, 3, 3001)
    spread = np.exp(-u) * (1 + ringing * u) @ np.cos(2 * np.pi * np.outer(k, x))
    return float(2 * x[np.argmax(spread < spread[0] / 2)] / FWHM_PER_SIGMA)


ISOTROPIC = tuple(Scanner(mm, mm) for mm in (5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0))
ANISOTROPIC = (Scanner(5.0, 7.0), Scanner(7.0, 5.0), Scanner(6.0, 8.0), Scanner(8.0, 6.0))
RINGING = (Scanner(6.5, 6.5, 0.6), Scanner(8.0, 8.0, 0.6))
NOISES = ((0.2, 5.5), (0.35, 6.0))  # standard deviation at SUV 1, and grain, FWHM in mm


@dataclass(frozen=True, eq=False)
class Truth:
    """True uptake on the fine grid.

    Attributes:
        name: of the patient.
        suv: (z, y, x) true uptake.
        lesions: (z, y, x) number of the lesion, 0 elsewhere.
        volumes_ml: of the lesions.
    """

    name: str
    suv: np.ndarray
    lesions: np.ndarray
    volumes_ml: np.ndarray


def truths(work: Path) -> Iterator[Truth]:
    """The patients of the semi-real cohort; kept in ``work``.

    Raises:
        CohortError: the real CTs are not available.
    """
    subjects, kind = cohort()
    if kind != "real":
        raise CohortError("the real CTs (openkbp_ct) are not here: set SSIMH_REALDATA to the folder that holds them")
    for subject in subjects:
        kept_path = work / f"truth_{subject.name}.npz"
        if not kept_path.is_file():
            rng = np.random.default_rng([0, zlib.crc32(subject.name.encode())])
            grid = read_grid(subject.path, subject.name)
            hu, structures = subject.load(), subject.labels()
            hu = np.where(hu <= -1000, OUTSIDE_HU, np.clip(np.rint(hu), OUTSIDE_HU, STORED_MAX_HU)).astype(np.int16)
            kept = scanned_slices(hu, grid)
            first = grid.to_physical([0, 0, kept.start])
            grid = replace(grid, size=(*grid.size[:2], kept.stop - kept.start), origin_mm=tuple(first.tolist()))
            anatomy = Anatomy.of(hu[kept], structures[kept], grid)
            lesions = sample_lesions(anatomy, rng)
            suv = uptake_map(anatomy, sample_subject(rng).uptake, lesions, rng)
            numbers = np.zeros(suv.shape, np.uint8)
            for number, lesion in enumerate(lesions, start=1):
                numbers[lesion.mask & (numbers == 0)] = number
            volumes = np.array([lesion.volume_ml for lesion in lesions])
            np.savez_compressed(kept_path, suv=suv.astype(np.float16), lesions=numbers, volumes_ml=volumes)
        held = np.load(kept_path)
        yield Truth(subject.name, held["suv"].astype(np.float32), held["lesions"], held["volumes_ml"])


class Camera:
    """Images of one patient on any scanner.

    Args:
        truth: the patient; 20 mm of air are added in plane, and both ends are continued.
        work: folder that keeps the images.
    """

    def __init__(self, truth: Truth, work: Path) -> None:
        self._truth, self._work = truth, work

    def image(self, scanner: Scanner) -> np.ndarray:
        """(z, y, x) SUV without noise, every 4 mm."""
        path = self._work / f"image_{self._truth.name}_{scanner.name}.npy"
        if not path.is_file():
            np.save(path, self._simulate(scanner))
        return np.asarray(np.load(path))

    @cached_property
    def _waves(self) -> np.ndarray:
        """Spectrum of the padded uptake."""
        return np.asarray(fft.rfftn(self._padded, self._shape).astype(np.complex64))

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return tuple(fft.next_fast_len(size, real=True) for size in self._padded.shape)

    @cached_property
    def _padded(self) -> np.ndarray:
        pad = int(PAD_MM / STEP_MM)
        padded = np.pad(self._truth.suv, ((0, 0), (10, 10), (10, 10)), constant_values=0.02)
        return np.pad(padded, ((pad, pad), (0, 0), (0, 0)), mode="edge")

    def _simulate(self, scanner: Scanner) -> np.ndarray:
        z, y = (fft.fftfreq(size, STEP_MM) for size in self._shape[:2])
        x = fft.rfftfreq(self._shape[2], STEP_MM)
        axial2 = (z**2)[:, None, None].astype(np.float32)
        in_plane2 = ((y**2)[:, None] + x**2)[None].astype(np.float32)
        waves = self._waves * _transfer(axial2, scanner.axial_mm, scanner.ringing)
        waves *= _transfer(in_plane2, scanner.in_plane_mm, scanner.ringing)
        whole = fft.irfftn(waves, self._shape)[tuple(slice(size) for size in self._padded.shape)]
        pad = int(PAD_MM / STEP_MM)
        return np.maximum(whole[pad:-pad][::2, ::2, ::2], 0).astype(np.float32)


def _transfer(k2: np.ndarray, fwhm_mm: float, ringing: float) -> np.ndarray:
    u = 2 * np.pi**2 * (fwhm_mm / FWHM_PER_SIGMA) ** 2 * k2
    return np.exp(-u) * (1 + ringing * u)


def add_noise(image: np.ndarray, level: float, grain_mm: float, rng: np.random.Generator) -> np.ndarray:
    """The image with noise, cut at 0."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, grain_mm / FWHM_PER_SIGMA / SPACING_MM[0])
    noise *= np.sqrt(image + 0.002) / noise.std()
    edge_mm = np.minimum(np.arange(len(image)), np.arange(len(image))[::-1]) * SPACING_MM[0]
    noise *= (level * (1 + np.exp(-edge_mm / 15)))[:, None, None].astype(np.float32)
    return np.maximum(image + noise, 0)


def real_pet() -> Iterator[tuple[str, np.ndarray, tuple[float, float, float]]]:
    """Name, SUV (z, y, x) and voxel size along (z, y, x) of the real sarcoma PETs, where they are available."""
    stated = os.environ.get("SSIMH_REALDATA")
    folder = Path(stated) if stated else Path(__file__).parents[2] / "shared" / "data"
    for path in sorted((folder / "sts_petct").glob("*/*/*__PT.nii.gz")):
        image = sitk.ReadImage(str(path))
        x, y, z = image.GetSpacing()
        yield path.parent.name, sitk.GetArrayFromImage(image).astype(np.float32), (z, y, x)


def blur(
    values: np.ndarray, spacing_mm: tuple[float, float, float], in_plane_mm2: float, axial_mm2: float
) -> np.ndarray:
    """The image after a Gaussian of these variances, both ends of each axis continued."""
    padded = np.pad(values, 8, mode="edge")
    waves = np.fft.rfftn(padded)
    z, y = (np.fft.fftfreq(size, step) for size, step in zip(padded.shape[:2], spacing_mm[:2], strict=True))
    x = np.fft.rfftfreq(padded.shape[2], spacing_mm[2])
    exponent = axial_mm2 * (z**2)[:, None, None] + in_plane_mm2 * ((y**2)[:, None] + x**2)[None]
    blurred = np.fft.irfftn(waves * np.exp(-2 * np.pi**2 * exponent), padded.shape)
    return np.asarray(blurred[8:-8, 8:-8, 8:-8])


def generated_pet(fwhm_mm: float, index: int) -> tuple[np.ndarray, tuple[float, float, float]]:
    """PET of a generated patient, and its voxel size along (z, y, x)."""
    center = Center("ALFA", pet_fwhm_mm=fwhm_mm, pet_noise=0.2, pet_noise_fwhm_mm=5.5)
    case = generate_case(center, index, seed=7, pixel_mm=4.0)
    x, y, z = case.pet_grid.spacing_mm
    return case.pet, (z, y, x)
