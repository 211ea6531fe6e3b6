"""Structures of an RTSTRUCT: names and contours, as the file has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.structures.read_dataset import (
    list_referenced_series,
    read_dataset,
    read_integer,
    read_items,
    read_numbers,
    read_text,
)
from hnseg.errors import DicomError

RTSTRUCT = "RTSTRUCT"
# PS3.3 C.8.8.6.3: of several contours of the second type in a plane, each takes away or adds, as here for both.
CLOSED_TYPES = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_OTHER_TYPES = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR")


@dataclass(frozen=True)
class Structure:
    """One region of interest.

    Attributes:
        number: ROI number of the file.
        name: ROI name of the file.
        contours: Closed contours, float64 (n, 3) each, LPS mm.
        frame_of_reference_uid: The frame that the points are in; empty where the file does not say.
        series_uids: Of the series that the file refers to, of any structure.
        instance_uids: Of the images that the contours refer to.
        notes: What was left out and why.
    """

    number: int
    name: str
    contours: tuple[NDArray[np.float64], ...]
    frame_of_reference_uid: str = ""
    series_uids: tuple[str, ...] = ()
    instance_uids: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def read_structures(source: Path | Dataset, name: str = RTSTRUCT) -> tuple[Structure, ...]:
    """Read the structures of an RTSTRUCT, in the order of their list.

    Contours of other types than CLOSED_PLANAR (points, open lines) enclose nothing: they are left out, with a note.

    Args:
        source: File or dataset.
        name: The series, for errors and as in :class:`hnseg.errors.DicomError`.

    Raises:
        DicomError: No RTSTRUCT, a damaged one, no structure, two structures with one number, or a contour whose points
            are no triples of finite numbers.
    """
    with quiet_pydicom():
        return _read_dataset(read_dataset(source, name, modality=RTSTRUCT), name)


def _read_dataset(dataset: Dataset, name: str) -> tuple[Structure, ...]:
    rois = read_items(dataset, "StructureSetROISequence", name)
    if not rois:
        raise DicomError(name, "the file lists no structure", "StructureSetROISequence")
    numbers = [read_integer(roi, "ROINumber", name) for roi in rois]
    doubled = [number for number, count in Counter(numbers).items() if count > 1]
    if doubled:
        raise DicomError(name, f"{len(doubled)} structures share a number with another one", "ROINumber")
    items: dict[int, list[Dataset]] = {number: [] for number in numbers}
    for drawn in read_items(dataset, "ROIContourSequence", name):
        own = items.setdefault(read_integer(drawn, "ReferencedROINumber", name), [])
        own += read_items(drawn, "ContourSequence", name)
    series = list_referenced_series(dataset, name)
    return tuple(
        _read_structure(roi, number, items[number], series, name) for roi, number in zip(rois, numbers, strict=True)
    )


def _read_structure(
    roi: Dataset, number: int, items: Iterable[Dataset], series_uids: tuple[str, ...], series: str
) -> Structure:
    contours, instances, other = [], set(), Counter[str]()
    for item in items:
        kind = read_text(item, "ContourGeometricType", series)
        for image in read_items(item, "ContourImageSequence", series):
            instances.add(read_text(image, "ReferencedSOPInstanceUID", series))
        if kind not in CLOSED_TYPES:
            other[kind if kind in _OTHER_TYPES else "of an unknown type"] += 1
            continue
        points = _read_points(item, series)
        if len(points) < 3:
            other[f"{kind} of fewer than 3 points"] += 1
        else:
            contours.append(points)
    notes = tuple(f"{count} contours left out: {kind}" for kind, count in sorted(other.items()))
    return Structure(
        number,
        read_text(roi, "ROIName", series),
        tuple(contours),
        read_text(roi, "ReferencedFrameOfReferenceUID", series),
        series_uids,
        frozenset(instances),
        notes,
    )


def _read_points(item: Dataset, series: str) -> NDArray[np.float64]:
    numbers = read_numbers(item, "ContourData", series)
    if numbers.size % 3 or not np.isfinite(numbers).all():
        raise DicomError(
            series, f"a contour has {numbers.size} numbers; allowed are finite triples (x, y, z)", "ContourData"
        )
    return numbers.reshape(-1, 3)
