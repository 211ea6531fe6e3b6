"""Where the resolution of PET is measured: on the crop of ``hnseg``, or in native voxels; against a known truth.

    python benchmarks/pet_resolution_crop.py

Generated patients on two scanners. The truth is the Gaussian that brings noiseless crops of the same people from one
to the other closest together. Prints variances in plane and axial, mm².
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

import ssimh
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from hnseg.phantom import DEFAULT_CENTERS, Case, Center, generate_case
from hnseg.preprocessing.crop.find_box import find_crop
from hnseg.preprocessing.pet_resolution import fit_pet
from ssimh.site.resolution_filter import ResolutionFilter, filter_volume

SHARP = replace(DEFAULT_CENTERS[0], misregistration_mm=0.0)
OTHERS = {
    "7.8 mm, the same voxels": replace(SHARP, pet_fwhm_mm=7.8),
    "7.8 mm, pixels of 5.3 mm, more noise": replace(
        SHARP, pet_fwhm_mm=7.8, pet_pixel_mm=5.3, pet_slice_mm=2.0, pet_noise=0.2, pet_noise_fwhm_mm=7.0
    ),
}
SPACING_MM, BOX_VOX = 2.0, (100, 100, 155)
BORDER_VOX = 10  # where the truth is not looked for


def generate(center: Center, numbers: Iterable[int], *, noise: bool = True) -> list[Case]:
    """People by their number: the same ones on every scanner, since these have one name."""
    scanner = center if noise else replace(center, pet_noise=0.0)
    return [generate_case(scanner, number, seed=2, pixel_mm=4.0) for number in numbers]


def crop_grid(case: Case) -> Grid:
    """Where the crop of a case lies."""
    return find_crop(
        case.ct, case.ct_grid, case.pet, case.pet_grid, box_vox=BOX_VOX, spacing_mm=SPACING_MM, method="head"
    ).grid


def crop_pet(case: Case, grid: Grid) -> NDArray[np.float32]:
    """The PET of a case on a grid, as ``hnseg prepare`` brings it there."""
    return np.maximum(resample(case.pet, case.pet_grid, grid, outside=0.0, interpolation="linear"), 0)


def fit_on_crop(case: Case) -> ssimh.SiteSpectrum:
    """The row of a case from its crop."""
    grid = crop_grid(case)
    return fit_pet(crop_pet(case, grid), grid.spacing_zyx_mm)


def fit_native(case: Case) -> ssimh.SiteSpectrum:
    """The row of a case from its own voxels."""
    return ssimh.SiteSpectrum.fit([case.pet], spacing_mm=case.pet_grid.spacing_zyx_mm, modality="PT", orientation="SPL")


def measure(fit: Callable[[Case], ssimh.SiteSpectrum], here: list[Case], there: list[Case]) -> NDArray[np.float64]:
    """By how much more the second scanner blurs, as the sites tell."""
    sites = [reduce(add, map(fit, cases)) for cases in (here, there)]
    found = ssimh.site_difference(*sites).resolution
    assert found is not None
    return -np.array(found.raw_mm2)


def find_truth(sharp: Case, coarse: Case) -> NDArray[np.float64]:
    """Variances of the Gaussian that brings one crop closest to the other."""
    grid = crop_grid(sharp)
    first, second = crop_pet(sharp, grid), crop_pet(coarse, grid)
    inside = (slice(BORDER_VOX, -BORDER_VOX),) * 3

    def distance(variances: NDArray[np.float64]) -> float:
        in_plane, axial = (max(float(value), 0.0) for value in variances)
        blurred = filter_volume(first, ResolutionFilter((in_plane, axial), grid.spacing_zyx_mm))
        return float(np.mean((blurred - second)[inside] ** 2))

    options = {"xatol": 0.05, "fatol": 1e-7, "maxiter": 40}
    return np.asarray(minimize(distance, [5.0, 5.0], method="Nelder-Mead", options=options).x)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=6, help="on each scanner")
    people = parser.parse_args().people
    here = generate(SHARP, range(1, people + 1))
    for name, center in OTHERS.items():
        there = generate(center, range(people + 1, 2 * people + 1))
        pairs = zip(*(generate(each, range(1, 4), noise=False) for each in (SHARP, center)), strict=True)
        truth = np.mean([find_truth(*pair) for pair in pairs], axis=0)
        found = {"truth": truth, "crop": measure(fit_on_crop, here, there), "native": measure(fit_native, here, there)}
        print(f"{name}: " + ", ".join(f"{how} {a:.1f} / {b:.1f}" for how, (a, b) in found.items()))


if __name__ == "__main__":
    main()
