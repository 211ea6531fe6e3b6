"""The grid of a stack of slices, from the position of each (DICOM PS3.3 C.7.6.2.1.1).

Law: no voxel of a stack is more than ``TOLERANCE_MM`` from where its own header puts it. A stack for which no regular
grid does that is refused, except for one that leans: where positions go sideways by the same step from slice to slice
(gantry tilt), the planes are regular and each slice is to be shifted within its plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnseg.dicom.series.faults import SeriesFault
from hnseg.dicom.series.records import SliceRecord
from hnseg.errors import listed
from hnseg.images.geometry import Grid

TOLERANCE_MM = 0.1
ORIENTATION_TOLERANCE = 1e-3  # of direction cosines: length, and angle between row and column
MAX_TILT_DEG = 45.0
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their positions along the normal.

    Attributes:
        planes: For each plane the numbers of its slices in what was given; more than one where a position repeats.
        grid: Regular grid of the planes; it holds the shifted slices where there is a tilt.
        shifts_px: (n, 2) by how many pixels (y, x) each slice is to be shifted on the grid; None: not at all.
        tilt_deg: Angle between the normal and the line of the positions; 0 without a tilt.
    """

    planes: tuple[tuple[int, ...], ...]
    grid: Grid
    shifts_px: FloatArray | None = None
    tilt_deg: float = 0.0


def stack_slices(slices: Sequence[SliceRecord]) -> Stack:
    """Sort slices by their positions and find their grid.

    Raises:
        SeriesFault: Position, orientation or spacing is missing; there are fewer than two planes; slices are missing
            or irregular, or do not lie on a line.
    """
    axes = _axes(slices)
    positions = np.array([part.position_mm for part in slices], dtype=np.float64)
    planes = _planes(positions @ axes[2])
    if len(planes) < 2:
        raise SeriesFault("all slices are at one position; a volume has two at least", "ImagePositionPatient")
    firsts = positions[[plane[0] for plane in planes]]
    heights = firsts @ axes[2]
    step = _regular_step(heights)
    row_mm, column_mm = slices[0].pixel_spacing_mm or (0.0, 0.0)
    shifts = _shifts(firsts, axes, heights)
    shape = slices[0].columns, slices[0].rows
    origin = firsts[0]
    shifts_px, tilt = None, 0.0
    if np.abs(shifts).max() > TOLERANCE_MM:
        tilt = float(np.degrees(np.arctan(np.linalg.norm(shifts[-1]) / (heights[-1] - heights[0]))))
        shifts_px = shifts / (column_mm, row_mm)
        low, high = np.floor(shifts_px.min(axis=0) + 1e-6), np.ceil(shifts_px.max(axis=0) - 1e-6)
        origin = origin + low * (column_mm, row_mm) @ axes[:2]
        shape = shape[0] + int(high[0] - low[0]), shape[1] + int(high[1] - low[1])
        shifts_px = (shifts_px - low)[:, ::-1]
    x, y, z = origin.tolist()
    grid = Grid((*shape, len(planes)), (column_mm, row_mm, step), (x, y, z), tuple(axes.T.ravel()))
    stack = Stack(tuple(planes), grid, shifts_px, tilt)
    _check_corners(slices, stack)
    return stack


def _axes(slices: Sequence[SliceRecord]) -> FloatArray:
    """Directions of row, column and normal as rows of a matrix, at right angles, from the first slice; checks all."""
    for part in slices:
        if part.orientation is None:
            raise SeriesFault("a slice without its orientation", "ImageOrientationPatient")
        if part.position_mm is None:
            raise SeriesFault("a slice without its position", "ImagePositionPatient")
        if part.pixel_spacing_mm is None or min(part.pixel_spacing_mm) <= 0:
            raise SeriesFault("a slice without its pixel spacing, which must be above 0 mm", "PixelSpacing")
        if min(part.rows, part.columns) < 1:
            raise SeriesFault("a slice without rows or columns", "Rows")
        if (part.rows, part.columns) != (slices[0].rows, slices[0].columns):
            raise SeriesFault("slices of different sizes", "Rows")
    row, column = np.reshape(np.asarray(slices[0].orientation, np.float64), (2, 3))
    errors = (np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column)
    if np.abs(errors).max() > ORIENTATION_TOLERANCE:
        raise SeriesFault(
            "directions of row and column are not of length 1 at a right angle", "ImageOrientationPatient"
        )
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column /= np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)])


def _planes(heights: FloatArray) -> list[tuple[int, ...]]:
    """Slices by plane, from the lowest; slices within the tolerance of the plane's first are in one plane."""
    planes: list[list[int]] = []
    for index in np.argsort(heights, kind="stable").tolist():
        if planes and heights[index] - heights[planes[-1][0]] <= TOLERANCE_MM:
            planes[-1].append(index)
        else:
            planes.append([index])
    return [tuple(sorted(plane)) for plane in planes]


def _regular_step(heights: FloatArray) -> float:
    """Distance between planes; refuses gaps and irregular distances."""
    step = float(heights[-1] - heights[0]) / (len(heights) - 1)
    regular = heights[0] + step * np.arange(len(heights))
    if np.abs(heights - regular).max() <= TOLERANCE_MM:
        return step
    gaps = np.diff(heights)
    for usual in (float(np.median(gaps)), float(gaps.min())):
        counts = np.rint(gaps / usual).astype(int) - 1
        if counts.min() >= 0 and np.abs(gaps - (counts + 1) * usual).max() <= 2 * TOLERANCE_MM:
            raise SeriesFault(_describe_gaps(heights, usual, counts), "ImagePositionPatient")
    raise SeriesFault(
        f"distances between slices are not equal: {gaps.min():.4g} to {gaps.max():.4g} mm, {np.median(gaps):.4g} mm "
        f"at the median; allowed is {TOLERANCE_MM:g} mm from a regular position",
        "ImagePositionPatient",
    )


def _describe_gaps(heights: FloatArray, usual: float, counts: NDArray[np.int64]) -> str:
    """Message that names the positions between which slices are missing."""
    missing = int(counts.sum())
    places = [
        f"{counts[k]} between {heights[k]:.2f} and {heights[k + 1]:.2f} mm" for k in np.flatnonzero(counts).tolist()
    ]
    return (
        f"{missing} of {len(heights) + missing} slices missing (distance {usual:.4g} mm; positions along the normal): "
        f"{listed(places)}"
    )


def _shifts(firsts: FloatArray, axes: FloatArray, heights: FloatArray) -> FloatArray:
    """(n, 2) how far planes are displaced within themselves, mm along (row, column); on a straight line."""
    measured = (firsts - firsts[0]) @ axes[:2].T
    share = (heights - heights[0]) / (heights[-1] - heights[0])
    straight = share[:, np.newaxis] * measured[-1]
    if np.abs(measured - straight).max() > TOLERANCE_MM:
        raise SeriesFault(
            f"positions of slices jump sideways by up to {np.abs(measured - straight).max():.4g} mm; allowed is "
            f"{TOLERANCE_MM:g} mm from a straight line",
            "ImagePositionPatient",
        )
    if np.linalg.norm(measured[-1]) > np.tan(np.radians(MAX_TILT_DEG)) * (heights[-1] - heights[0]):
        raise SeriesFault(
            f"slices lean by more than {MAX_TILT_DEG:g}° against the line of their positions", "ImageOrientationPatient"
        )
    return straight


def _check_corners(slices: Sequence[SliceRecord], stack: Stack) -> None:
    """Compare the corners of every slice with its own header."""
    grid = stack.grid
    for number, plane in enumerate(stack.planes):
        shift = np.zeros(2) if stack.shifts_px is None else stack.shifts_px[number][::-1]
        for index in plane:
            part = slices[index]
            far = np.array([[i, j] for i in (0, part.columns - 1) for j in (0, part.rows - 1)], dtype=np.float64)
            own = voxel_positions_mm(part, far)
            found = grid.to_physical(np.column_stack([far + shift, np.full(4, number)]))
            error = float(np.linalg.norm(own - found, axis=1).max())
            if error > TOLERANCE_MM:
                raise SeriesFault(
                    f"orientation, pixel spacing or position of a slice differs from the others: {error:.4g} mm at a "
                    f"corner; allowed is {TOLERANCE_MM:g} mm",
                    "ImageOrientationPatient",
                )


def voxel_positions_mm(part: SliceRecord, pixels: FloatArray) -> FloatArray:
    """(n, 3) positions of pixels (n, 2), given as (column, row), by the header of their slice (C.7.6.2.1.1)."""
    row, column = np.reshape(np.asarray(part.orientation, np.float64), (2, 3))
    between_rows, between_columns = part.pixel_spacing_mm or (np.nan, np.nan)
    return (
        np.asarray(part.position_mm, np.float64)
        + pixels[:, :1] * between_columns * row
        + pixels[:, 1:] * between_rows * column
    )
