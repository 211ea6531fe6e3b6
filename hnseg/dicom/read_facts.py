"""From the record of a series to what pairing needs, and what structures refer to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.tag import Tag

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.classify import NO_VOLUME_TAGS
from hnseg.dicom.series.records import STRUCTURES, SeriesRecord
from hnseg.dicom.series_facts import SeriesFacts
from hnseg.dicom.structures.read_dataset import refuse_damage
from hnseg.errors import DicomError

_FIELDS = "ReferencedFrameOfReferenceSequence", "ReferencedSeriesSequence", "StructureSetROISequence"
_TAGS = [Tag(name) for name in _FIELDS]


def describe_series(record: SeriesRecord) -> SeriesFacts:
    """Facts of a series. For structures, the header of the file is read."""
    frame_uid, references = record.frame_of_reference_uid, frozenset[str]()
    why_unusable = record.why_unusable
    if why_unusable is None and record.modality in STRUCTURES:
        try:
            with quiet_pydicom(), refuse_damage(record.label):
                header = dcmread(record.files[0], stop_before_pixels=True, force=True, specific_tags=_TAGS)
                references = frozenset(_referenced_series(header))
                frame_uid = frame_uid or _referenced_frame(header)
        except DicomError as error:
            why_unusable = error.reason
    is_damaged = why_unusable is not None and record.unusable_tag not in NO_VOLUME_TAGS
    tag = f" [{record.unusable_tag}]" if record.why_unusable and record.unusable_tag else ""
    return SeriesFacts(
        number=record.number,
        label=record.label,
        modality=record.modality,
        uid=record.uid,
        study_uid=record.study_uid,
        patient_key=record.patient_key,
        frame_uid=frame_uid,
        is_damaged=is_damaged,
        why_unusable=why_unusable and f"{why_unusable}{tag}",
        voxels=record.rows * record.columns * len(record.slices),
        bounds_mm=record.bounds_mm,
        is_attenuation_corrected=record.is_attenuation_corrected,
        units=record.units,
        referenced_uids=references,
        notes=record.notes,
    )


def read_patient_ids(path: Path) -> frozenset[str]:
    """PatientID of a file, to compare it with a table; empty where there is none."""
    with quiet_pydicom():
        header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=[Tag("PatientID")])
        value = str(header.get("PatientID") or "").strip()
    return frozenset({value} if value else ())


def _referenced_series(header: Dataset) -> Iterator[str]:
    for item in header.get("ReferencedSeriesSequence") or ():
        yield str(item.get("SeriesInstanceUID", ""))
    for frame in header.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                yield str(series.get("SeriesInstanceUID", ""))


def _referenced_frame(header: Dataset) -> str:
    """The one frame of reference of all structures; empty where they have several or none."""
    rois = header.get("StructureSetROISequence") or ()
    frames = {str(roi.get("ReferencedFrameOfReferenceUID", "")) for roi in rois}
    frames |= {
        str(item.get("FrameOfReferenceUID", "")) for item in header.get("ReferencedFrameOfReferenceSequence") or ()
    }
    frames.discard("")
    return frames.pop() if len(frames) == 1 else ""
