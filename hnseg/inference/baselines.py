"""Two masks that a trained network has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.images.components import connected_components


def threshold_baseline(
    pet_suv: NDArray[np.floating],
    *,
    brain: NDArray[np.bool_] | None,
    voxel_ml: float,
    threshold_suv: float = 4.0,
    max_nodes: int = 4,
    min_ml: float = 0.2,
) -> NDArray[np.uint8]:
    """Everything that takes up much FDG: the largest component is called GTVp, the following ones GTVn.

    Args:
        pet_suv (ndarray of float, (z, y, x)): Body-weight SUV.
        brain (ndarray of bool, (z, y, x), or None): Where the brain is. A component that touches it is left out, so
            that the baseline is no straw man: the brain is the largest hot component of nearly every scan. None:
            nothing is left out.
        voxel_ml: Float > 0.
        threshold_suv: Strictly above this value (4 separates most tumors from most normal tissue).
        max_nodes (int ≥ 0): Components called GTVn at most.
        min_ml (float ≥ 0): Components smaller than this are dropped.

    Returns:
        ndarray of uint8, (z, y, x): 0, 1 (GTVp), 2 (GTVn); 26-connected components, equal sizes in scan order.

    >>> pet = np.zeros((1, 1, 9)); pet[..., :3] = 5; pet[..., 4:6] = 9; pet[..., 7] = 4
    >>> threshold_baseline(pet, brain=None, voxel_ml=0.1)[0, 0].tolist()
    [1, 1, 1, 0, 2, 2, 0, 0, 0]
    """
    if pet_suv.ndim != 3 or (brain is not None and brain.shape != pet_suv.shape):
        given = None if brain is None else brain.shape
        raise ValueError(f"PET and brain mask are (z, y, x) on one grid; got {pet_suv.shape} and {given}")
    if not voxel_ml > 0 or max_nodes < 0 or not min_ml >= 0:
        given_numbers = f"voxel_ml {voxel_ml}, max_nodes {max_nodes}, min_ml {min_ml}"
        raise ValueError(f"voxel_ml must be > 0, max_nodes and min_ml ≥ 0; got {given_numbers}")
    parts = connected_components(pet_suv > threshold_suv)
    keep = parts.sizes_vox * voxel_ml >= min_ml * (1 - 1e-9)
    if brain is not None:
        touched = np.unique(parts.labels[brain[parts.box]])
        keep[touched[touched > 0] - 1] = False
    ranked = sorted(np.flatnonzero(keep), key=lambda k: -int(parts.sizes_vox[k]))[: 1 + max_nodes]
    values = np.zeros(len(parts) + 1, np.uint8)
    for rank, k in enumerate(ranked):
        values[k + 1] = GTVP if rank == 0 else GTVN
    label = np.zeros(pet_suv.shape, np.uint8)
    label[parts.box] = values[parts.labels]
    return label


def empty_baseline(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """No tumor anywhere: zeros of a shape (z, y, x)."""
    return np.zeros(shape, np.uint8)
