"""From the files of a series to its volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.faults import SeriesFault
from hnseg.dicom.series.frames import flatten_frames
from hnseg.dicom.series.pixels import (
    AIR_HU,
    check_ct_unit,
    decode_pixels,
    padding_mask,
    read_rescale,
    rescale_into,
)
from hnseg.dicom.series.records import SeriesRecord, SliceRecord
from hnseg.dicom.series.stack import Stack, stack_slices
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.errors import DicomError

# Of files from before the preamble, by (implicit VR, little endian)
NATIVE: dict[tuple[bool | None, bool | None], UID] = {
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}
Tilt = Literal["resample", "refuse"]


def read_volume(series: SeriesRecord, *, tilt: Tilt = "resample") -> SeriesVolume:
    """Read a CT or PET series.

    Slices are in the order of their positions along the normal; spacing and origin come from positions alone. Every
    voxel is within 0.1 mm of where the header of its slice puts it (:mod:`hnseg.dicom.series.stack`).

    Args:
        series: A series of :func:`hnseg.dicom.series.walk.find_series`.
        tilt: What to do where slices lean against the line of their positions (gantry tilt). ``"resample"``: each is
            shifted within its own plane, by linear interpolation, onto a rectangular grid that holds them all; outside
            is −1024 HU for CT and 0 for PET. ``"refuse"``: raise.

    Returns:
        Values (z, y, x) in HU (CT) or in the unit of the header (PET).

    Raises:
        DicomError: The series cannot be used; names the series and the attribute.
    """
    if series.why_unusable is not None:
        raise DicomError(series.label, series.why_unusable, series.unusable_tag)
    if series.modality not in ("CT", "PT"):
        raise DicomError(series.label, "is no image; CT and PET are read as volumes", "SOPClassUID")
    try:
        with quiet_pydicom():
            return _read(series, tilt)
    except SeriesFault as fault:
        raise DicomError(series.label, fault.message, fault.tag) from None


def _read(series: SeriesRecord, tilt: Tilt) -> SeriesVolume:
    """Read the slices of a series into one array."""
    stack = stack_slices(series.slices)
    if stack.shifts_px is not None and tilt == "refuse":
        raise SeriesFault(f"a tilt of {stack.tilt_deg:.1f}°; allowed is none", "ImageOrientationPatient")
    first = series.slices[0]
    values = np.empty((len(stack.planes), first.rows, first.columns), np.float32)
    headers: list[Dataset | None] = [None] * len(stack.planes)
    plane_of = {index: number for number, plane in enumerate(stack.planes) for index in plane}
    warnings: dict[str, None] = {}
    repeated = 0
    for index, header, stored in _read_slices(series.slices):
        number = plane_of[index]
        slice_values = np.empty(values.shape[1:], np.float32) if headers[number] is not None else values[number]
        for warning in _fill(slice_values, stored, header, series.slices[index], series.modality):
            warnings[warning] = None
        if headers[number] is None:
            headers[number] = header
        elif np.array_equal(slice_values, values[number]):
            repeated += 1
        else:
            raise SeriesFault(
                "two slices with different pixels at one position, which no attribute tells apart",
                "ImagePositionPatient",
            )
    if repeated:
        warnings[f"{repeated} slices were there twice with the same pixels; one of each is used"] = None
    announced = header.get("NumberOfSlices")  # of a PET, for each volume
    if isinstance(announced, int) and announced > len(stack.planes) and series.parts == 1:
        warnings[f"NumberOfSlices is {announced}, and {len(stack.planes)} slices are there: is it complete?"] = None
    if stack.shifts_px is not None:
        values = _shift_slices(values, stack, AIR_HU if series.modality == "CT" else 0.0)
        warnings[
            f"slices lean by {stack.tilt_deg:.1f}° (gantry tilt): each was shifted within its plane by linear "
            "interpolation"
        ] = None
    return SeriesVolume(values, stack.grid, tuple(header for header in headers if header is not None), tuple(warnings))


def _read_slices(slices: Sequence[SliceRecord]) -> Iterator[tuple[int, Dataset, NDArray[Any]]]:
    """Number, header without pixels, and stored values of each slice; every file is read once."""
    by_file: dict[str, list[int]] = {}
    for index, part in enumerate(slices):
        by_file.setdefault(part.path, []).append(index)
    for path, indices in by_file.items():
        number = slices[indices[0]].file
        try:
            dataset = dcmread(path, force=True)
        except OSError as error:
            raise SeriesFault(f"file {number} of the walk can no longer be read ({type(error).__name__})") from None
        if dataset.get("SOPInstanceUID") != slices[indices[0]].sop_uid:
            raise SeriesFault(f"file {number} of the walk has changed since", "SOPInstanceUID")
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = NATIVE[dataset.original_encoding]
        is_enhanced = slices[indices[0]].frame is not None
        stored = [decode_pixels(dataset, slices[index].frame) for index in indices]
        flat = list(flatten_frames(dataset)) if is_enhanced else [dataset]
        if not is_enhanced:
            del dataset.PixelData
        for index, pixels in zip(indices, stored, strict=True):
            yield index, flat[slices[index].frame or 0], pixels


def _fill(
    target: NDArray[Any], stored: NDArray[Any], header: Dataset, part: SliceRecord, modality: str
) -> Iterator[str]:
    """Write the values of one slice; yields warnings."""
    if stored.shape != target.shape:
        raise SeriesFault(f"file {part.file} of the walk has pixels of another shape than its header", "Rows")
    slope, intercept = read_rescale(header)
    rescale_into(target, stored, slope, intercept)
    if modality != "CT":
        return
    warning = check_ct_unit(header)
    if warning is not None:
        yield warning
    try:
        is_padding = padding_mask(header, stored, slope, intercept)
    except SeriesFault as fault:
        yield f"{fault.message}; these pixels are left as they are"
        return
    if is_padding is not None:
        target[is_padding] = AIR_HU


def _shift_slices(values: NDArray[Any], stack: Stack, outside: float) -> NDArray[Any]:
    """Slices (z, y, x) on the stack's rectangular grid."""
    shifted = np.empty(stack.grid.shape, np.float32)
    _, rows, columns = values.shape
    if stack.shifts_px is None:
        raise ValueError("a stack without shifts has nothing to be shifted")
    for number, (dy, dx) in enumerate(stack.shifts_px.tolist()):
        padded = np.full(stack.grid.shape[1:], outside, np.float32)
        padded[:rows, :columns] = values[number]
        scipy.ndimage.shift(padded, (dy, dx), output=shifted[number], order=1, mode="constant", cval=outside)
    return shifted
