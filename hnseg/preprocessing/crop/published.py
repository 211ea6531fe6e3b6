"""Published crops, by physical position instead of by index.

The originals need images that are resampled to 1 mm as a whole, and assume the directions of the axes. Here only the
part of PET that decides is sampled, at 2 or 4 mm; the boxes agree with the literal definitions within 4 mm
(``tests/hnseg/preprocessing/crop/test_published.py``). None of them checks that the hot region is a brain: the
confidence is the share of directions in which bone encloses it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.images.geometry import Grid
from hnseg.images.resample import covering_grid
from hnseg.preprocessing.crop.box import PetCt, Placement, Vector, box_below
from hnseg.preprocessing.crop.evidence import COARSE_MM, best_evidence, body_mask, to_index

FINE_MM = 2.0
HOT_SUV = 3.0  # the publication says "coarse threshold"; gray matter is at SUV 6–12, most other tissue below 3
SUPERIOR_MM = 100.0  # the height of a brain
RULE = "one SD above the mean of the upper quarter"
LITERAL_MM = 1.0  # the grid that the definitions of nvauto and hecktor2025 count on


def place_paper(scan: PetCt, box_mm: Vector) -> Placement:
    """As published: place the box below the highest voxel above a coarse PET threshold.

    Its axial center is the mean of the voxels above the threshold in the superior slices, here the uppermost 100 mm
    of them. If nothing is above it, the box is in the middle of the top of the scan.
    """
    low, high = scan.common_mm()
    grid = covering_grid(low, high, COARSE_MM)
    hot = scan.pet_on(grid) > HOT_SUV
    if not hot.any():
        return _nothing_hot(box_below((low + high) / 2, float(high[2]), box_mm), f"SUV {HOT_SUV:g}")
    last = int(np.flatnonzero(hot.any(axis=(1, 2)))[-1])
    superior = hot.copy()
    superior[: max(0, last + 1 - round(SUPERIOR_MM / COARSE_MM))] = False
    top = float(grid.to_physical([0, 0, last + 0.5])[2])
    return _place_with_evidence(
        scan, superior, grid, box_below(_middle(superior, grid), top, box_mm), f"above SUV {HOT_SUV:g}"
    )


def place_nvauto(scan: PetCt, box_mm: Vector) -> Placement:
    """NVAUTO, HECKTOR 2022 (Project-MONAI/tutorials, ``hecktor_crop_neck_region.py``).

    In the upper quarter of the CT's slices, voxels one standard deviation above the mean are foreground; the box is
    centered on their mean in plane and ends below the highest of them.
    """
    low, high = scan.grids[0].bounds_mm()
    scan.common_mm()
    grid, hot = _upper_quarter(scan, low, high)
    if not hot.any():
        return _nothing_hot(box_below((low + high) / 2, float(high[2]), box_mm), "its mean")
    last = int(np.flatnonzero(hot.any(axis=(1, 2)))[-1])
    # The end of a Python slice is exclusive: the highest foreground slice is left out.
    top = float(grid.to_physical([0, 0, last + 0.5])[2]) - LITERAL_MM
    return _place_with_evidence(scan, hot, grid, box_below(_middle(hot, grid), top, box_mm), RULE)


def place_hecktor2025(scan: PetCt, box_mm: Vector) -> Placement:
    """The organizers' template of HECKTOR 2025 (BioMedIA-MBZUAI/HECKTOR2025, ``docker-template``, ``preprocess.py``).

    In the upper quarter of the slices that CT and PET share, voxels one standard deviation above the mean are
    foreground; the box is centered on the largest 26-connected component, in z too, and shifted into the images. If the
    images are smaller than the box, it starts at their lower end.
    """
    low, high = scan.common_mm()
    # The template counts from voxel centers: its region lies half a voxel higher along each axis.
    halves = [np.abs(grid.matrix) @ np.asarray(grid.spacing_mm) / 2 for grid in scan.grids]
    low = np.max([grid.bounds_mm()[0] + half for grid, half in zip(scan.grids, halves, strict=True)], axis=0)
    high = np.min([grid.bounds_mm()[1] + half for grid, half in zip(scan.grids, halves, strict=True)], axis=0)
    grid, hot = _upper_quarter(scan, low, high)
    region = hot
    if hot.any():
        pieces, _ = ndimage.label(hot, structure=np.ones((3, 3, 3)))
        region = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        center = _middle(region, grid)
    else:
        center = np.array([*(low + high)[:2] / 2, high[2] - (high[2] - low[2]) / 8])
    start = np.maximum(np.minimum(np.maximum(center - box_mm / 2, low) + box_mm, high) - box_mm, low)
    lower = start - LITERAL_MM / 2
    if not hot.any():
        return _nothing_hot(lower, "its mean")
    return _place_with_evidence(scan, region, grid, lower, f"in the largest region {RULE}")


def _upper_quarter(scan: PetCt, low: Vector, high: Vector) -> tuple[Grid, NDArray[np.bool_]]:
    """Foreground of PET in the upper quarter of a box: more than one standard deviation above the mean."""
    grid = covering_grid(np.array([low[0], low[1], low[2] + 0.75 * (high[2] - low[2])]), high, FINE_MM)
    pet = scan.pet_on(grid)
    return grid, pet > pet.mean(dtype=np.float64) + pet.std(dtype=np.float64, ddof=1)


def _middle(region: NDArray[np.bool_], grid: Grid) -> Vector:
    return grid.to_physical(np.argwhere(region).mean(axis=0)[::-1])


def _nothing_hot(lower: Vector, threshold: str) -> Placement:
    reason = f"nothing in PET exceeds {threshold}; the box stands in the middle of the top of the scan"
    return Placement(lower, reason, fallback=True)


def _place_with_evidence(scan: PetCt, region: NDArray[np.bool_], grid: Grid, lower: Vector, rule: str) -> Placement:
    """Placement with the evidence that its foreground lies in a head."""
    slices = np.argwhere(region)[:, 0]
    middle = _middle(region, grid)
    volume = float(region.sum()) * grid.voxel_ml
    heights_mm = grid.to_physical([(0, 0, np.quantile(slices, share)) for share in (0.5, 0.75)])[:, 2]
    low, high = scan.common_mm()
    margin = 2 * COARSE_MM
    low[2], high[2] = max(low[2], heights_mm.min() - margin), min(high[2], heights_mm.max() + margin)
    coarse = covering_grid(low, high, COARSE_MM)
    pet, ct = scan.pet_on(coarse), scan.ct_on(coarse)
    levels = np.clip(np.rint([coarse.to_index([0, 0, z])[2] for z in heights_mm]), 0, coarse.size[2] - 1)
    evidence = best_evidence(to_index(middle, coarse), tuple(int(z) for z in levels), body_mask(pet, ct), ct)
    return Placement(lower, f"{volume:.0f} ml {rule} {evidence.description}", evidence.score, brain_ml=volume)
