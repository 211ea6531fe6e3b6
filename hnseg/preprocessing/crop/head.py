"""Crop by the head: a hot brain in a skull, the base of a brain cut by the scan, or a skull without a hot brain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.images.geometry import Grid
from hnseg.images.resample import covering_grid
from hnseg.preprocessing.crop.box import PetCt, Placement, Vector, box_below
from hnseg.preprocessing.crop.evidence import (
    COARSE_MM,
    ENCLOSED,
    HEAD_MM,
    Evidence,
    best_evidence,
    body_mask,
    largest_component,
    to_index,
)

SEARCH_MM = 250.0  # the brain lies in the upper part of any scan that shows it (head 200–230 mm, plus some air)
BRAIN_SUV = 3.0  # gray matter is at SUV 6–12, most other tissue in the head below 3
FAINT_SUV = 2.0  # a brain after a meal or under high blood sugar
BRAIN_MIN_ML = 150.0  # an adult brain has 1,100–1,500 ml; a scan may start in the middle of it
CUT_MIN_ML = 30.0  # of a brain whose base alone is in view, at the scan's upper end
CUT_MM = 40.0
CUT_ENCLOSED = 0.7  # skull base 51 to 100 %, neck at most 67 %
SKULL_MM = 60.0  # without a hot brain the skull must be closed over this height
NECK_MARGIN_MM = 60.0  # half of a wide neck: at least this much of the box on either side of its middle
NECK_BELOW_MM = 100.0  # the neck begins about this far below the top of the brain
MOVE_MM = 50.0
BODY_TOP_MM = 100.0


@dataclass(frozen=True)
class _View:
    """The top of the scan on a coarse grid."""

    grid: Grid
    pet: NDArray[Any]
    ct: NDArray[Any] | None
    body: NDArray[np.bool_]

    def middle(self, region: NDArray[np.bool_]) -> Vector:
        return self.grid.to_physical(np.argwhere(region).mean(axis=0)[::-1])

    def top_mm(self, region: NDArray[np.bool_]) -> float:
        last = int(np.flatnonzero(region.any(axis=(1, 2)))[-1])
        return float(self.grid.to_physical([0, 0, last + 0.5])[2])


@dataclass(frozen=True)
class _Head:
    evidence: Evidence
    least: float
    center_mm: Vector
    top_mm: float
    brain_ml: float
    description: str

    @property
    def accepted(self) -> bool:
        least = self.least if self.evidence.enclosed is not None else 0.5
        return self.evidence.score >= least

    @property
    def margin(self) -> float:
        return self.evidence.score - self.least


def place_head(scan: PetCt, box_mm: Vector) -> Placement:
    """Place the box below the top of the brain, centered on it, moved where it would miss the neck.

    The published crops take the hot region at the top of the scan for the brain, even if it is a bladder, a heart or a
    sarcoma. Here it must also lie inside a head (:mod:`hnseg.preprocessing.crop.evidence`). Tried in order: a region
    above SUV 3; the base of a brain cut by the upper end of the scan; a region above SUV 2; a skull alone.
    """
    view = _look(scan)
    refused: list[_Head] = []
    for candidates in (_brains(view, BRAIN_SUV), _cut_brains(view), _brains(view, FAINT_SUV), _skull(view)):
        if candidates:
            best = max(candidates, key=lambda head: head.margin)
            if best.accepted:
                center = _keep_neck(best, view, box_mm)
                confidence = best.evidence.score
                return Placement(
                    box_below(center, best.top_mm, box_mm), best.description, confidence, brain_ml=best.brain_ml
                )
            refused.append(best)
    top = _body_at_top(scan, box_mm)
    why = refused[0].description if refused else f"nothing of {BRAIN_MIN_ML:g} ml exceeds SUV {FAINT_SUV:g}"
    reason = f"no head in view: {why}; the box is at the top of the scan, centered on the body"
    return Placement(top, reason, fallback=True)


def place_center(scan: PetCt, box_mm: Vector) -> Placement:
    """Place the box at the top of the scan, centered on the body, without looking for a head."""
    return Placement(_body_at_top(scan, box_mm), "top of the scan, centered on the body")


def _look(scan: PetCt) -> _View:
    low, high = scan.common_mm()
    grid = covering_grid(np.array([low[0], low[1], max(low[2], high[2] - SEARCH_MM)]), high, COARSE_MM)
    pet, ct = scan.pet_on(grid), scan.ct_on(grid)
    return _View(grid, pet, ct, body_mask(pet, ct))


def _brains(view: _View, threshold_suv: float) -> list[_Head]:
    """Regions of a brain's volume above a threshold, the five largest."""
    regions, _ = ndimage.label(view.pet > threshold_suv, structure=np.ones((3, 3, 3)))
    volumes = np.bincount(regions.ravel())[1:] * view.grid.voxel_ml
    found = []
    for number in np.argsort(volumes)[::-1][:5]:
        if volumes[number] < BRAIN_MIN_ML:
            break
        region = regions == number + 1
        slices = np.argwhere(region)[:, 0]
        heights = (int(np.quantile(slices, 0.5)), int(np.quantile(slices, 0.75)))
        center = view.middle(region)
        evidence = best_evidence(to_index(center, view.grid), heights, view.body, view.ct)
        description = f"hot region of {volumes[number]:.0f} ml above SUV {threshold_suv:g} {evidence.description}"
        found.append(_Head(evidence, ENCLOSED, center, view.top_mm(region), float(volumes[number]), description))
    return found


def _cut_brains(view: _View) -> list[_Head]:
    """Cross-sections at the upper end of the scan that are hot enough for the base of a brain."""
    count = round(CUT_MM / COARSE_MM)
    hot, body = view.pet[-count:] > BRAIN_SUV, view.body[-count:]
    pieces, number = ndimage.label(body)
    found = []
    for piece in (pieces == index + 1 for index in range(number)):
        inside = hot & piece
        volume = float(inside.sum()) * view.grid.voxel_ml
        if volume < CUT_MIN_ML or not inside[-2:].any():
            continue
        whole = np.zeros_like(view.body)
        whole[-count:] = piece
        center = view.middle(whole)
        last = view.pet.shape[0] - 1
        evidence = best_evidence(to_index(center, view.grid), (last - 1, last - 4), view.body, view.ct)
        description = (
            f"hot region of {volume:.0f} ml above SUV {BRAIN_SUV:g} at the upper end of the scan {evidence.description}"
        )
        found.append(_Head(evidence, CUT_ENCLOSED, center, view.top_mm(whole), volume, description))
    return found


def _skull(view: _View) -> list[_Head]:
    """The uppermost cross-sections, if bone closes them over ``SKULL_MM``; PET does not matter."""
    if view.ct is None:
        return []
    closed = np.zeros_like(view.body)
    height = round(SKULL_MM / COARSE_MM)
    scores: list[float] = []
    for z in range(view.body.shape[0] - 1, -1, -1):
        piece = largest_component(view.body[z])
        if piece is not None:
            closed[z] = piece
            scores.append(best_evidence(np.argwhere(piece).mean(axis=0), (z,), view.body, view.ct).score)
        if len(scores) == height or (piece is None and scores):
            break
    if len(scores) < height:
        return []
    enclosed = float(np.median(scores))
    description = f"no hot brain; bone in {enclosed:.0%} of the directions in the uppermost {SKULL_MM:g} mm of the body"
    evidence = Evidence(enclosed, HEAD_MM)
    return [_Head(evidence, 0.9, view.middle(closed), view.top_mm(closed), 0.0, description)]


def _keep_neck(head: _Head, view: _View, box_mm: Vector) -> Vector:
    """Axial center of the head, moved as little as needed to keep the middle of the neck inside the box."""
    center = np.array(head.center_mm[:2], dtype=np.float64)
    first = view.grid.to_index([0, 0, head.top_mm - NECK_BELOW_MM])[2]
    middles = []
    for z in range(max(0, int(min(first, view.body.shape[0] - 1))), -1, -1):
        piece = largest_component(view.body[z])
        if piece is None:
            continue
        points = np.argwhere(piece)
        if (np.ptp(points[:, 1]) + 1) * COARSE_MM > HEAD_MM:
            break  # the shoulders
        middles.append(view.grid.to_physical([*points.mean(axis=0)[::-1], z])[:2])
    if not middles:
        return center
    reach = np.maximum(box_mm[:2] / 2 - NECK_MARGIN_MM, 0)
    low, high = np.max(middles, axis=0) - reach, np.min(middles, axis=0) + reach
    target = np.where(low <= high, np.clip(center, low, high), (low + high) / 2)
    return np.clip(target, center - MOVE_MM, center + MOVE_MM)


def _body_at_top(scan: PetCt, box_mm: Vector) -> Vector:
    """Lower corner of a box at the top of the scan, centered on the body in its uppermost ``BODY_TOP_MM``."""
    low, high = scan.common_mm()
    grid = covering_grid(np.array([low[0], low[1], max(low[2], high[2] - BODY_TOP_MM)]), high, COARSE_MM)
    pieces = [largest_component(plane) for plane in body_mask(scan.pet_on(grid), scan.ct_on(grid))]
    middles = [np.argwhere(piece).mean(axis=0)[::-1] for piece in pieces if piece is not None]
    center = (low + high) / 2
    if middles:
        center = grid.to_physical([*np.median(middles, axis=0), 0])
    return box_below(center, float(high[2]), box_mm)
