"""Patients of ``site_downstream.py``: each is seen by two PET scanners, so that a patient is its own control.

Semi-real: 28 real head-and-neck CTs with simulated uptake and lesions. Generated: patients of ``hnseg.phantom``. Both
are cut to one box of the neck, with a margin in which filters run out.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scanner_effect_cohort import Subject, cohort
from scipy import ndimage
from semireal_anatomy import OUTSIDE_HU, STEP_MM, Anatomy, scanned_slices
from semireal_cohort import STORED_MAX_HU
from site_resolution_scans import SPACING_MM, Camera, Scanner, add_noise, truths

from hnseg.images.image_io import read_grid
from hnseg.images.resample import resample
from hnseg.phantom import Center
from hnseg.phantom.case import generate_case
from ssimh import SiteSpectrum
from ssimh.files.atomic import atomic_write
from ssimh.site.subjects import PET_SUBJECT

ScannerName = Literal["finer", "coarser"]
CohortName = Literal["semi-real", "generated"]
SCANNERS: tuple[ScannerName, ...] = ("finer", "coarser")
COHORTS: tuple[CohortName, ...] = ("semi-real", "generated")

# The ends of the range of site_resolution.py; the coarser has less noise, and grain that fits its blur.
FWHM_MM: dict[ScannerName, float] = {"finer": 5.0, "coarser": 8.0}
NOISE: dict[ScannerName, tuple[float, float]] = {"finer": (0.30, 5.0), "coarser": (0.20, 7.0)}  # at SUV 1; FWHM, mm
UNSEEN_GAIN: dict[ScannerName, float] = {"finer": 1.15, "coarser": 0.87}  # calibration where nobody trains
GENERATED, GENERATED_SEED = 24, 11
CROP = (48, 40, 48)  # voxels of 4 mm, (z, y, x)
MARGIN = 8


@dataclass(frozen=True, eq=False)
class Patient:
    """One patient.

    Attributes:
        name: Of the patient.
        ct_hu: (z, y, x) float32 on the crop.
        lesion: (z, y, x) bool on the crop, GTVp and GTVn together.
        finer_suv, coarser_suv: PET of the two scanners with a margin around the crop, calibrated alike.
        finer_row, coarser_row: What a site keeps of the whole PET, which no calibration changes.
    """

    name: str
    ct_hu: np.ndarray
    lesion: np.ndarray
    finer_suv: np.ndarray
    coarser_suv: np.ndarray
    finer_row: np.ndarray
    coarser_row: np.ndarray

    def pet_suv(self, scanner: ScannerName, *, unseen: bool) -> np.ndarray:
        """PET with its margin, calibrated as in training or as the unseen center calibrates."""
        suv: np.ndarray = getattr(self, f"{scanner}_suv")
        return suv * np.float32(UNSEEN_GAIN[scanner]) if unseen else suv


def site(patients: Sequence[Patient], scanner: ScannerName) -> SiteSpectrum:
    """The site that these patients' scans make, without their labels."""
    rows = [getattr(patient, f"{scanner}_row") for patient in patients]
    return SiteSpectrum(np.ascontiguousarray(np.concatenate(rows), dtype=PET_SUBJECT), modality="PT")


def inner(box: np.ndarray) -> np.ndarray:
    """The crop of a box that has a margin."""
    return box[(slice(MARGIN, -MARGIN),) * 3]


def patients(name: CohortName, work: Path) -> list[Patient]:
    """All patients of a cohort; kept in ``work``.

    Raises:
        CohortError: the real CTs are not available.
    """
    found = []
    if name == "generated":
        for index in range(1, GENERATED + 1):
            path = work / f"generated-{index:03d}.npz"
            if not path.is_file():
                _keep(_generated(index), path)
            found.append(_load(path))
        return found
    names = [subject.name for subject in cohort()[0]]
    if not all((work / f"semi-real-{name}.npz").is_file() for name in names):
        subjects = {subject.name: subject for subject in cohort()[0]}
        for truth in truths(work):
            path = work / f"semi-real-{truth.name}.npz"
            if not path.is_file():
                camera = Camera(truth, work)
                images = {name: camera.image(Scanner(mm, mm)) for name, mm in FWHM_MM.items()}
                _keep(_semireal(subjects[truth.name], truth.lesions > 0, images), path)
    return [_load(work / f"semi-real-{name}.npz") for name in names]


def _semireal(subject: Subject, lesions: np.ndarray, images: dict[ScannerName, np.ndarray]) -> Patient:
    """A real CT with the images of its simulated uptake, which begin 20 mm outside it in plane."""
    assert subject.path is not None
    grid = read_grid(subject.path, subject.name)
    hu, structures = subject.load(), subject.labels()
    assert structures is not None
    hu = np.where(hu <= -1000, OUTSIDE_HU, np.clip(np.rint(hu), OUTSIDE_HU, STORED_MAX_HU)).astype(np.int16)
    kept = scanned_slices(hu, grid)
    first = grid.to_physical([0, 0, kept.start])
    grid = replace(grid, size=(*grid.size[:2], kept.stop - kept.start), origin_mm=tuple(first.tolist()))
    anatomy = Anatomy.of(hu[kept], structures[kept], grid)
    z = max(anatomy.foramen - round(45 / STEP_MM), 0)
    y, x = anatomy.axis[z] - (25 / STEP_MM, 0)
    low = [round(z / 2), round((y + 10) / 2), round((x + 10) / 2)]

    def cut(fine: np.ndarray, outside: float) -> np.ndarray:
        coarse = np.pad(fine, ((0, 0), (10, 10), (10, 10)), constant_values=outside)[::2, ::2, ::2]
        return box_around(coarse, low, outside)

    ct = inner(cut(ndimage.gaussian_filter(anatomy.hu, 1.0), OUTSIDE_HU)).astype(np.float32)
    scans = {}
    for name in SCANNERS:
        rng = np.random.default_rng([2, zlib.crc32(subject.name.encode()), SCANNERS.index(name)])
        scans[name] = add_noise(images[name], *NOISE[name], rng)
    pets = {name: box_around(scan, low, 0.0) for name, scan in scans.items()}
    return _patient(subject.name, ct, inner(cut(lesions, 0.0)) > 0, pets, scans)


def box_around(values: np.ndarray, middle: Sequence[int], outside: float) -> np.ndarray:
    """The box of the crop with its margin around a voxel; what lies beyond the image is ``outside``."""
    size = [n + 2 * MARGIN for n in CROP]
    padded = np.pad(values, [(n, n) for n in size], constant_values=outside)
    starts = [m + n - n // 2 for m, n in zip(middle, size, strict=True)]
    return padded[tuple(slice(start, start + n) for start, n in zip(starts, size, strict=True))]


def _generated(index: int) -> Patient:
    """One person at two scanners; the center's name and the index decide the person."""
    pets, scans = {}, {}
    for name in SCANNERS:
        level, grain_mm = NOISE[name]
        center = Center("ALFA", pet_fwhm_mm=FWHM_MM[name], pet_noise=level, pet_noise_fwhm_mm=grain_mm)
        case = generate_case(center, index, seed=GENERATED_SEED, pixel_mm=4.0)
        middle = case.pet_grid.to_index(case.landmark_mm("mandible") + np.array([0.0, 30.0, -15.0]))
        low = [int(n) - size // 2 - MARGIN for n, size in zip(np.rint(middle), CROP[::-1], strict=True)]
        x, y, z = (float(mm) for mm in case.pet_grid.to_physical(low))
        size_z, size_y, size_x = (n + 2 * MARGIN for n in CROP)
        grid = replace(case.pet_grid, size=(size_x, size_y, size_z), origin_mm=(x, y, z))
        pets[name], scans[name] = resample(case.pet, case.pet_grid, grid, outside=0.0), case.pet
    ct = inner(resample(case.ct, case.ct_grid, grid, outside=-1024.0))
    lesion = inner(resample((case.label > 0).astype(np.float32), case.ct_grid, grid, outside=0.0)) >= 0.5
    return _patient(f"generated-{index:03d}", ct, lesion, pets, scans)


def _patient(
    name: str,
    ct_hu: np.ndarray,
    lesion: np.ndarray,
    pets: dict[ScannerName, np.ndarray],
    scans: dict[ScannerName, np.ndarray],
) -> Patient:
    values = {f"{scanner}_suv": pet.astype(np.float32) for scanner, pet in pets.items()}
    for scanner, scan in scans.items():
        one = SiteSpectrum.fit([scan], spacing_mm=SPACING_MM, modality="PT")
        values[f"{scanner}_row"] = np.asarray(one.subjects)
    return Patient(name, ct_hu, lesion, **values)


def _keep(patient: Patient, path: Path) -> None:
    with atomic_write(path) as scratch, scratch.open("wb") as file:
        np.savez(file, **{field.name: getattr(patient, field.name) for field in fields(patient)})


def _load(path: Path) -> Patient:
    held = np.load(path)
    return Patient(str(held["name"]), **{field.name: held[field.name] for field in fields(Patient)[1:]})
