"""Slices under one series UID as volumes.

One UID can hold slices of several orientations, sizes and spacings, and the same positions several times: gates, time
points, reconstructions, bed positions that overlap. Orientation, size and spacing always separate. Where positions
repeat, the first attribute of :data:`hnseg.dicom.series.read_file.SPLITS` that leaves none repeated separates; an
attribute that differs without need (the acquisition time of each bed position) does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np

from hnseg.dicom.series.read_file import SPLITS
from hnseg.dicom.series.records import SliceRecord
from hnseg.dicom.series.stack import TOLERANCE_MM

SAME = 1e-3  # of direction cosines, and mm of pixel spacing: what is closer is one volume
Slices = list[SliceRecord]


def split_slices(slices: Sequence[SliceRecord]) -> list[tuple[Slices, str | None]]:
    """Volumes of a series, in the order of their first slices.

    Returns:
        For each volume its slices and the attribute that it was told from others by; None: by geometry, or alone.
    """
    return [part for group in _by_geometry(slices) for part in _by_repeats(group)]


def _by_geometry(slices: Sequence[SliceRecord]) -> list[Slices]:
    """Groups of one size, orientation and pixel spacing."""
    groups: list[Slices] = []
    for part in slices:
        for group in groups:
            if _is_alike(part, group[0]):
                group.append(part)
                break
        else:
            groups.append([part])
    return groups


def _is_alike(one: SliceRecord, other: SliceRecord) -> bool:
    """Whether two slices can be of one volume."""
    if (one.rows, one.columns) != (other.rows, other.columns):
        return False
    pairs = ((one.orientation, other.orientation), (one.pixel_spacing_mm, other.pixel_spacing_mm))
    for mine, its in pairs:
        if mine is None or its is None:
            if mine is not its:
                return False
        elif any(abs(a - b) > SAME for a, b in zip(mine, its, strict=True)):
            return False
    return True


def _by_repeats(slices: Slices) -> list[tuple[Slices, str | None]]:
    """Groups in which no position repeats, by one attribute or two; all slices where none can do that."""
    if not _repeats(slices):
        return [(slices, None)]
    for count in (1, 2):
        for chosen in combinations(range(len(SPLITS)), count):
            groups: dict[Hashable, Slices] = defaultdict(list)
            for part in slices:
                groups[tuple(part.moments[index] for index in chosen)].append(part)
            if len(groups) > 1 and all(len(group) > 1 and not _repeats(group) for group in groups.values()):
                name = ", ".join(SPLITS[index] for index in chosen)
                return [(group, name) for group in groups.values()]
    return [(slices, None)]


def _repeats(slices: Sequence[SliceRecord]) -> bool:
    """Whether two slices of one orientation are in one plane."""
    placed = [part.position_mm for part in slices if part.position_mm is not None]
    if slices[0].orientation is None or len(placed) < 2:
        return False
    row, column = np.reshape(np.asarray(slices[0].orientation, np.float64), (2, 3))
    heights = np.sort(np.asarray(placed, np.float64) @ np.cross(row, column))
    return bool((np.diff(heights) <= TOLERANCE_MM).any())
