"""The axes of a viewer's planes, and scans on grids along them.

All planes lie along the axes of the first scan, turned and flipped so that they run to the patient's left, back and
head: x, y, z of the *frame*, in mm from the center of the scan's first voxel. A scan with these axes keeps its own
voxels; another one is sampled on a grid along them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.images.simpleitk import load_sitk, to_array

SAME_AXES = 1e-4  # of direction cosines: 0.05 mm at the end of a 500 mm scan


@dataclass(frozen=True)
class AxisGrid:
    """A grid along the axes of a frame.

    Attributes:
        size: Voxels along x, y, z.
        spacing_mm: Along x, y, z.
        start_mm: Center of the first voxel, in the frame.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    start_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Placed:
    """Values (z, y, x) on a grid of a frame; ``is_sampled``: interpolated, since the scan has other axes."""

    values: NDArray[Any]
    grid: AxisGrid
    is_sampled: bool


@dataclass(frozen=True)
class Frame:
    """Position and axes of the planes.

    Attributes:
        origin_mm: Of the frame, (x, y, z), LPS.
        axes: (3, 3) direction cosines; the columns run to the left, back and head of the patient, or nearly so.
        extent: Grid of the first scan, turned and flipped.
    """

    origin_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    extent: AxisGrid

    def to_frame(self, points_mm: Any) -> NDArray[np.float64]:
        """Points (..., 3) in the frame, from LPS."""
        return (np.asarray(points_mm, np.float64) - self.origin_mm) @ self.axes

    def to_patient(self, points_mm: Any) -> NDArray[np.float64]:
        """Points (..., 3) in LPS, from the frame."""
        return self.origin_mm + np.asarray(points_mm, np.float64) @ self.axes.T


def find_frame(image: Any) -> Frame:
    """The frame of a case whose first scan is a SimpleITK image."""
    turned = turn(image)
    grid = AxisGrid(turned.GetSize(), turned.GetSpacing(), (0.0, 0.0, 0.0))
    return Frame(np.asarray(turned.GetOrigin()), _axes(turned), grid)


def turn(image: Any) -> Any:
    """A SimpleITK image with its axes in another order or direction, so that they run to the left, back and head."""
    return load_sitk().DICOMOrient(image, "LPS")


def place(image: Any, frame: Frame, *, is_mask: bool = False, outside: float = 0.0) -> Placed:
    """A SimpleITK image along the axes of a frame, cut to what the first scan covers.

    Args:
        image: On any grid.
        frame: Of the case.
        is_mask: Whether its values are copied from the nearest voxel where it has other axes; else they are
            interpolated linearly, at about its own spacing.
        outside: Value beyond the image where it has other axes.

    Returns:
        Its own voxels where it has the frame's axes. A mask with other axes is on the grid of the first scan.
    """
    turned = turn(image)
    if np.abs(_axes(turned) - frame.axes).max() <= SAME_AXES:
        start = [float(value) for value in frame.to_frame(turned.GetOrigin())]
        grid = AxisGrid(turned.GetSize(), turned.GetSpacing(), (start[0], start[1], start[2]))
        return _cut(Placed(to_array(turned), grid, False), frame.extent)
    grid = frame.extent if is_mask else _grid_like(turned.GetSpacing(), frame.extent)
    sitk = load_sitk()
    how = sitk.sitkNearestNeighbor if is_mask else sitk.sitkLinear
    origin = [float(value) for value in frame.to_patient(grid.start_mm)]
    geometry = (grid.size, sitk.Transform(), how, origin, grid.spacing_mm, frame.axes.ravel().tolist())
    kind = turned.GetPixelID() if is_mask else sitk.sitkFloat32
    return Placed(to_array(sitk.Resample(turned, *geometry, float(outside), kind)), grid, True)


def average(placed: Placed, spacing_mm: float) -> Placed:
    """Means over larger voxels: along each axis with a smaller spacing, voxels of at least ``spacing_mm``.

    The new voxels begin at the edge of the first one; the last one may reach beyond the scan and is the mean of what
    is there.
    """
    grid, values = placed.grid, np.asarray(placed.values, np.float32)
    size, spacing, start = list(grid.size), list(grid.spacing_mm), list(grid.start_mm)
    for axis in range(3):
        ratio = spacing_mm / spacing[axis]
        if ratio <= 1.001 or size[axis] == 1:
            continue
        values = _average_axis(values, 2 - axis, ratio)
        start[axis] += (spacing_mm - spacing[axis]) / 2
        size[axis], spacing[axis] = values.shape[2 - axis], spacing_mm
    larger = AxisGrid((size[0], size[1], size[2]), (spacing[0], spacing[1], spacing[2]), (start[0], start[1], start[2]))
    return Placed(values, larger, placed.is_sampled)


def _average_axis(values: NDArray[np.float32], axis: int, ratio: float) -> NDArray[np.float32]:
    """Means over ``ratio`` voxels along an axis, by weights of the parts of voxels."""
    length = values.shape[axis]
    edges = np.minimum(np.arange(int(np.ceil(length / ratio - 1e-6)) + 1) * ratio, length)
    bounds = list(itertools.pairwise(edges))
    weights = np.zeros((len(bounds), length), np.float32)
    for row, (low, high) in enumerate(bounds):
        first, last = int(low), int(np.ceil(high))
        inside = np.minimum(np.arange(first, last) + 1.0, high) - np.maximum(np.arange(first, last), low)
        weights[row, first:last] = inside / inside.sum()
    return np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)


def _axes(turned: Any) -> NDArray[np.float64]:
    return np.asarray(turned.GetDirection(), np.float64).reshape(3, 3)


def _grid_like(spacing_mm: tuple[float, ...], extent: AxisGrid) -> AxisGrid:
    """A grid of about this spacing that fills an extent."""
    lengths = [size * step for size, step in zip(extent.size, extent.spacing_mm, strict=True)]
    size = [max(1, round(length / step)) for length, step in zip(lengths, spacing_mm, strict=True)]
    step = [length / number for length, number in zip(lengths, size, strict=True)]
    start = [first + (new - old) / 2 for first, new, old in zip(extent.start_mm, step, extent.spacing_mm, strict=True)]
    return AxisGrid((size[0], size[1], size[2]), (step[0], step[1], step[2]), (start[0], start[1], start[2]))


def _cut(placed: Placed, extent: AxisGrid) -> Placed:
    """The voxels that lie in an extent, and one more on each side."""
    grid = placed.grid
    low, high = [], []
    for axis in range(3):
        first = extent.start_mm[axis] - extent.spacing_mm[axis] / 2
        last = first + extent.size[axis] * extent.spacing_mm[axis]
        steps = [(edge - grid.start_mm[axis]) / grid.spacing_mm[axis] for edge in (first, last)]
        low.append(int(np.clip(np.floor(steps[0] + 1e-3), 0, grid.size[axis] - 1)))
        high.append(int(np.clip(np.ceil(steps[1] - 1e-3) + 1, low[axis] + 1, grid.size[axis])))
    values = placed.values[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    start = [grid.start_mm[axis] + low[axis] * grid.spacing_mm[axis] for axis in range(3)]
    size = values.shape[::-1]
    return Placed(values, AxisGrid((size[0], size[1], size[2]), grid.spacing_mm, (start[0], start[1], start[2])), False)
