"""The largest SUV of each lesion class."""

from __future__ import annotations

import numpy as np

from hnseg.cohort.labels import LESION_CLASSES, Label
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.images.geometry import Grid


def measure_suv_max(label: Label, grid: Grid, pet: SeriesVolume) -> dict[str, float | None]:
    """SUVmax of each class: the largest of the PET voxels that hold the center of a voxel of the class.

    These are values of the PET itself; nothing is interpolated.

    Args:
        label: (z, y, x), 1 GTVp, 2 GTVn.
        grid: Of the label.
        pet: In SUV, on its own grid.

    Returns:
        ``gtvp_suv_max`` and ``gtvn_suv_max``; None where the class is empty or lies outside the PET.
    """
    found: dict[str, float | None] = {}
    for lesion in LESION_CLASSES:
        where = np.argwhere(label == lesion.value)[:, ::-1]
        index = np.rint(pet.grid.to_index(grid.to_physical(where))).astype(np.int64)
        inside = index[((index >= 0) & (index < pet.grid.size)).all(axis=1)]
        values = pet.values[tuple(inside.T[::-1])]
        found[f"{lesion.key}_suv_max"] = round(float(values.max()), 4) if values.size else None
    return found
