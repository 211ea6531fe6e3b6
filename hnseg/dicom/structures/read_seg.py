"""Segments of a DICOM Segmentation object: binary, label map (Supplement 243), and fractional above a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.structures.place_frames import find_frame_grid, place_on_grid
from hnseg.dicom.structures.read_dataset import read_dataset, refuse_damage
from hnseg.dicom.structures.segment_codes import Concept
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
    category: Concept | None = None
    type: Concept | None = None
    region: Concept | None = None
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
    with quiet_pydicom(), refuse_damage(name):
        dataset = read_dataset(source, name, modality=SEG)
        kind = str(dataset.get("SegmentationType", ""))
        _check_kind(kind, threshold, name)
        described = {int(item.SegmentNumber): item for item in dataset.get("SegmentSequence") or ()}
        if not described:
            raise DicomError(name, "the file describes no segment", "SegmentSequence")
        frames = _read_frames(dataset, name)
        numbers = _segment_numbers(dataset, kind, len(frames), described, name)
        own, slices = find_frame_grid(dataset, name)
        if kind == FRACTIONAL:
            frames = frames >= np.ceil((threshold or 0) * int(dataset.get("MaximumFractionalValue", 255)))
        segments = []
        unknown_vox = int(np.count_nonzero(frames)) if kind == LABELMAP else 0
        for number, item in described.items():
            if number == 0:  # the background of a label map
                continue
            stack = _stack_frames(frames, numbers, slices, own, number, name)
            unknown_vox -= int(np.count_nonzero(stack)) if kind == LABELMAP else 0
            mask = stack if grid is None else place_on_grid(stack, own, grid, name)
            segments.append(_describe(dataset, item, number, mask, grid or own))
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
    try:
        pixels = dataset.pixel_array
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        # No text of the error: it may hold values of the file.
        raise DicomError(name, f"the frames cannot be decoded ({type(error).__name__})", "PixelData") from error
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    if pixels.size != np.prod(shape):
        raise DicomError(name, f"{pixels.size} voxels in {shape[0]} frames of {shape[1]} × {shape[2]}", "PixelData")
    return pixels.reshape(shape)


def _segment_numbers(
    dataset: Dataset, kind: str, count: int, described: dict[int, Dataset], name: str
) -> NDArray[np.int64] | None:
    """The segment of each frame; None for a label map, whose frames hold all segments."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if len(per_frame) != count:
        reason = f"{len(per_frame)} items for {count} frames"
        raise DicomError(name, reason, "PerFrameFunctionalGroupsSequence")
    if kind == LABELMAP:
        return None
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or ())
    numbers = [_segment_number(item, shared) for item in per_frame]
    if unknown := sorted(set(numbers) - set(described)):
        raise DicomError(name, f"frames of segment {unknown[0]}, which is not described", "ReferencedSegmentNumber")
    return np.asarray(numbers)


def _segment_number(item: Dataset, shared: Sequence[Dataset]) -> int:
    for group in (item, *shared):
        for identification in group.get("SegmentIdentificationSequence") or ():
            return int(identification.get("ReferencedSegmentNumber", -1))
    return -1


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


def _describe(dataset: Dataset, item: Dataset, number: int, mask: NDArray[np.bool_], grid: Grid) -> Segment:
    return Segment(
        number=number,
        name=str(item.get("SegmentLabel", "")).strip(),
        mask=mask,
        grid=grid,
        category=_read_concept(item, "SegmentedPropertyCategoryCodeSequence"),
        type=_read_concept(item, "SegmentedPropertyTypeCodeSequence"),
        region=_read_concept(item, "AnatomicRegionSequence"),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID", "")),
        series_uids=tuple(
            str(series.get("SeriesInstanceUID", "")) for series in dataset.get("ReferencedSeriesSequence") or ()
        ),
    )


def _read_concept(item: Dataset, keyword: str) -> Concept | None:
    for code in item.get(keyword) or ():
        parts = (code.get(part, "") for part in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"))
        return Concept(*(str(part) for part in parts))
    return None
