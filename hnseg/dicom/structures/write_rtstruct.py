"""A mask to an RTSTRUCT: contours half-way between the centers of voxels inside and outside.

Contours are those of contourpy, which Matplotlib draws with. The even-odd rule of
:mod:`hnseg.dicom.structures.rasterize` gives the same voxels back. A hole is a contour of its own within another one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from contourpy import LineType, contour_generator
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from hnseg.cohort.labels import Label
from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.structures.segment_codes import SEGMENT_CODES, SegmentCode
from hnseg.dicom.structures.source_headers import (
    CONTENT_DESCRIPTION,
    MANUFACTURER,
    MODEL,
    PATIENT_AND_STUDY,
    SERIES_DESCRIPTION,
    SERIES_NUMBER,
    check_mask,
    check_source,
    copy_references,
)
from hnseg.images.geometry import Grid
from ssimh._version import __version__
from ssimh.files.atomic import atomic_write

_DECIMALS_MM = 4  # a contour is half a voxel from any center


def write_rtstruct(
    mask: Label, grid: Grid, headers: Sequence[Dataset], target: Path, *, name: str = "CT series"
) -> None:
    """Write a mask as an RTSTRUCT of two structures, GTVp and GTVn; one without voxels has no contour.

    Args:
        mask: uint8 (z, y, x): 0 background, 1 GTVp, 2 GTVn.
        grid: Of the mask, which is that of the series.
        headers: Of the series, one for each slice in the order of z.
        target: File to write; a file there is replaced.
        name: The series, for errors.

    Raises:
        DicomError: The headers are not those of the grid, or lack what an RTSTRUCT needs.
        ValueError: The mask has another shape than the grid, or other values.
    """
    check_mask(mask, grid)
    with quiet_pydicom():
        check_source(headers, grid, name)
        dataset = _describe_set(headers, grid)
        dataset.StructureSetROISequence = []
        dataset.ROIContourSequence = []
        dataset.RTROIObservationsSequence = []
        for code in SEGMENT_CODES:
            _add_structure(dataset, code, mask == code.label, grid, headers)
        with atomic_write(target) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)


def trace_contours(mask: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Closed contours of a mask, slice by slice.

    Args:
        mask: bool (z, y, x).

    Yields:
        The slice, and the points (n, 2) of a contour in continuous index (x, y), the first not repeated at the end.
    """
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        rows, columns = np.flatnonzero(mask[k].any(axis=1)), np.flatnonzero(mask[k].any(axis=0))
        y0, x0 = int(rows[0]), int(columns[0])
        inside = mask[k, y0 : rows[-1] + 1, x0 : columns[-1] + 1]
        padded = np.pad(inside, 1).astype(np.float64)  # so that every contour closes
        lines = contour_generator(z=padded, name="serial", line_type=LineType.Separate).lines(0.5)
        for line in lines:
            yield int(k), np.asarray(line, dtype=np.float64)[:-1] + np.array([x0 - 1, y0 - 1])


def _describe_set(headers: Sequence[Dataset], grid: Grid) -> FileDataset:
    """The RTSTRUCT without structures."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    source = copy_references(headers[0], grid)
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    for keyword in PATIENT_AND_STUDY:
        if keyword in source:
            dataset.add(source[keyword])
    now = datetime.datetime.now()
    dataset.SOPClassUID, dataset.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    dataset.SeriesNumber, dataset.SeriesDescription = SERIES_NUMBER, SERIES_DESCRIPTION
    dataset.OperatorsName = ""
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = MANUFACTURER, MODEL, __version__
    dataset.StructureSetLabel, dataset.StructureSetDescription = "HNSEG", CONTENT_DESCRIPTION
    dataset.StructureSetDate, dataset.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.FrameOfReferenceUID = source.FrameOfReferenceUID
    dataset.PositionReferenceIndicator = source.get("PositionReferenceIndicator", "")
    dataset.ReferencedFrameOfReferenceSequence = [_refer_to_series(headers)]
    return dataset


def _refer_to_series(headers: Sequence[Dataset]) -> Dataset:
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = headers[0].SeriesInstanceUID
    images = {str(header.SOPInstanceUID): _refer_to_image(header) for header in headers}  # a multi-frame image once
    series.ContourImageSequence = list(images.values())
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # a study; retired, and what PS3.3 C.8.8.5 asks for
    study.ReferencedSOPInstanceUID = headers[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = headers[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _refer_to_image(header: Dataset) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return image


def _add_structure(
    dataset: Dataset, code: SegmentCode, mask: NDArray[np.bool_], grid: Grid, headers: Sequence[Dataset]
) -> None:
    listed, drawn, observed = Dataset(), Dataset(), Dataset()
    listed.ROINumber, listed.ROIName = code.label, code.name
    listed.ReferencedFrameOfReferenceUID = headers[0].FrameOfReferenceUID
    listed.ROIGenerationAlgorithm = "AUTOMATIC"
    drawn.ReferencedROINumber = code.label
    drawn.ROIDisplayColor = list(bytes.fromhex(code.color.removeprefix("#")))
    contours = [_make_contour(points, k, grid, headers[k]) for k, points in trace_contours(mask)]
    if contours:
        drawn.ContourSequence = contours
    observed.ObservationNumber = observed.ReferencedROINumber = code.label
    observed.RTROIInterpretedType, observed.ROIInterpreter = "GTV", ""
    dataset.StructureSetROISequence.append(listed)
    dataset.ROIContourSequence.append(drawn)
    dataset.RTROIObservationsSequence.append(observed)


def _make_contour(points: NDArray[np.float64], k: int, grid: Grid, header: Dataset) -> Dataset:
    index = np.column_stack([points, np.full(len(points), k)])
    item = Dataset()
    item.ContourImageSequence = [_refer_to_image(header)]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(points)
    item.ContourData = [f"{value:.{_DECIMALS_MM}f}" for value in grid.to_physical(index).ravel()]
    return item
