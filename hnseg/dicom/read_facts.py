"""From the record of a series to what pairing needs, and what structures refer to."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.tag import Tag

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.classify import NO_VOLUME_TAGS
from hnseg.dicom.series.records import STRUCTURES, SeriesRecord
from hnseg.dicom.series_facts import SeriesFacts
from hnseg.dicom.structures.read_dataset import list_referenced_series, read_items, read_text, refuse_damage
from hnseg.errors import DicomError

_TAGS = [
    Tag(name) for name in ("ReferencedFrameOfReferenceSequence", "ReferencedSeriesSequence", "StructureSetROISequence")
]


def describe_series(record: SeriesRecord) -> SeriesFacts:
    """Facts of a series. For structures, the header of the file is read."""
    frame_uid, references = record.frame_of_reference_uid, frozenset[str]()
    why_unusable = record.why_unusable
    if why_unusable is None and record.modality in STRUCTURES:
        try:
            with quiet_pydicom():
                header = _read_references(record)
                references = frozenset(list_referenced_series(header, record.label))
                frame_uid = frame_uid or _referenced_frame(header, record.label)
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


def _read_references(record: SeriesRecord) -> Dataset:
    with refuse_damage(record.label):
        return dcmread(record.files[0], stop_before_pixels=True, force=True, specific_tags=_TAGS)


def _referenced_frame(header: Dataset, label: str) -> str:
    """The one frame of reference of all structures; empty where they have several or none."""
    rois = read_items(header, "StructureSetROISequence", label)
    frames = {read_text(roi, "ReferencedFrameOfReferenceUID", label) for roi in rois}
    references = read_items(header, "ReferencedFrameOfReferenceSequence", label)
    frames |= {read_text(item, "FrameOfReferenceUID", label) for item in references}
    frames.discard("")
    return frames.pop() if len(frames) == 1 else ""
