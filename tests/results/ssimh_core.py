"""What the functions of ``ssimh`` give, each on fifty inputs with other settings; NumPy and SciPy alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import ssimh
from tests.results.inputs import cylinder, mask, neck, uniform, uptake, volume
from tests.results.lock_file import Recipe

REGIONS = ("square", "triangle", "radial")
CT_MM, PET_MM, GRAIN_MM = (6.0, 4.0, 4.0), (4.0, 4.0, 4.0), (3.0, 2.0, 2.0)


def affine(number: int, scale: float = 1.0) -> list[list[float]]:
    """(x, y, z) of the last three axes of a volume, RAS+: voxels of 3 × 2 × 2 mm or their multiple, and a shift."""
    step = 2.0 * scale
    return [[0, 0, step, number % 5], [0, step, 0, -(number % 3)], [1.5 * step, 0, 0, 1.0], [0, 0, 0, 1]]


def swap(number: int) -> Any:
    """Thresholds, regions, axes, strengths, masks, clipping and grids by turns."""
    image, donor = volume(number), volume(number, donor=True)
    settings: dict[str, Any] = {"threshold": 1 + number % 5, "region": REGIONS[number % 3]}
    if number % 7 == 1:
        settings |= {"axes": (-3, -2, -1), "threshold": 2}
    if number % 7 == 2:
        settings |= {"strength": 0.5, "clip": (-1024, 900)}
    if number % 7 == 3:
        settings["mask"] = mask(number)
    if number % 7 == 4:
        settings["method"] = "fft"
    if number % 7 == 5:
        donor = np.repeat(donor, 2, axis=-1)
        settings["grid"] = "field-of-view"
    if number % 7 == 6:
        reference = ssimh.ReferenceSpectrum.from_image(donor, **settings, affine=affine(0, 1.25))
        return ssimh.swap_spectrum(image, reference, **settings, grid="physical", affine=affine(number))
    return ssimh.swap_spectrum(image, donor, **settings)


def match(number: int) -> Any:
    """Whole images, masks, and a share of the way."""
    masks = {"mask": mask(number), "reference_mask": mask(number)} if number % 3 == 1 else {}
    strength = 0.5 if number % 3 == 2 else 1.0
    return ssimh.match_histogram(volume(number), volume(number, donor=True), strength=strength, **masks)


def compare(number: int) -> Any:
    """With and without reference and mask."""
    before, donor = volume(number), volume(number, donor=True)
    after = before.astype(np.float64) * 0.875 + 0.125 * donor
    reference = donor if number % 2 else None
    return ssimh.compare(before, after, reference, mask=mask(number) if number % 3 == 0 else None, threshold=2)


def low_frequency(number: int) -> Any:
    """Slices and volumes."""
    return ssimh.low_frequency(
        volume(number), threshold=1 + number % 6, axes=(-3, -2, -1)[number % 2 :] if number % 6 < 2 else -1
    )


def from_low_frequency(number: int) -> Any:
    """Images of given coefficients."""
    k = 1 + number % 6
    coefficients = (1000 * uniform(number, (2, k, k)) - 300).astype((np.float64, np.float32)[number % 2])
    return ssimh.from_low_frequency(coefficients, (2, 6 + number % 9, 7 + number % 4))


def reference_fields(reference: ssimh.ReferenceSpectrum) -> dict[str, Any]:
    """What a reference holds."""
    known = {} if reference.spacing_mm is None else {"spacing_mm": reference.spacing_mm}
    return {"coefficients": reference.coefficients, **known}


def from_image(number: int, **more: Any) -> ssimh.ReferenceSpectrum:
    """A reference of one volume, slice by slice."""
    threshold, region = 1 + number % 5, REGIONS[number % 3]
    return ssimh.ReferenceSpectrum.from_image(volume(number), threshold=threshold, region=region, **more)


def from_images(number: int) -> Any:
    """Mean and median of three volumes."""
    images = [volume(number), volume(number, donor=True), volume(number)[::-1]]
    statistic = ("mean", "median")[number % 2]
    return reference_fields(ssimh.ReferenceSpectrum.from_images(images, threshold=1 + number % 4, statistic=statistic))


def average(number: int) -> Any:
    """References of one and of two subjects."""
    one = from_image(number)
    fit = ssimh.ReferenceSpectrum.from_images
    two = fit([volume(number, donor=True)] * 2, threshold=one.threshold, region=one.region)
    return reference_fields(ssimh.ReferenceSpectrum.average([one, two], statistic=("mean", "median")[number % 2]))


def for_grid(number: int) -> Any:
    """A finer grid over the same field of view."""
    reference = from_image(number, spacing_mm=(3.0, 2.0, 1.5))
    shape = [size + 1 + number % 3 for size in reference.shape]
    return reference_fields(reference.for_grid(shape))


def for_orientation(number: int) -> Any:
    """Flips and exchanges of axes."""
    turned = from_image(number, orientation="SPL").for_orientation(("IPL", "SAR", "SLP", "ILA")[number % 4])
    return {**reference_fields(turned), "axes": turned.axes}


@cache
def subject(number: int, gain_per_mille: int) -> ssimh.SiteSpectrum:
    """A site of one neck."""
    return ssimh.SiteSpectrum.fit([neck(number, gain_per_mille=gain_per_mille)], spacing_mm=CT_MM)


def site(number: int, gain_per_mille: int = 0) -> ssimh.SiteSpectrum:
    """A site of two necks."""
    return subject(number, gain_per_mille) + subject(number + 3, gain_per_mille)


@cache
def pet_site(number: int, blurs: int) -> ssimh.SiteSpectrum:
    """A site of two PET."""
    scans = [uptake(number + 3 * part, blurs=blurs) for part in range(2)]
    return ssimh.SiteSpectrum.fit(scans, spacing_mm=PET_MM, modality="PT")


@cache
def grain_site(number: int, smooth: bool) -> ssimh.SiteSpectrum:
    """A site of two CT whose grain is that of a sharp or a smooth kernel."""
    scans = [cylinder(number + 3 * part, smooth=smooth) for part in range(2)]
    return ssimh.SiteSpectrum.fit(scans, spacing_mm=GRAIN_MM)


def fit(number: int) -> Any:
    """What is kept of the subjects of a site: CT, and PET at every tenth input."""
    fitted = pet_site(number, 2) if number % 10 == 0 else site(number)
    return {name: np.ascontiguousarray(fitted.subjects[name]) for name in fitted.subjects.dtype.names}


def site_fields(number: int) -> Any:
    """What a site states: fields and their uncertainty, tissues, boxes and volumes; of PET the resolution."""
    if number % 10 == 0:
        return pet_site(number, 2).resolution
    fitted = site(number) + site(number + 1)
    space = ("log", "linear")[number % 2]
    return {
        "coefficients": fitted.coefficients(space),
        "uncertainty": fitted.uncertainty(space),
        "boxes": fitted.boxes,
        "body_ml": fitted.body_ml,
        **fitted.tissue_shares,
    }


def difference(number: int) -> Any:
    """Two sites of CT, or of PET at every tenth input; log and linear, with and without shrinkage."""
    if number % 10 == 0:
        return ssimh.site_difference(pet_site(number, 2), pet_site(number + 1, 3), shrink=number % 20 == 0)
    space, shrink = ("log", "linear")[number % 2], number % 3 > 0
    found = ssimh.site_difference(site(number, 40), site(number + 1), space=space, shrink=shrink)
    return {**vars(found), "shrinkage": found.shrinkage, "text": str(found)}


def align(number: int) -> Any:
    """A scan of one site at another; PET at every tenth input, field and grain of CT at another tenth."""
    if number % 10 == 0:
        sharpening = 1.5 if number % 20 else None
        here, there = pet_site(number, 2), pet_site(number + 1, 3)
        here, there = (there, here) if sharpening else (here, there)
        options = {"spacing_mm": PET_MM, "allow_sharpening": sharpening, "shrink": False}
        return ssimh.align_spectrum(uptake(number), here, there, **options)
    if number % 10 == 5:
        sites = (grain_site(number, smooth) for smooth in (False, True))
        parts = ("field", "grain")
        return ssimh.align_spectrum(cylinder(number), *sites, parts=parts, shrink=False, spacing_mm=GRAIN_MM)
    options = {"space": ("log", "linear")[number % 2], "strength": 0.75 if number % 3 == 0 else 1.0}
    return ssimh.align_spectrum(neck(number, gain_per_mille=40), site(number, 40), site(number + 1), **options)


def separability(number: int) -> Any:
    """Features of two or three sites."""
    features = uniform(9000 + number, (24, 3 + number % 4))
    sites = np.repeat(np.arange(2 + number % 2), 24 // (2 + number % 2))
    features[sites == 1] += 0.25 * (number % 4)
    return ssimh.site_separability(features, sites.tolist(), n_neighbors=3, folds=4, seed=number)


RECIPES: dict[str, Recipe] = {
    "ssimh.ReferenceSpectrum.average": average,
    "ssimh.ReferenceSpectrum.for_grid": for_grid,
    "ssimh.ReferenceSpectrum.for_orientation": for_orientation,
    "ssimh.ReferenceSpectrum.from_image": lambda number: reference_fields(from_image(number)),
    "ssimh.ReferenceSpectrum.from_images": from_images,
    "ssimh.SiteSpectrum": site_fields,
    "ssimh.SiteSpectrum.fit": fit,
    "ssimh.align_spectrum": align,
    "ssimh.compare": compare,
    "ssimh.cosine_basis": lambda number: np.array(ssimh.cosine_basis(5 + number, 1 + number % 5)),
    "ssimh.from_low_frequency": from_low_frequency,
    "ssimh.low_frequency": low_frequency,
    "ssimh.match_histogram": match,
    "ssimh.site_difference": difference,
    "ssimh.site_separability": separability,
    "ssimh.swap_spectrum": swap,
}
