"""Defects that real cohorts contain, on request.

Each is named in :data:`TRAPS`; the first group changes how a case is acquired, the second its finished arrays, the
third the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hnseg.images.geometry import Grid
from hnseg.phantom.scanners import Grids
from hnseg.phantom.subject import rotation

TRAPS: Mapping[str, str] = {
    "flipped-direction": "all grids have the direction diag(-1, -1, 1); the anatomy lies where it should",
    "oblique-direction": "the CT and its label lie on a grid turned by a few degrees",
    "whole-body-ct": "CT and PET reach 1,350 mm down from the vertex",
    "pet-bqml": "PET in Bq/ml; the factor to SUV stands in suv_conversion_tags.csv",
    "disjoint-boxes": "the PET header puts the PET 2 m away from the CT",
    "empty-label": "the label holds no lesion, although the images do",
    "wrong-label-value": "the label holds the value 7",
    "missing-pet": "there is no PET file",
    "unreadable-ct": "the CT file holds garbage",
}
WHOLE_BODY_MM = 1350.0
BQML_PER_SUV_RANGE = (1500.0, 4800.0)  # factors of 2.1e-4 to 6.6e-4 are published for the real cohort
OBLIQUE_DEG = np.array([4.0, -3.0, 6.0])


def check_trap(trap: str | None) -> None:
    """Refuse an unknown trap."""
    if trap is not None and trap not in TRAPS:
        raise ValueError(f"unknown trap {trap!r}; allowed: {', '.join(TRAPS)}")


def assign_traps(traps: Mapping[str, str] | Sequence[str], case_ids: Sequence[str]) -> dict[str, str]:
    """Trap of each case: a mapping of case ID to trap is checked; a sequence is assigned in order."""
    if isinstance(traps, str):
        raise ValueError(f"traps must be a mapping or a sequence of names, not one string; got {traps!r}")
    if not isinstance(traps, Mapping):
        if len(traps) > len(case_ids):
            raise ValueError(f"{len(traps)} traps for {len(case_ids)} cases")
        traps = dict(zip(case_ids, traps, strict=False))
    for case_id, trap in traps.items():
        check_trap(trap)
        if case_id not in case_ids:
            raise ValueError(f"a trap is set for {case_id!r}, which is not a case of this cohort")
    return dict(traps)


def _flipped(grid: Grid) -> Grid:
    last = grid.to_physical([grid.size[0] - 1, grid.size[1] - 1, 0])
    return replace(grid, origin_mm=tuple(last), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))


def _turned(grid: Grid) -> Grid:
    turn = rotation(OBLIQUE_DEG)
    middle = (np.asarray(grid.size) - 1) / 2
    origin = grid.to_physical(middle) - turn @ (middle * np.asarray(grid.spacing_mm))
    return replace(grid, origin_mm=tuple(origin), direction=tuple(turn.ravel()))


def on_grids(trap: str | None, grids: Grids) -> Grids:
    """Grids under a trap."""
    if trap == "flipped-direction":
        return replace(grids, ct=_flipped(grids.ct), pet=_flipped(grids.pet))
    if trap == "oblique-direction":
        return replace(grids, ct=_turned(grids.ct))
    return grids


def on_pet_grid(trap: str | None, grid: Grid) -> Grid:
    """PET grid in the header under a trap."""
    if trap == "disjoint-boxes":
        x, y, z = grid.origin_mm
        return replace(grid, origin_mm=(x, y, z + 2000.0))
    return grid


def on_label(trap: str | None, label: np.ndarray) -> np.ndarray:
    """Stored label under a trap."""
    if trap == "empty-label":
        return np.zeros_like(label)
    if trap == "wrong-label-value":
        return np.where(label == label.max(), np.uint8(7), label)
    return label


def suv_per_bqml(trap: str | None, rng: np.random.Generator) -> float | None:
    """Factor from Bq/ml to SUV of a case whose PET is stored in Bq/ml; None for the others."""
    factor = 1.0 / float(rng.uniform(*BQML_PER_SUV_RANGE))
    return factor if trap == "pet-bqml" else None
