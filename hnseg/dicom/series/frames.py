"""Frames of an enhanced multi-frame image as slices with the classic attributes.

DICOM PS3.3 C.7.6.16: attributes of a frame are in functional groups, those that are equal for all frames once in the
shared groups. Images that were converted (Legacy Converted Enhanced) keep the other classic attributes in "unassigned"
groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.valuerep import DT

GROUPS = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
    "CTAcquisitionDetailsSequence",
    "PETImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "PETFrameAcquisitionSequence",
    "PETFrameCorrectionFactorsSequence",
    "PETReconstructionSequence",
    "TemporalPositionSequence",
    "CardiacSynchronizationSequence",
    "RespiratorySynchronizationSequence",
)
LEFT_OUT = {
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "NumberOfFrames",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
}
UNITS = {"Bq/ml": ("BQML", None), "{SUVbw}g/ml": ("GML", "BW"), "{SUVlbm}g/ml": ("GML", "LBM")}


def is_enhanced(dataset: Dataset) -> bool:
    """Whether a dataset has functional groups for its frames."""
    return "PerFrameFunctionalGroupsSequence" in dataset or "SharedFunctionalGroupsSequence" in dataset


def flatten_frames(dataset: Dataset) -> Iterator[Dataset]:
    """A dataset for each frame, in the order of the frames, with the attributes of a classic slice and no pixels.

    ``InstanceNumber`` is the number of the frame, from 1; ``SOPInstanceUID`` and ``SOPClassUID`` are those of the file.
    """
    common = [element for element in dataset if element.keyword not in LEFT_OUT]
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for number, own in enumerate(frames, 1):
        flat = Dataset()
        for element in (*common, *_group_elements(shared), *_group_elements(own)):
            flat.add(element)
        _set(flat, "InstanceNumber", number)
        _add_classic_attributes(flat)
        yield flat


def _first(dataset: Dataset, keyword: str) -> Dataset:
    """First item of a sequence; an empty dataset where there is none."""
    items = dataset.get(keyword)
    return items[0] if items else Dataset()


def _group_elements(groups: Dataset) -> Iterator[DataElement]:
    """Attributes in the functional groups that describe a slice."""
    for keyword in GROUPS:
        yield from _first(groups, keyword)


def _set(flat: Dataset, keyword: str, value: object) -> None:
    """Set an attribute; an element that is there belongs to all frames and stays as it is."""
    flat.pop(keyword, None)
    setattr(flat, keyword, value)


def _add_classic_attributes(flat: Dataset) -> None:
    """Set what a classic slice states under another name."""
    if flat.get("FrameType"):
        _set(flat, "ImageType", flat.FrameType)
    if flat.get("FrameAcquisitionDuration") is not None:
        _set(flat, "ActualFrameDuration", round(float(flat.FrameAcquisitionDuration)))
    acquired = _moment(flat, "FrameAcquisitionDateTime")
    if acquired is not None:
        _set(flat, "AcquisitionDateTime", flat.FrameAcquisitionDateTime)
        _set(flat, "AcquisitionDate", acquired.strftime("%Y%m%d"))
        _set(flat, "AcquisitionTime", acquired.strftime("%H%M%S.%f"))
    _add_frame_reference_time(flat)
    if "DecayCorrection" not in flat and "DecayCorrected" in flat:
        _add_decay_correction(flat)
    if "Units" not in flat and flat.get("RealWorldValueMappingSequence"):
        codes = _first(_first(flat, "RealWorldValueMappingSequence"), "MeasurementUnitsCodeSequence")
        units, suv_type = UNITS.get(str(codes.get("CodeValue", "")), (None, None))
        if units is not None:
            flat.Units = units
        if suv_type is not None:
            flat.SUVType = suv_type


def _moment(flat: Dataset, keyword: str) -> datetime | None:
    """Date and time of an attribute; None where it is missing or not valid."""
    try:
        value = DT(str(flat.get(keyword) or ""))
    except ValueError:
        return None
    return value if isinstance(value, datetime) else None


def _add_frame_reference_time(flat: Dataset) -> None:
    """Milliseconds from the series' time to the average time of the frame."""
    reference = _moment(flat, "FrameReferenceDateTime")
    if reference is None or "FrameReferenceTime" in flat:
        return
    try:
        series = DT(f"{flat.get('SeriesDate') or ''}{flat.get('SeriesTime') or ''}")
    except ValueError:
        return
    if isinstance(series, datetime) and (series.tzinfo is None) == (reference.tzinfo is None):
        flat.FrameReferenceTime = f"{(reference - series).total_seconds() * 1000:.10g}"


def _add_decay_correction(flat: Dataset) -> None:
    """START, ADMIN or NONE: an enhanced image states whether and to which time decay is corrected."""
    if flat.DecayCorrected == "NO":
        flat.DecayCorrection = "NONE"
        return
    corrected = _moment(flat, "DecayCorrectionDateTime")
    if flat.DecayCorrected != "YES" or corrected is None:
        return
    injected = _moment(_first(flat, "RadiopharmaceuticalInformationSequence"), "RadiopharmaceuticalStartDateTime")
    started = _moment(flat, "AcquisitionDateTime")
    if corrected == injected:
        flat.DecayCorrection = "ADMIN"
    elif corrected == started:
        flat.DecayCorrection = "START"
