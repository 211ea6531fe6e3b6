"""Post-processing of a predicted mask, with a record of what is removed: pure functions on label arrays.

Labels: 0 background, 1 GTVp, 2 GTVn; arrays (z, y, x). Nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.spatial import KDTree

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.evaluation.surface_distance import surface_voxels
from hnseg.images.components import Components, Connectivity, connected_components
from hnseg.settings.predict import PredictConfig

Label = NDArray[np.uint8]
SETTINGS = ("min_gtvp_ml", "min_gtvn_ml", "min_gtvp_vox", "min_gtvn_vox", "max_node_distance_mm")  # of PredictConfig


class Removal(BaseModel):
    """A component that was removed, and why.

    Attributes:
        step: What removed it.
        label: Its class.
        reason: In words.
        voxels: Its size; 0 where a step states why it removes nothing.
        volume_ml: Its volume.
        center_zyx_vox: Mean index of its voxels.
        distance_mm: From the GTVp, where the distance is the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Literal["island", "distance"]
    label: int
    reason: str
    voxels: int
    volume_ml: float
    center_zyx_vox: tuple[float, float, float] | None = None
    distance_mm: float | None = None


def postprocess_label(
    label: Label, spacing_zyx_mm: Sequence[float], settings: PredictConfig
) -> tuple[Label, list[Removal]]:
    """Island removal, then the distance prior, with a run's settings.

    Args:
        label: (z, y, x) Values 0, 1, 2.
        spacing_zyx_mm: Voxel spacing, > 0.
        settings: Least sizes and largest distance.

    Returns:
        ``(label, record)``: a copy of the label without them; and what was removed and why, see
        :func:`remove_islands` and :func:`apply_distance_prior`.
    """
    kept, islands = remove_islands(
        label,
        min_ml=(settings.min_gtvp_ml, settings.min_gtvn_ml),
        min_vox=(settings.min_gtvp_vox, settings.min_gtvn_vox),
        voxel_ml=float(np.prod(spacing_zyx_mm)) / 1000,
    )
    kept, far = apply_distance_prior(kept, max_distance_mm=settings.max_node_distance_mm, spacing_zyx_mm=spacing_zyx_mm)
    return kept, [*islands, *far]


def remove_islands(
    label: Label,
    *,
    min_ml: Mapping[int, float] | Sequence[float] = (0.0, 0.0),
    min_vox: Mapping[int, int] | Sequence[int] = (0, 0),
    voxel_ml: float,
    connectivity: Connectivity = 26,
) -> tuple[Label, list[Removal]]:
    """Remove the components of each class that are smaller than that class's least size, in ml, in voxels, or both.

    Args:
        label: (z, y, x) Values 0, 1, 2.
        min_ml: ``{class: ml}`` or ``(gtvp_ml, gtvn_ml)``: components of fewer milliliters go; one of exactly this
            volume stays. 0 keeps all. Milliliters mean the same on every scanner's grid.
        min_vox: ``{class: voxels}`` or ``(gtvp_vox, gtvn_vox)``: components of fewer voxels go, too.
        voxel_ml: Volume of one voxel, > 0.
        connectivity: Of a component: 6, 18 or 26 neighbors.

    Returns:
        ``(label, removed)``: a copy of the label without them; and one record per removed
        component.

    >>> mask = np.zeros((1, 1, 6), np.uint8); mask[..., 0] = 2; mask[..., 2:5] = 2
    >>> out, removed = remove_islands(mask, min_ml={2: 0.2}, voxel_ml=0.1)
    >>> out[0, 0].tolist(), [part.voxels for part in removed]
    ([0, 0, 2, 2, 2, 0], [1])
    """
    _check(label)
    if not voxel_ml > 0:
        raise ValueError(f"voxel_ml {voxel_ml} must be > 0")
    least_ml, least_vox = _by_class(min_ml, "min_ml", "ml"), _by_class(min_vox, "min_vox", "voxels")
    out, removed = label.copy(), []
    for value in (GTVP, GTVN):
        if not least_ml[value] and least_vox[value] <= 1:
            continue
        parts = connected_components(label == value, connectivity)
        # The margin keeps a component of exactly the least volume, whatever the rounding of voxels * voxel_ml.
        few_ml = parts.sizes_vox * voxel_ml < least_ml[value] * (1 - 1e-9)
        few_vox = parts.sizes_vox < least_vox[value]
        for small, reason in (
            (few_ml, f"smaller than {least_ml[value]:g} ml"),
            (few_vox & ~few_ml, f"fewer than {least_vox[value]:g} voxels"),
        ):
            removed += _remove(out, parts, small, voxel_ml, step="island", label=value, reason=reason)
    return out, removed


def _by_class(least: Mapping[int, float] | Sequence[float], name: str, unit: str) -> dict[int, float]:
    if not isinstance(least, Mapping):
        gtvp, gtvn = least
        least = {GTVP: gtvp, GTVN: gtvn}
    if not set(least) <= {GTVP, GTVN} or any(not v >= 0 for v in least.values()):
        raise ValueError(f"{name} {dict(least)}: classes 1 and 2, sizes ≥ 0 {unit}")
    return {GTVP: 0, GTVN: 0, **least}


def apply_distance_prior(
    label: Label,
    *,
    max_distance_mm: float,
    spacing_zyx_mm: Sequence[float],
    connectivity: Connectivity = 26,
) -> tuple[Label, list[Removal]]:
    """Remove nodes too far from the primary tumor.

    A GTVn component goes when its surface-to-surface distance to the GTVp exceeds ``max_distance_mm``: the smallest
    distance between the center of one of its voxels and the center of a GTVp voxel, in mm with the true spacing.
    That is the Euclidean distance transform of the GTVp's complement, read at the component; it is computed between
    surface voxels, which gives the same number in a fraction of the time. Between the voxels' outer faces the gap
    is smaller, by at most one voxel's diagonal (3.3 mm at 0.98 × 0.98 × 3 mm): two lesions that touch are one
    spacing apart here, not 0.

    Args:
        label: (z, y, x) Values 0, 1, 2.
        max_distance_mm: > 0; a component at exactly this distance stays.
        spacing_zyx_mm: Voxel spacing, > 0.
        connectivity: Of a component: 6, 18 or 26 neighbors.

    Returns:
        ``(label, removed)``: a copy of the label without them; and one record per removed component,
        as :func:`remove_islands` with ``distance_mm``. Without GTVp nothing is removed, and if there are nodes one
        record with ``voxels`` 0 states it.
    """
    _check(label)
    spacing = np.asarray(spacing_zyx_mm, dtype=np.float64)
    if spacing.shape != (3,) or not (spacing > 0).all():
        raise ValueError(f"spacing_zyx_mm {spacing_zyx_mm}: three numbers > 0")
    if not max_distance_mm > 0:
        raise ValueError(f"max_distance_mm {max_distance_mm} must be > 0")
    out = label.copy()
    nodes = connected_components(label == GTVN, connectivity)
    if not len(nodes):
        return out, []
    distances_mm = component_distances_mm(label == GTVP, nodes, spacing)
    if distances_mm is None:
        reason = "no GTVp predicted: no distance to judge the nodes by, all stay"
        return out, [Removal(step="distance", label=GTVN, reason=reason, voxels=0, volume_ml=0.0)]
    far = distances_mm > max_distance_mm + 1e-6
    voxel_ml = float(np.prod(spacing)) / 1000
    reason = f"farther than {max_distance_mm:g} mm from the GTVp"
    removed = _remove(out, nodes, far, voxel_ml, step="distance", label=GTVN, reason=reason)
    return out, [
        record.model_copy(update={"distance_mm": round(float(distance_mm), 3)})
        for record, distance_mm in zip(removed, distances_mm[far], strict=True)
    ]


def component_distances_mm(
    target: NDArray[np.bool_], parts: Components, spacing_zyx_mm: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Smallest voxel-center distance (n,) in mm from each component to a mask; None for an empty mask."""
    if not target.any():
        return None
    return nearest_mm(surface_voxels(target) * spacing_zyx_mm, component_surfaces_mm(parts, spacing_zyx_mm))


def component_surfaces_mm(parts: Components, spacing_zyx_mm: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Surface voxels (k, 3) of every component, in mm from the center of the whole array's first voxel."""
    return [(surface_voxels(mask) + start) * spacing_zyx_mm for mask, start in parts.iter_masks()]


def nearest_mm(target: NDArray[np.float64], surfaces: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Smallest distance (n,) from each of n sets of points to the points of a target, all (k, 3) in mm."""
    if not surfaces:
        return np.zeros(0)
    distances = KDTree(target).query(np.concatenate(surfaces))[0]
    firsts = np.cumsum([0, *(len(surface) for surface in surfaces[:-1])])
    return np.asarray(np.minimum.reduceat(distances, firsts), dtype=np.float64)


def _remove(
    out: Label,
    parts: Components,
    gone: NDArray[np.bool_],
    voxel_ml: float,
    *,
    step: Literal["island", "distance"],
    label: int,
    reason: str,
) -> list[Removal]:
    """Set the components marked in ``gone`` to 0 in ``out``; their records."""
    removed: list[Removal] = []
    if not gone.any():
        return removed
    for number, (mask, start) in enumerate(parts.iter_masks()):
        if not gone[number]:
            continue
        box = tuple(slice(int(a), int(a) + n) for a, n in zip(start, mask.shape, strict=True))
        out[box][mask] = 0
        removed.append(
            Removal(
                step=step,
                label=label,
                reason=reason,
                voxels=int(parts.sizes_vox[number]),
                volume_ml=round(float(parts.sizes_vox[number] * voxel_ml), 4),
                center_zyx_vox=tuple(np.round(np.argwhere(mask).mean(axis=0) + start, 1).tolist()),
            )
        )
    return removed


def _check(label: Label) -> None:
    if label.ndim != 3 or label.dtype.kind not in "ui":
        raise ValueError(f"a label is a (z, y, x) integer array; got shape {label.shape}, {label.dtype}")
    if label.size and (int(label.min()) < 0 or int(label.max()) > GTVN):
        raise ValueError(f"label values must be 0, 1, 2; got {int(label.min())} to {int(label.max())}")
