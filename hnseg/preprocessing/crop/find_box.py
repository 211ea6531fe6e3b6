"""Placement of the box around head and neck: one fixed size, by a method of choice.

``head`` is the default: the brain must be hot in PET and enclosed by bone in CT. ``paper``, ``nvauto`` and
``hecktor2025`` are published crops, ``center`` looks for nothing. Each gives a box with a confidence and a reason, and
records a fallback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.images.geometry import Grid
from hnseg.images.resample import upright_grid
from hnseg.preprocessing.crop.box import Crop, PetCt, Placement, Vector
from hnseg.preprocessing.crop.head import BRAIN_SUV, place_center, place_head
from hnseg.preprocessing.crop.published import place_hecktor2025, place_nvauto, place_paper
from hnseg.settings.prepare import CropMethod

__all__ = ["PLACEMENTS", "Crop", "brain_in_box", "find_crop"]

PLACEMENTS: Mapping[CropMethod, Callable[[PetCt, Vector], Placement]] = {
    "head": place_head,
    "paper": place_paper,
    "nvauto": place_nvauto,
    "hecktor2025": place_hecktor2025,
    "center": place_center,
}


def find_crop(
    ct_hu: NDArray[Any] | None,
    ct_grid: Grid | None,
    pet_suv: NDArray[Any],
    pet_grid: Grid,
    *,
    box_vox: tuple[int, int, int],
    spacing_mm: float,
    method: CropMethod = "head",
) -> Crop:
    """Place the box.

    Args:
        ct_hu: (z, y, x) CT in HU, on a grid of any direction. Without it (None for it and its grid) PET alone decides,
            with a confidence of at most 0.5.
        ct_grid: Grid of the CT.
        pet_suv: (z, y, x) PET in SUV, on a grid of any direction.
        pet_grid: Grid of the PET.
        box_vox: Size of the box in voxels (x, y, z).
        spacing_mm: Edge of a voxel of the box.
        method: See the functions of the same names in
            :mod:`hnseg.preprocessing.crop.head` and :mod:`hnseg.preprocessing.crop.published`.

    Raises:
        ValueError: CT and PET do not overlap.
    """
    scan = PetCt(pet_suv, pet_grid, ct_hu, ct_grid)
    low, high = scan.common_mm()
    box_mm = np.asarray(box_vox, dtype=np.float64) * spacing_mm
    placed = PLACEMENTS[method](scan, box_mm)
    bottom, top = placed.lower_mm[2], placed.lower_mm[2] + box_mm[2]
    seen = max(0.0, min(top, high[2]) - max(bottom, low[2])) / box_mm[2]
    return Crop(
        upright_grid(placed.lower_mm, box_vox, spacing_mm),
        method,
        round(placed.confidence, 3),
        placed.reason,
        placed.fallback,
        round(float(seen), 3),
        round(placed.brain_ml, 1),
    )


def brain_in_box(pet_suv: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the brain in a box of ``find_crop``: the hot component that reaches the top tenth of the box.

    Args:
        pet_suv: (z, y, x) PET on the crop grid, in SUV.

    Returns:
        Its mask, of the same shape; empty if nothing hot reaches the top.
    """
    components, _ = ndimage.label(pet_suv > BRAIN_SUV, structure=np.ones((3, 3, 3)))
    top = components[-max(1, components.shape[0] // 10) :]
    counts = np.bincount(top.ravel(), minlength=1)
    counts[0] = 0
    if not counts.any():
        return np.zeros(components.shape, bool)
    brain: NDArray[np.bool_] = components == int(counts.argmax())
    return brain
