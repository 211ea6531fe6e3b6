"""Frames of a multi-frame image: the grid that they lie on, and their place on another grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from hnseg.dicom.structures.read_dataset import read_integer, read_items, read_numbers
from hnseg.errors import DicomError
from hnseg.images.geometry import Grid

TOLERANCE_VOX = 0.2  # between the centers of voxels; files round positions and spacings

_Index = NDArray[np.int64]
_Groups = Sequence[Dataset]  # functional groups


def find_frame_grid(dataset: Dataset, name: str) -> tuple[Grid, NDArray[np.int64]]:
    """The grid of the frames of a dataset, from the first slice to the last that has a frame.

    Args:
        dataset: Multi-frame, with functional groups.
        name: The series, for errors.

    Returns:
        grid: x along rows, y along columns, z along their cross product.
        slices: The slice of each frame.

    Raises:
        DicomError: A position, orientation or spacing is missing, differs where it must not, or the positions are no
            regular stack.
    """
    shared = read_items(dataset, "SharedFunctionalGroupsSequence", name)
    per_frame = read_items(dataset, "PerFrameFunctionalGroupsSequence", name)
    positions = _values(per_frame, shared, "PlanePositionSequence", "ImagePositionPatient", 3, name)
    [orientation] = _same(per_frame, shared, "PlaneOrientationSequence", "ImageOrientationPatient", 6, name)
    [spacing_mm] = _same(per_frame, shared, "PixelMeasuresSequence", "PixelSpacing", 2, name)
    row, column = orientation.reshape(2, 3)
    normal = np.cross(row, column)
    lengths = [float(np.linalg.norm(axis)) for axis in (row, column, normal)]
    if not np.allclose(lengths, 1, atol=1e-3):
        raise DicomError(name, "rows and columns are no unit vectors at a right angle", "ImageOrientationPatient")
    along_mm = positions @ normal
    first = int(np.argmin(along_mm))
    step_mm = _slice_step(along_mm, per_frame, shared, name)
    place = (along_mm - along_mm[first]) / step_mm
    slices: NDArray[np.int64] = np.rint(place).astype(np.int64)
    leans_mm = np.abs(positions - positions[first] - np.outer(along_mm - along_mm[first], normal)).max()
    if np.abs(place - slices).max() > TOLERANCE_VOX or leans_mm > TOLERANCE_VOX * float(spacing_mm.min()):
        raise DicomError(name, "the positions of the frames are no regular stack", "ImagePositionPatient")
    count = int(slices.max()) + 1
    if count > 1:  # the mean step, which rounds less than a single one
        step_mm = float(along_mm.max() - along_mm[first]) / (count - 1)
    grid = Grid(
        (read_integer(dataset, "Columns", name), read_integer(dataset, "Rows", name), count),
        (float(spacing_mm[1]), float(spacing_mm[0]), step_mm),
        tuple(positions[first]),
        tuple(np.stack([row, column, normal], axis=1).ravel()),
    )
    return grid, slices


def place_on_grid(mask: NDArray[np.bool_], own: Grid, grid: Grid, name: str) -> NDArray[np.bool_]:
    """A mask on another grid whose voxels are at the same places; no interpolation.

    Args:
        mask: (z, y, x) on ``own``.
        own: Its grid.
        grid: Where it goes; axes may be exchanged and turned round, and ``own`` may be a part of it.
        name: The series, for errors.

    Raises:
        DicomError: The voxels lie elsewhere, or one of the mask's is outside ``grid``.
    """
    if own.matches(grid, tolerance_mm=TOLERANCE_VOX * min(grid.spacing_mm)):
        return mask
    zero = grid.to_index(own.to_physical((0, 0, 0)))
    axes = np.stack([grid.to_index(own.to_physical(unit)) - zero for unit in np.eye(3)], axis=1)
    turn = np.rint(axes).astype(np.int64)
    offset = np.rint(zero).astype(np.int64)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in own.size], indexing="ij")).reshape(3, -1)
    away = np.abs(axes @ corners + zero[:, None] - (turn @ corners + offset[:, None])).max()
    if away > TOLERANCE_VOX or not np.array_equal(np.abs(turn) @ np.ones(3), np.ones(3)):
        raise DicomError(
            name, f"its voxels lie up to {away:.2g} voxels from those of the images", "ImagePositionPatient"
        )
    first, last = np.zeros(3, dtype=np.int64), np.array(own.size) - 1  # x, y, z on own
    low, high = _turned_bounds(first, last, turn, offset)
    if _is_outside(low, high, grid):  # frames may be, voxels must not
        if not mask.any():
            return np.zeros(grid.shape, dtype=np.bool_)
        first, last = _bounds(mask)
        low, high = _turned_bounds(first, last, turn, offset)
        if _is_outside(low, high, grid):
            raise DicomError(name, "voxels of a segment are outside the images", "ImagePositionPatient")
    part = mask[first[2] : last[2] + 1, first[1] : last[1] + 1, first[0] : last[0] + 1]
    source_axis = np.abs(turn).argmax(axis=1)  # of x, y, z of grid: the axis of own
    part = part.transpose([2 - int(source_axis[axis]) for axis in (2, 1, 0)])
    part = np.flip(part, tuple(2 - axis for axis in range(3) if turn[axis].sum() < 0))
    placed = np.zeros(grid.shape, dtype=np.bool_)
    placed[low[2] : high[2] + 1, low[1] : high[1] + 1, low[0] : high[0] + 1] = part
    return placed


def _turned_bounds(first: _Index, last: _Index, turn: _Index, offset: _Index) -> tuple[_Index, _Index]:
    ends = np.stack([turn @ first + offset, turn @ last + offset])
    return ends.min(axis=0), ends.max(axis=0)


def _is_outside(low: _Index, high: _Index, grid: Grid) -> bool:
    return bool((low < 0).any() or (high >= np.array(grid.size)).any())


def _bounds(mask: NDArray[np.bool_]) -> tuple[_Index, _Index]:
    """First and last index (x, y, z) of the voxels of a mask that has some."""
    along = [np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
    return np.array([a[0] for a in along]), np.array([a[-1] for a in along])


def _slice_step(along_mm: NDArray[np.float64], per_frame: _Groups, shared: _Groups, name: str) -> float:
    """Distance of neighboring slices: as stated, else the smallest between two frames, else the thickness."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        stated = _first_number(per_frame, shared, "PixelMeasuresSequence", keyword, name)
        if keyword == "SliceThickness":
            steps = np.diff(np.unique(np.round(along_mm, 3)))
            if steps.size:
                return float(steps.min())
        if stated > 0:
            return stated
    raise DicomError(name, "one slice, and nothing says how thick it is", "SpacingBetweenSlices")


def _first_number(per_frame: _Groups, shared: _Groups, sequence: str, keyword: str, name: str) -> float:
    """A number of the shared groups or of the first frame; 0 where it is missing."""
    for group in (*shared, *per_frame[:1]):
        for item in read_items(group, sequence, name):
            for number in read_numbers(item, keyword, name):
                return float(number)
    return 0.0


def _same(
    per_frame: _Groups, shared: _Groups, sequence: str, keyword: str, length: int, name: str
) -> NDArray[np.float64]:
    """A value that all frames share, as an array with one row."""
    is_shared = any(read_items(group, sequence, name) for group in shared)
    values = _values(per_frame[:1] if is_shared else per_frame, shared, sequence, keyword, length, name)
    if np.abs(values - values[0]).max() > 1e-4:
        raise DicomError(name, "the frames differ in it", keyword)
    return values[:1]


def _values(
    per_frame: _Groups, shared: _Groups, sequence: str, keyword: str, length: int, name: str
) -> NDArray[np.float64]:
    """A value of each frame (n, length), from the frame or shared."""
    default = next((item for group in shared for item in read_items(group, sequence, name)), Dataset())
    found = []
    for group in per_frame:
        value = read_numbers(next(iter(read_items(group, sequence, name)), default), keyword, name)
        if len(value) != length:
            raise DicomError(name, f"a frame has no {length} values", keyword)
        found.append(value)
    values = np.asarray(found, dtype=np.float64)
    if not found or not np.isfinite(values).all():
        raise DicomError(name, "missing or no finite numbers", keyword)
    return values
