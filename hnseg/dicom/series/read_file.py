"""What a walk keeps of one file, without its pixels."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.classify import DIRECTORY, ENHANCED, UNITS, known_terms, modality_of, reason_against
from hnseg.dicom.series.faults import SeriesFault
from hnseg.dicom.series.frames import flatten_frames
from hnseg.dicom.series.records import IMAGES, SliceRecord

# Attributes that tell volumes under one series UID apart, where positions repeat; in the order in which they are tried.
SPLITS = (
    "StackID",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
    "FrameReferenceTime",
    "AcquisitionTime",
    "ConvolutionKernel",
    "CorrectedImage",
    "ImageType",
)
FIELDS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "SeriesDescription"),
    *("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns", "SamplesPerPixel"),
    *("Units", "NumberOfFrames", "AcquisitionDate", "AcquisitionDateTime"),
    *SPLITS,
)
TAGS = [Tag(keyword) for keyword in FIELDS]
GROUP_TAGS = [Tag("SharedFunctionalGroupsSequence"), Tag("PerFrameFunctionalGroupsSequence")]
PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
UNDEFINED = 0xFFFFFFFF
Shared = TypeVar("Shared")
NO_DICOM = "no DICOM"
TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What slices of one volume have in common, apart from their geometry; identifying, and never shown."""

    patient_key: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_class: str = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)
    reason_against: tuple[str, str] | None
    units_hash: int
    is_attenuation_corrected: bool | None
    units: str = field(compare=False)
    image_type: tuple[str, ...] = field(compare=False)
    description: str = field(compare=False, repr=False)

    @property
    def owner(self) -> tuple[str, str, str]:
        """Patient, study and series: what is under one series UID, and can be several volumes."""
        return self.patient_key, self.study_uid, self.series_uid

    @property
    def is_image(self) -> bool:
        """Whether it can be a volume."""
        return self.reason_against is None and modality_of(self.sop_class) in IMAGES


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file: for each frame its series and its place.

    Attributes:
        sop_uid: Its instance.
        slices: Series and place of each frame; of a truncated file, as far as they are known.
        is_truncated: The file ends before its data does.
    """

    sop_uid: str = field(repr=False)
    slices: tuple[tuple[SeriesKey, SliceRecord], ...]
    is_truncated: bool = False


@dataclass(frozen=True)
class WalkMemory:
    """What the files of one walk share.

    Attributes:
        salt: What patients are hashed with.
        values: Tuples that were seen, so that equal ones are kept once.
    """

    salt: bytes = b""
    values: dict[Any, Any] = field(default_factory=dict)

    def share(self, value: Shared) -> Shared:
        """The equal value that was seen first."""
        return self.values.setdefault(value, value)


def read_file(path: Path, number: int, memory: WalkMemory) -> FileFacts:
    """Read the header of a file.

    Args:
        path: Any file.
        number: Its number in the walk.
        memory: Of the walk.

    Raises:
        SeriesFault: The file cannot be used: no DICOM, no image or structure, or without UIDs.
    """
    try:
        with open(path, "rb") as stream, quiet_pydicom():
            dataset = _read_header(stream)
            if not _is_complete(stream, dataset):
                return FileFacts(str(dataset.SOPInstanceUID), _slices([dataset], path, number, memory), True)
            frames = [dataset]
            if dataset.SOPClassUID in ENHANCED:
                stream.seek(0)
                frames = _read_frames(stream)
            return FileFacts(str(dataset.SOPInstanceUID), _slices(frames, path, number, memory))
    except SeriesFault:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can raise anything, and the walk goes on
        reason = f"cannot be read ({type(error).__name__}): {TRUNCATED}, damaged, or unreadable"
        raise SeriesFault(reason, is_damage=True) from None


def _read_header(stream: BinaryIO) -> Dataset:
    """Attributes of ``TAGS``; the file must be DICOM."""
    start = stream.read(132)
    if not start.strip(b"\x00"):
        raise SeriesFault("empty, or filled with zeros, as an interrupted copy is", is_damage=True)
    if start[128:] != b"DICM" and start[:2] != b"\x08\x00":  # the second: files from before the preamble
        raise SeriesFault(NO_DICOM)
    stream.seek(0)
    dataset = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=TAGS)
    sop_class = str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")
    if sop_class == DIRECTORY:
        raise SeriesFault("a DICOMDIR, which holds no image")
    missing = [
        name
        for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
        if not dataset.get(name)
    ]
    if missing:
        raise SeriesFault(f"without {', '.join(missing)}: {TRUNCATED}, or no image", missing[0], is_damage=True)
    return dataset


def _is_complete(stream: BinaryIO, dataset: Dataset) -> bool:
    """Whether the file holds all bytes that it announces; the stream stands where reading has ended."""
    has_pixels = modality_of(str(dataset.SOPClassUID)) in ("CT", "PT", "SEG")
    is_implicit, is_little_endian = dataset.original_encoding
    if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return True  # zlib has complained otherwise
    position, size = stream.tell(), os.fstat(stream.fileno()).st_size
    last: object = dataset.get_item(max(dataset.keys()))
    if isinstance(last, RawDataElement) and last.length not in (len(last.value or b""), UNDEFINED):
        return False
    order = "<" if is_little_endian else ">"
    head = stream.read(8)
    if len(head) < 8:
        return position <= size and not has_pixels
    group, element = struct.unpack(f"{order}HH", head[:4])
    if (group << 16 | element) not in PIXELS:
        return not has_pixels
    length = struct.unpack(f"{order}L", head[4:] if is_implicit else stream.read(4))[0]
    return _has_all_items(stream, size) if length == UNDEFINED else bool(stream.tell() + length <= size)


def _has_all_items(stream: BinaryIO, size: int) -> bool:
    """Whether encapsulated pixel data ends with its delimiter; items are skipped, not read."""
    while len(head := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            return True
        if (group, element) != (0xFFFE, 0xE000) or stream.tell() + length > size:
            return False
        stream.seek(length, os.SEEK_CUR)
    return False


def _read_frames(stream: BinaryIO) -> list[Dataset]:
    """The frames of an enhanced image."""
    dataset = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=[*TAGS, *GROUP_TAGS])
    frames = list(flatten_frames(dataset))
    announced = int(dataset.get("NumberOfFrames") or 0)
    if not frames or len(frames) != announced:
        reason = f"functional groups of {len(frames)} frames; the header announces {announced}"
        raise SeriesFault(reason, "PerFrameFunctionalGroupsSequence", is_damage=True)
    return frames


def _slices(
    frames: Sequence[Dataset], path: Path, number: int, memory: WalkMemory
) -> tuple[tuple[SeriesKey, SliceRecord], ...]:
    """Series and place of each frame of a file."""
    is_enhanced = frames[0].SOPClassUID in ENHANCED
    return tuple(
        (
            memory.share(_series_key(frame, memory.salt)),
            SliceRecord(
                path=os.fspath(path),
                file=number,
                frame=index if is_enhanced else None,
                sop_uid=str(frame.SOPInstanceUID),
                orientation=memory.share(_numbers(frame, "ImageOrientationPatient", 6)),
                position_mm=_numbers(frame, "ImagePositionPatient", 3),  # type: ignore[arg-type]  # three
                pixel_spacing_mm=memory.share(_numbers(frame, "PixelSpacing", 2)),  # type: ignore[arg-type]  # two
                rows=int(frame.get("Rows") or 0),
                columns=int(frame.get("Columns") or 0),
                moments=memory.share(tuple(hash(str(frame.get(name))) for name in SPLITS)),
            ),
        )
        for index, frame in enumerate(frames)
    )


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Finite numbers of an attribute; None where it does not hold ``count`` of them."""
    try:
        values = tuple(float(value) for value in dataset.get(keyword) or ())
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and all(abs(value) < float("inf") for value in values) else None


def _series_key(dataset: Dataset, salt: bytes) -> SeriesKey:
    """Series of a slice."""

    def text(keyword: str) -> str:
        return sys.intern(str(dataset.get(keyword) or "").strip())

    names = ("PatientID", "IssuerOfPatientID") if text("PatientID") else ("PatientName", "PatientBirthDate")
    patient = "\0".join(text(name) for name in names).strip("\0")
    corrections, image_type = _values(dataset, "CorrectedImage"), known_terms(_values(dataset, "ImageType"))
    return SeriesKey(
        patient_key=sys.intern(hashlib.sha256(salt + patient.encode()).hexdigest()[:16]) if patient else "",
        study_uid=text("StudyInstanceUID"),
        series_uid=text("SeriesInstanceUID"),
        sop_class=text("SOPClassUID"),
        frame_of_reference_uid=text("FrameOfReferenceUID"),
        reason_against=reason_against(
            text("SOPClassUID"),
            image_type,
            samples=int(dataset.get("SamplesPerPixel") or 1),
            frames=int(dataset.get("NumberOfFrames") or 1),
        ),
        units_hash=hash(text("Units")),
        is_attenuation_corrected="ATTN" in corrections if corrections else None,
        units=text("Units") if text("Units") in UNITS else "",
        image_type=image_type,
        description=text("SeriesDescription"),
    )


def _values(dataset: Dataset, keyword: str) -> list[str]:
    """Values of an attribute as text; empty where it is missing."""
    value = dataset.get(keyword)
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]
