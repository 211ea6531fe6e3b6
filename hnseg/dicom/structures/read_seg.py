"""Segments of a DICOM Segmentation object: binary, label map (Supplement 243), and fractional above a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.coding import Code

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.structures.place_frames import find_frame_grid, place_on_grid
from hnseg.dicom.structures.read_dataset import (
    list_referenced_series,
    read_dataset,
    read_integer,
    read_items,
    read_text,
    refuse_damage,
)
from hnseg.errors import DicomError
from hnseg.images.geometry import Grid

SEG = "SEG"
BINARY, LABELMAP, FRACTIONAL = "BINARY", "LABELMAP", "FRACTIONAL"


@dataclass(frozen=True)
class Segment:
    """One segment of a file.

    Attributes:
        number: Of the segment.
        name: Label of the segment.
        mask: bool (z, y, x).
        grid: Of the mask.
        category, type, region: Codes; None where the file has none.
        frame_of_reference_uid: The frame that the grid is in.
        series_uids: Of the series that the file refers to.
    """

    number: int
    name: str
    mask: NDArray[np.bool_]
    grid: Grid
    category: Code | None = None
    type: Code | None = None
    region: Code | None = None
    frame_of_reference_uid: str = ""
    series_uids: tuple[str, ...] = ()


def read_segments(
    source: Path | Dataset, grid: Grid | None = None, name: str = SEG, *, threshold: float | None = None
) -> tuple[Segment, ...]:
    """Read the segments of a Segmentation object, in the order of its list. Segments may overlap.

    Args:
        source: File or dataset.
        grid: Of the series that the segments were drawn on: their masks are given on it, whatever the order and
            direction of frames, rows and columns in the file. None: the grid of the file's own frames, from the first
            slice to the last that has one.
        name: The series, for errors.
        threshold: Of a fractional segment, 0 to 1: voxels with at least this fraction are in it.

    Raises:
        DicomError: No Segmentation object, or a damaged one; frames that are no regular stack, or that do not lie on
            ``grid``; a voxel outside ``grid``; a fractional segmentation without a threshold, since a probability of
            0.5 and half of a voxel's volume are different things that the file's reader must decide on.
    """
    with quiet_pydicom():
        dataset = read_dataset(source, name, modality=SEG)
        kind = read_text(dataset, "SegmentationType", name)
        _check_kind(kind, threshold, name)
        items = read_items(dataset, "SegmentSequence", name)
        described = {read_integer(item, "SegmentNumber", name): item for item in items}
        if not described:
            raise DicomError(name, "the file describes no segment", "SegmentSequence")
        if len(described) < len(items):
            raise DicomError(name, "two segments have one number", "SegmentNumber")
        frames = _read_frames(dataset, name)
        numbers = _segment_numbers(dataset, kind, len(frames), described, name)
        own, slices = find_frame_grid(dataset, name)
        if kind == FRACTIONAL:
            largest = read_integer(dataset, "MaximumFractionalValue", name)
            frames = frames >= np.ceil((threshold or 0) * largest)
        segments = []
        unknown_vox = int(np.count_nonzero(frames)) if kind == LABELMAP else 0
        for number, item in described.items():
            if number == 0:  # the background of a label map
                continue
            stack = _stack_frames(frames, numbers, slices, own, number, name)
            unknown_vox -= int(np.count_nonzero(stack)) if kind == LABELMAP else 0
            mask = stack if grid is None else place_on_grid(stack, own, grid, name)
            segments.append(_describe(dataset, item, number, mask, grid or own, name))
        if unknown_vox:
            raise DicomError(name, f"{unknown_vox} voxels of segments that are not described", "PixelData")
        return tuple(segments)


def _check_kind(kind: str, threshold: float | None, name: str) -> None:
    if kind == FRACTIONAL and threshold is None:
        reason = "a fractional segmentation is no mask; a threshold between 0 and 1 would make one"
        raise DicomError(name, reason, "SegmentationType")
    if threshold is not None and not 0 < threshold <= 1:
        raise DicomError(name, f"threshold {threshold}; allowed is above 0, up to 1", "SegmentationType")
    if kind not in (BINARY, LABELMAP, FRACTIONAL):
        raise DicomError(name, f"the type must be {BINARY}, {LABELMAP} or {FRACTIONAL}", "SegmentationType")


def _read_frames(dataset: Dataset, name: str) -> NDArray[Any]:
    """Frames (n, rows, columns)."""
    frames = read_integer(dataset, "NumberOfFrames", name) if "NumberOfFrames" in dataset else 1
    shape = (frames, read_integer(dataset, "Rows", name), read_integer(dataset, "Columns", name))
    with refuse_damage(name, "PixelData"):
        pixels = dataset.pixel_array
    if pixels.size != np.prod(shape):
        raise DicomError(name, f"{pixels.size} voxels in {shape[0]} frames of {shape[1]} × {shape[2]}", "PixelData")
    return pixels.reshape(shape)


def _segment_numbers(
    dataset: Dataset, kind: str, count: int, described: dict[int, Dataset], name: str
) -> NDArray[np.int64] | None:
    """The segment of each frame; None for a label map, whose frames hold all segments."""
    per_frame = read_items(dataset, "PerFrameFunctionalGroupsSequence", name)
    if len(per_frame) != count:
        reason = f"{len(per_frame)} items for {count} frames"
        raise DicomError(name, reason, "PerFrameFunctionalGroupsSequence")
    if kind == LABELMAP:
        return None
    shared = read_items(dataset, "SharedFunctionalGroupsSequence", name)
    numbers = [_segment_number(item, shared, name) for item in per_frame]
    if unknown := sorted(set(numbers) - set(described)):
        raise DicomError(name, f"frames of segment {unknown[0]}, which is not described", "ReferencedSegmentNumber")
    return np.asarray(numbers)


def _segment_number(item: Dataset, shared: Sequence[Dataset], name: str) -> int:
    for group in (item, *shared):
        for identification in read_items(group, "SegmentIdentificationSequence", name):
            return read_integer(identification, "ReferencedSegmentNumber", name)
    raise DicomError(name, "a frame of no segment", "SegmentIdentificationSequence")


def _stack_frames(
    frames: NDArray[Any],
    numbers: NDArray[np.int64] | None,
    slices: NDArray[np.int64],
    own: Grid,
    number: int,
    name: str,
) -> NDArray[np.bool_]:
    """The mask of one segment on the grid of the frames."""
    of_segment = np.arange(len(frames)) if numbers is None else np.flatnonzero(numbers == number)
    placed = slices[of_segment]
    if len(np.unique(placed)) != len(placed):
        raise DicomError(name, f"segment {number} has two frames in one slice", "PlanePositionSequence")
    mask = np.zeros(own.shape, dtype=np.bool_)
    for frame, k in zip(of_segment, placed, strict=True):
        if numbers is None:
            np.equal(frames[frame], number, out=mask[k])
        else:
            mask[k] = frames[frame]
    return mask


def _describe(dataset: Dataset, item: Dataset, number: int, mask: NDArray[np.bool_], grid: Grid, name: str) -> Segment:
    return Segment(
        number=number,
        name=read_text(item, "SegmentLabel", name),
        mask=mask,
        grid=grid,
        category=_read_code(item, "SegmentedPropertyCategoryCodeSequence", name),
        type=_read_code(item, "SegmentedPropertyTypeCodeSequence", name),
        region=_read_code(item, "AnatomicRegionSequence", name),
        frame_of_reference_uid=read_text(dataset, "FrameOfReferenceUID", name),
        series_uids=list_referenced_series(dataset, name),
    )


def _read_code(item: Dataset, keyword: str, name: str) -> Code | None:
    for code in read_items(item, keyword, name):
        parts = (read_text(code, part, name) for part in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"))
        return Code(*parts)
    return None
