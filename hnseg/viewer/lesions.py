"""The table of lesions of a case: found, missed and false, with volume and SUVmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.labels import LESION_CLASSES, Label, LesionClass
from hnseg.images.components import (
    Components,
    Connectivity,
    LesionMatch,
    Matching,
    connected_components,
    match_components,
    overlap_matrix,
)
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from ssimh.viewer.records import LesionMark

COMPARED_COLUMNS = ("Class", "Result", "IoU", "ml", "SUVmax")
SINGLE_COLUMNS = ("Class", "ml", "SUVmax")


class MatchingRule(Protocol):
    """What a lesion is and when it is found; :class:`hnseg.evaluation.rules.Rules` is one."""

    @property
    def connectivity(self) -> Connectivity: ...
    @property
    def matching(self) -> Matching: ...
    @property
    def iou_threshold(self) -> float: ...
    @property
    def strict(self) -> bool: ...
    @property
    def min_lesion_ml(self) -> float: ...


@dataclass(frozen=True)
class Volume:
    """Values (z, y, x) and their grid."""

    values: NDArray[np.generic]
    grid: Grid


def mark_lesions(
    truth: Volume | None, prediction: Volume | None, pet: Volume | None, rule: MatchingRule
) -> tuple[LesionMark, ...]:
    """Every lesion of a case.

    Args:
        truth, prediction: Labels; 1 GTVp, 2 GTVn. A prediction on another grid is copied to that of the truth by
            nearest neighbor.
        pet: In SUV; None leaves SUVmax out.
        rule: Made for nodes; here it is also applied to GTVp.

    Returns:
        With both masks the true lesions, found or missed, then the false ones of the prediction, class by class. With
        one mask its lesions without a status. Lesions are named by the letter of their class and a number from the
        feet to the head.
    """
    marks: list[LesionMark] = []
    if truth is not None and prediction is not None and not prediction.grid.matches(truth.grid):
        sampled = resample(prediction.values, prediction.grid, truth.grid, outside=0, interpolation="nearest")
        prediction = Volume(sampled, truth.grid)
    if truth is None or prediction is None:
        only = truth or prediction
        return () if only is None else list_lesions(only, pet, rule.connectivity)
    for lesion in LESION_CLASSES:
        marks += _mark_compared(truth, prediction, lesion, pet, rule)
    return tuple(marks)


def list_lesions(mask: Volume, pet: Volume | None, connectivity: Connectivity = 26) -> tuple[LesionMark, ...]:
    """Every lesion of one mask, without a status; arguments as of :func:`mark_lesions`."""
    return tuple(
        _mark(mask.grid, points, f"{_letter(lesion)}{n}", "", (lesion.name,), pet)
        for lesion in LESION_CLASSES
        for n, points in enumerate(
            _iter_points(connected_components(mask.values == lesion.value, connectivity)), start=1
        )
    )


def _mark_compared(
    truth: Volume, prediction: Volume, lesion: LesionClass, pet: Volume | None, rule: MatchingRule
) -> list[LesionMark]:
    sides = [connected_components(mask.values == lesion.value, rule.connectivity) for mask in (truth, prediction)]
    least_vox = rule.min_lesion_ml * (1 - 1e-9) / truth.grid.voxel_ml
    large = [side.sizes_vox >= max(1.0, least_vox) for side in sides]
    match = _match(sides, large, rule)
    marks: list[LesionMark] = []
    for side, kept, ious, without in zip(
        sides, large, (match.truth_iou, match.pred_iou), ("missed", "false"), strict=True
    ):
        points = [each for each, is_large in zip(_iter_points(side), kept, strict=True) if is_large]
        for each, iou in zip(points, ious, strict=True):
            is_matched = not np.isnan(iou)
            if is_matched and without == "false":
                continue  # it is the found lesion of the truth
            name, status = f"{_letter(lesion)}{len(marks) + 1}", "found" if is_matched else without
            cells = (lesion.name, status, f"{iou:.2f}" if is_matched else "–")
            marks.append(_mark(truth.grid, each, name, status, cells, pet))
    return marks


def _match(sides: list[Components], large: list[NDArray[np.bool_]], rule: MatchingRule) -> LesionMatch:
    return match_components(
        overlap_matrix(*sides)[np.ix_(*large)],
        sides[0].sizes_vox[large[0]],
        sides[1].sizes_vox[large[1]],
        matching=rule.matching,
        iou_threshold=rule.iou_threshold,
        strict=rule.strict,
    )


def _iter_points(found: Components) -> list[NDArray[np.int64]]:
    """The voxels (n, 3) of each component, (x, y, z), in the whole mask."""
    return [(np.argwhere(mask) + first)[:, ::-1] for mask, first in found.iter_masks()]


def _mark(
    grid: Grid, voxels: NDArray[np.int64], name: str, status: str, cells: tuple[str, ...], pet: Volume | None
) -> LesionMark:
    """The mark of a lesion; its center is the voxel nearest to its centroid."""
    points_mm = grid.to_physical(voxels)
    center_mm = points_mm[np.square(points_mm - points_mm.mean(axis=0)).sum(axis=1).argmin()]
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    ends = np.array([[(low, high)[bit][axis] for axis, bit in enumerate(bits)] for bits in np.ndindex(2, 2, 2)])
    suv = None if pet is None else suv_max(points_mm, pet)
    facts = (f"{len(voxels) * grid.voxel_ml:.2f}", "–" if suv is None else f"{suv:.2f}")
    corners = tuple((float(x), float(y), float(z)) for x, y, z in grid.to_physical(ends))
    x, y, z = (float(value) for value in center_mm)
    return LesionMark(name, status, (*cells, *facts), (x, y, z), corners)


def suv_max(points_mm: NDArray[np.float64], pet: Volume) -> float | None:
    """The largest of the PET voxels that hold one of the points (n, 3), LPS; None where all lie outside.

    As :func:`hnseg.dicom.lesion_suv.measure_suv_max`: nothing is interpolated.
    """
    index = np.rint(pet.grid.to_index(points_mm)).astype(np.int64)
    inside = index[((index >= 0) & (index < pet.grid.size)).all(axis=1)]
    values = pet.values[tuple(inside.T[::-1])]
    return float(values.max()) if values.size else None


def _letter(lesion: LesionClass) -> str:
    return lesion.name[-1].upper()


def as_volume(label: tuple[Label, Grid] | None) -> Volume | None:
    """A label as :func:`hnseg.cohort.labels.read_label` returns it."""
    return None if label is None else Volume(*label)
