"""Contours to voxels.

A voxel is inside a structure when its center is: when the ray from it along the grid's −x crosses the contours of its
plane an odd number of times (even-odd rule). So a contour within another one is a hole, a third within the hole is
filled, the two banks of a keyhole's channel cancel, and two contours that touch share no voxel and leave none out. A
center that lies on an edge belongs to the side of growing index (half-open, as pixels of a scan converter do).

Contours are taken to the grid's continuous index first, so that oblique and flipped grids are like any other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hnseg.dicom.structures.read_rtstruct import RTSTRUCT, Structure
from hnseg.errors import DicomError, listed
from hnseg.images.geometry import Grid

# Of a point from the plane of its slice, in slices: 0.3 mm at 3 mm. Files that round to 0.1 mm are within; a contour
# of another series, or drawn half-way between two slices, is not.
PLANE_TOLERANCE_SLICES = 0.1
_INDEX_DECIMALS = 6  # a point on a voxel's center stays there: 1e-6 voxels is the rounding of an oblique grid
_EDGE_TOLERANCE_VOX = 0.01  # beyond the outer faces of the image


@dataclass(frozen=True)
class RasterizedStructure:
    """A structure on a grid.

    Attributes:
        mask: bool (z, y, x).
        notes: What a reader must know: slices without contour between others, contours that were left out.
    """

    mask: NDArray[np.bool_]
    notes: tuple[str, ...]


def rasterize(structure: Structure, grid: Grid, name: str = RTSTRUCT) -> NDArray[np.bool_]:
    """The mask (z, y, x) of a structure; see :func:`rasterize_with_notes`."""
    return rasterize_with_notes(structure, grid, name).mask


def rasterize_with_notes(structure: Structure, grid: Grid, name: str = RTSTRUCT) -> RasterizedStructure:
    """Voxels whose centers are inside a structure's contours.

    A slice between contours that has none stays empty: nothing is interpolated, and a note says so.

    Args:
        structure: Of :func:`hnseg.dicom.structures.read_rtstruct.read_structures`.
        grid: Of the series that it was drawn on.
        name: The series, for errors.

    Raises:
        DicomError: A contour does not lie in a slice of the grid (0.1 slices tolerance), or a point is outside the
            image (0.01 voxels tolerance).
    """
    mask = np.zeros(grid.shape, dtype=np.bool_)
    planes: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for position, contour in enumerate(structure.contours, 1):
        index = np.round(grid.to_index(contour), _INDEX_DECIMALS)
        where = f"contour {position} of structure {structure.number}"
        planes[_find_slice(index, grid, name, where)].append(index[:, :2])
    notes = list(structure.notes)
    doubled, crossed = 0, []
    for k, contours in planes.items():
        different = _without_copies(contours)
        doubled += len(contours) - len(different)
        areas = [_fill_contour(contour, grid.shape[1:]) for contour in different]
        for area in areas:
            mask[k, area.y0 : area.y1, area.x0 : area.x1] ^= area.inside
        if any(_is_partial_overlap(a, b) for a, b in combinations(areas, 2)):
            crossed.append(k)
    if doubled:
        notes.append(f"{doubled} contours left out: the same one is there a second time")
    if crossed:
        which = listed([str(k) for k in sorted(crossed)])
        notes.append(f"contours overlap without one being in the other, their common part is outside: slices {which}")
    return RasterizedStructure(mask, (*notes, *_describe_gaps(sorted(planes))))


def _find_slice(index: NDArray[np.float64], grid: Grid, name: str, where: str) -> int:
    """The slice that a contour lies in."""
    nx, ny, nz = grid.size
    k = round(float(np.mean(index[:, 2])))
    away = float(np.abs(index[:, 2] - k).max())
    if away > PLANE_TOLERANCE_SLICES:
        allowed = PLANE_TOLERANCE_SLICES * grid.spacing_mm[2]
        message = (
            f"{where} is up to {away * grid.spacing_mm[2]:.3g} mm from the nearest slice; allowed is {allowed:.3g} mm"
        )
        raise DicomError(name, message, "ContourData")
    low, high = index[:, :2].min(axis=0), index[:, :2].max(axis=0)
    edge = 0.5 + _EDGE_TOLERANCE_VOX
    if not 0 <= k < nz or (low < -edge).any() or (high > np.array([nx, ny]) - 1 + edge).any():
        found = f"x {low[0]:.1f} to {high[0]:.1f}, y {low[1]:.1f} to {high[1]:.1f}, slice {k}"
        raise DicomError(
            name, f"{where} is outside the image of {nx} × {ny} × {nz} voxels: in voxels, {found}", "ContourData"
        )
    return k


def _without_copies(contours: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Contours without those that equal an earlier one; by the even-odd rule, a copy would erase both."""
    kept: list[NDArray[np.float64]] = []
    for contour in contours:
        if not any(contour.shape == other.shape and np.array_equal(contour, other) for other in kept):
            kept.append(contour)
    return kept


@dataclass(frozen=True)
class _Area:
    """Voxels inside a contour, within its box: rows y0 to y1, columns x0 to x1, without the last."""

    y0: int
    y1: int
    x0: int
    x1: int
    inside: NDArray[np.bool_]

    def part(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.bool_]:
        """What is within another box that lies in this one."""
        return self.inside[y0 - self.y0 : y1 - self.y0, x0 - self.x0 : x1 - self.x0]


def _is_partial_overlap(a: _Area, b: _Area) -> bool:
    """Whether two areas share voxels and neither contains the other."""
    box = max(a.y0, b.y0), min(a.y1, b.y1), max(a.x0, b.x0), min(a.x1, b.x1)
    if box[0] >= box[1] or box[2] >= box[3]:
        return False
    shared = np.count_nonzero(a.part(*box) & b.part(*box))
    return bool(0 < shared < min(np.count_nonzero(a.inside), np.count_nonzero(b.inside)))


def _fill_contour(contour: NDArray[np.float64], shape_yx: tuple[int, int]) -> _Area:
    """Voxels of a plane inside a contour.

    Args:
        contour: Closed contour (n, 2), continuous index (x, y).
        shape_yx: Of the plane.

    Each edge crosses the rows y of [lower end, upper end); right of a crossing, inside and outside change places.
    """
    (x0, y0), (x1, y1) = (
        np.clip(np.ceil(corner).astype(np.int64), 0, shape_yx[::-1]).tolist()
        for corner in (contour.min(axis=0), contour.max(axis=0))
    )
    height, width = y1 - y0, x1 - x0  # a center at the upper end is outside
    begin, end = contour, np.roll(contour, -1, axis=0)
    swapped = begin[:, 1] > end[:, 1]
    low, high = np.where(swapped[:, None], end, begin), np.where(swapped[:, None], begin, end)
    first = np.clip(np.ceil(low[:, 1]).astype(np.int64), y0, y1)
    last = np.clip(np.ceil(high[:, 1]).astype(np.int64), y0, y1)
    count = last - first
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    slope = (high[edge, 0] - low[edge, 0]) / (high[edge, 1] - low[edge, 1])
    crossing = np.round(low[edge, 0] + (row - low[edge, 1]) * slope, _INDEX_DECIMALS)
    column = np.clip(np.ceil(crossing).astype(np.int64), x0, x1)
    cell = (row - y0) * (width + 1) + column - x0
    crossings = np.bincount(cell, minlength=height * (width + 1)).reshape(height, width + 1)
    return _Area(y0, y1, x0, x1, np.cumsum(crossings[:, :width], axis=1) % 2 == 1)


def _describe_gaps(slices: list[int]) -> tuple[str, ...]:
    """A note on slices without a contour between slices that have one."""
    missing = sorted(set(range(slices[0], slices[-1])) - set(slices)) if slices else []
    if not missing:
        return ()
    which = listed([str(k) for k in missing])
    return (f"slices without a contour between others stay empty, nothing is interpolated: {which}",)
