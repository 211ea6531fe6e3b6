"""A semi-real PET/CT cohort in HECKTOR layout: real CTs and structures, simulated FDG-PET and lesions.

    python benchmarks/semireal_cohort.py COHORT [--seed 0] [--jobs 2]

Real: 28 head-and-neck planning CTs (OpenKBP, seven groups of voxel sizes that stand for institutions) and the organs
and target volumes drawn on them. Simulated: the uptake of FDG in them, a primary tumor in PTV70 and up to four nodes
in PTV56 and PTV63 (where they are empty, in PTV70), and a PET scanner for each group, with a grid of its own. The CT
is not changed, so it does not show the simulated lesions: only uptake and position distinguish a lesion from a tonsil.

The data are in the folder named in SSIMH_REALDATA, or in ../shared/data.
"""

from __future__ import annotations

import argparse
import functools
import json
import operator
import os
import shutil
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scanner_effect_cohort import Subject, cohort
from scipy import ndimage
from semireal_anatomy import (
    BRAINSTEM,
    CORD,
    ESOPHAGUS,
    LARYNX,
    OUTSIDE_HU,
    PAROTID_LEFT,
    PAROTID_RIGHT,
    STEP_MM,
    Anatomy,
    Volume,
    scanned_slices,
)
from semireal_lesions import GTVN, GTVN_RANGE_ML, GTVP, GTVP_RANGE_ML, Lesion, paint, sample_lesions

from hnseg.errors import CohortError, HnsegError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_grid, write_image
from hnseg.images.resample import resample
from hnseg.locks import hold
from hnseg.parallel import map_processes
from hnseg.phantom import Center
from hnseg.phantom.scanners import FWHM_PER_SIGMA, acquire_pet
from hnseg.phantom.subject import Uptake, sample_subject
from hnseg.workdir import write_json

VERSION = 1  # to be raised whenever the same seed gives other voxels
RECORD = "semireal.json"
STORED_MAX_HU = 3071  # 12-bit CT; fillings reach 28,000 in these files
PET_GRID_MM = 4.0

# One PET scanner per group: resolution, noise at SUV 1 and its grain, calibration, shift from CT to PET.
SCANNERS = {
    "A": Center("A", pet_fwhm_mm=5.2, pet_noise=0.16, pet_noise_fwhm_mm=5.0, misregistration_mm=0.6),
    "B": Center("B", pet_fwhm_mm=6.8, pet_noise=0.28, pet_noise_fwhm_mm=5.5, pet_gain=0.94, misregistration_mm=0.8),
    "C": Center("C", pet_fwhm_mm=7.6, pet_noise=0.20, pet_noise_fwhm_mm=7.0, pet_gain=1.06, misregistration_mm=0.8),
    "D": Center("D", pet_fwhm_mm=6.2, pet_noise=0.38, pet_noise_fwhm_mm=5.0, misregistration_mm=1.2),
    "E": Center("E", pet_fwhm_mm=5.8, pet_noise=0.24, pet_noise_fwhm_mm=6.0, pet_gain=0.97, misregistration_mm=0.8),
    "F": Center("F", pet_fwhm_mm=7.0, pet_noise=0.32, pet_noise_fwhm_mm=6.0, pet_gain=1.03, misregistration_mm=1.0),
    "G": Center("G", pet_fwhm_mm=6.5, pet_noise=0.22, pet_noise_fwhm_mm=5.5, misregistration_mm=0.6),
}


def uptake_map(anatomy: Anatomy, uptake: Uptake, lesions: Sequence[Lesion], rng: np.random.Generator) -> Volume:
    """True SUV on the fine grid.

    The levels of a person are drawn by :mod:`hnseg.phantom.subject`. They are true values, which blur and thinness
    lower to what is published as measured: means of 3.5 in the palatine and 3.1 in the lingual tonsils, 3.1 soft
    palate, 2.9 sublingual, 2.1 submandibular and 1.9 parotid glands, 2.1 cord, 1.8 vocal cords (Nakamoto 2005,
    doi:10.1148/radiol.2343030301), 8.0 ± 2.2 cerebellum (Wang 2007, doi:10.1007/s11307-006-0075-y).
    """
    texture = _texture(rng, anatomy.hu.shape, 6.0)
    hu = anatomy.smooth_hu
    suv = np.full(hu.shape, 0.02, np.float32)
    body = anatomy.body
    suv[body & (hu > -400)] = 0.3  # fat and skin
    soft = body & (hu > -30)
    suv[soft] = (0.8 * uptake.muscle + 0.2 * uptake.blood) * (1 + 0.15 * texture[soft])
    bone = body & (hu > 200)
    suv[bone] = np.where(hu[bone] > 700, 0.5, 0.8 * uptake.marrow)
    lining = ndimage.binary_dilation(anatomy.airway, iterations=2) & soft & ~bone
    suv[lining] = 1.6
    for number, value in (
        (CORD, 1.15 * uptake.blood), (PAROTID_RIGHT, uptake.parotid), (PAROTID_LEFT, uptake.parotid),
        (ESOPHAGUS, uptake.esophagus), (LARYNX, uptake.larynx),
    ):  # fmt: skip
        where = anatomy.drawn(number) & (hu > -100)
        suv[where] = value * (1 + 0.12 * texture[where])
    for name, where in anatomy.parts.items():
        value = getattr(uptake, name, None) or uptake.submandibular
        suv[where] = value * (1 + 0.12 * texture[where])
    _paint_brain(suv, anatomy, uptake, texture)
    _paint_reactive(suv, anatomy, lesions, rng)
    patches = _texture(rng, anatomy.hu.shape, 5.0)
    for lesion in lesions:
        paint(suv, lesion, patches, rng)
    return suv


def _paint_brain(suv: Volume, anatomy: Anatomy, uptake: Uptake, texture: Volume) -> None:
    """Cortex of 8 mm with its sulci, white matter with the deep nuclei, cerebellum, brainstem."""
    brain = anatomy.brain
    depth = ndimage.distance_transform_edt(np.pad(brain, ((0, 1), (0, 0), (0, 0)), "edge"), sampling=STEP_MM)[:-1]
    gray = (depth < 8) | (texture > 1.2)
    suv[brain] = np.where(gray[brain], uptake.gray_matter, uptake.white_matter) * (1 + 0.1 * texture[brain])
    stem = anatomy.drawn(BRAINSTEM)
    slices = np.flatnonzero(stem.any(axis=(1, 2)))
    behind = np.zeros_like(brain)
    back = int(anatomy.axis[slices].mean(axis=0)[0] + 10 / STEP_MM)
    behind[slices[0] : slices[0] + round(45 / STEP_MM), back:] = True
    behind &= brain
    suv[behind] = uptake.cerebellum * (1 + 0.1 * texture[behind])
    suv[stem] = 0.55 * uptake.gray_matter


def _paint_reactive(suv: Volume, anatomy: Anatomy, lesions: Sequence[Lesion], rng: np.random.Generator) -> None:
    """Up to three reactive nodes beside the pharynx and below: small, warm, and not lesions."""
    taken = np.any([lesion.mask for lesion in lesions], axis=0)
    for _ in range(int(rng.integers(0, 4))):
        z = anatomy.foramen - round(rng.uniform(30, 80) / STEP_MM)
        if z < 2:
            continue
        y, x = anatomy.axis[z] + (-rng.uniform(15, 30) / STEP_MM, rng.choice([-1, 1]) * rng.uniform(26, 36) / STEP_MM)
        grid = np.ogrid[tuple(slice(0, n) for n in suv.shape)]
        half = np.array([rng.uniform(5, 9), rng.uniform(3, 5), rng.uniform(3, 5)]) / STEP_MM
        ball = sum(((axis - c) / h) ** 2 for axis, c, h in zip(grid, (z, y, x), half, strict=True)) <= 1
        suv[ball & anatomy.body & (anatomy.smooth_hu > -90) & (anatomy.smooth_hu < 160) & ~taken] = rng.uniform(2, 4)


def _texture(rng: np.random.Generator, shape: tuple[int, ...], grain_mm: float) -> Volume:
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), grain_mm / FWHM_PER_SIGMA / STEP_MM)
    return noise / noise.std()


def scan_pet(truth: Volume, grid: Grid, scanner: Center, rng: np.random.Generator) -> tuple[Volume, Grid]:
    """PET (SUV) of a map of true uptake, on a grid of 4 mm at a random position."""
    low, high = grid.bounds_mm()
    low = low - 20 + rng.uniform(0, PET_GRID_MM, 3) * (1, 1, 0)
    low[2] = grid.bounds_mm()[0][2] + rng.uniform(-3, 3)
    high = high + np.array([20, 20, rng.uniform(-3, 3)])
    size = np.ceil((high - low) / PET_GRID_MM).astype(int)
    x, y, z = (int(n) for n in size)
    origin = low + PET_GRID_MM / 2
    pet = Grid((x, y, z), (PET_GRID_MM,) * 3, (float(origin[0]), float(origin[1]), float(origin[2])))
    moved = tuple(float(v) for v in np.asarray(pet.origin_mm) + rng.normal(0, scanner.misregistration_mm, 3))
    # A detector averages over its voxel: blur by a voxel's width before sampling, the rest of the resolution after.
    averaged = ndimage.gaussian_filter(truth, PET_GRID_MM / FWHM_PER_SIGMA / STEP_MM)
    sampled = resample(averaged, grid, replace(pet, origin_mm=moved), outside=0.01)
    rest = replace(scanner, pet_fwhm_mm=float(np.sqrt(scanner.pet_fwhm_mm**2 - PET_GRID_MM**2)))
    return acquire_pet(sampled, pet, rest, rng), pet


def build_case(subject: Subject, folder: Path, seed: int) -> None:
    """Write a case; its folder is complete or absent."""
    rng = np.random.default_rng([seed, zlib.crc32(subject.name.encode())])
    assert subject.path is not None
    grid = read_grid(subject.path, subject.name)
    hu, structures = subject.load(), subject.labels()
    assert structures is not None
    hu = np.where(hu <= -1000, OUTSIDE_HU, np.clip(np.rint(hu), OUTSIDE_HU, STORED_MAX_HU)).astype(np.int16)
    kept = scanned_slices(hu, grid)
    first = grid.to_physical([0, 0, kept.start])
    ct_grid = replace(grid, size=(*grid.size[:2], kept.stop - kept.start), origin_mm=tuple(first.tolist()))
    hu, structures = hu[kept], structures[kept]
    anatomy = Anatomy.of(hu, structures, ct_grid)
    lesions = sample_lesions(anatomy, rng)
    truth = uptake_map(anatomy, sample_subject(rng).uptake, lesions, rng)
    pet, pet_grid = scan_pet(truth, anatomy.grid, SCANNERS[subject.group], rng)
    label, records = _draw(lesions, anatomy.grid, ct_grid)
    scratch = folder.parent / f".partial-{subject.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    write_image(scratch / f"{subject.name}__CT.nii.gz", hu, ct_grid)
    write_image(scratch / f"{subject.name}__PT.nii.gz", pet, pet_grid)
    write_image(scratch / f"{subject.name}.nii.gz", label, ct_grid)
    write_json(scratch / "lesions.json", {"lesions": records})
    os.replace(scratch, folder)


def _draw(lesions: Sequence[Lesion], fine: Grid, ct_grid: Grid) -> tuple[NDArray[np.uint8], list[dict[str, object]]]:
    """The label on the CT's grid: voxels of which at least half lie in a lesion; and each lesion's own numbers."""
    label = np.zeros(ct_grid.shape, np.uint8)
    records: list[dict[str, object]] = []
    for lesion in lesions:
        share = ndimage.gaussian_filter(lesion.mask.astype(np.float32), 0.5)
        inside = resample(share, fine, ct_grid, outside=0.0) >= 0.5
        label[inside & (label == 0)] = lesion.label
        drawn_ml = round(float(inside.sum()) * ct_grid.voxel_ml, 2)
        facts = {"label": lesion.label, "ml": round(lesion.volume_ml, 2), "drawn_ml": drawn_ml}
        records.append({**facts, "true_suv": round(lesion.suv, 2), "necrotic": lesion.necrotic})
    return label, records


def build_cohort(root: Path, *, seed: int = 0, jobs: int = 1, only: Sequence[str] = ()) -> list[Path]:
    """Write the cohort below ``root / "Task 1"``; existing cases are kept.

    Args:
        root: Folder of the cohort.
        seed: Of uptake, lesions and noise.
        jobs: Number of processes.
        only: Names of subjects; empty for all.

    Raises:
        CohortError: The real CTs are not available, or ``root`` holds another cohort.
    """
    subjects, kind = cohort()
    if kind != "real":
        raise CohortError(
            "the real CTs (openkbp_ct, 28 scans with structures) are not here: set SSIMH_REALDATA to the folder that "
            "holds openkbp_ct, or use the generated cohort (hnseg phantom)"
        )
    parameters = {"version": VERSION, "seed": seed, "scanners": {k: asdict(v) for k, v in SCANNERS.items()}}
    record = root / RECORD
    if record.is_file() and json.loads(record.read_text(encoding="utf-8")) != json.loads(json.dumps(parameters)):
        raise CohortError(f"{root} holds a semi-real cohort of another seed or version; choose another folder")
    if not record.is_file() and root.is_dir() and any(root.iterdir()):
        raise CohortError(f"{root} is not empty and holds no semi-real cohort; choose another folder")
    write_json(record, parameters)
    with hold(root, "semireal-cohort", "semireal_cohort.py"):
        return _build_missing(root, subjects, seed, jobs, only)


def _build_missing(root: Path, subjects: Sequence[Subject], seed: int, jobs: int, only: Sequence[str]) -> list[Path]:
    chosen = [subject for subject in subjects if not only or subject.name in only]
    folders = [root / "Task 1" / subject.name for subject in chosen]
    todo = [(s, f) for s, f in zip(chosen, folders, strict=True) if not f.is_dir()]
    tasks = [functools.partial(build_case, subject, folder, seed) for subject, folder in todo]
    list(map_processes(operator.call, tasks, jobs))
    return folders


def main() -> None:
    """Build the cohort and print its contents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    try:
        folders = build_cohort(args.root, seed=args.seed, jobs=args.jobs)
    except HnsegError as error:
        sys.exit(f"semireal_cohort: {error}")
    lesions = [x for f in folders for x in json.loads((f / "lesions.json").read_text(encoding="utf-8"))["lesions"]]
    for label, name, limits in ((GTVP, "GTVp", GTVP_RANGE_ML), (GTVN, "GTVn", GTVN_RANGE_ML)):
        ml = [x["drawn_ml"] for x in lesions if x["label"] == label]
        suv = [x["true_suv"] for x in lesions if x["label"] == label]
        print(
            f"{name}: {len(ml)} lesions of {min(ml):.1f} to {max(ml):.1f} ml (median {np.median(ml):.1f}; planned "
            f"{limits[0]:g} to {limits[1]:g}), true SUV {min(suv):.1f} to {max(suv):.1f}"
        )
    print(f"{len(folders)} cases in {args.root / 'Task 1'}")


if __name__ == "__main__":
    main()
