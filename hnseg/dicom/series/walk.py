"""From a folder tree of any shape to its series."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset, dcmread

from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.classify import modality_of
from hnseg.dicom.series.faults import SeriesFault
from hnseg.dicom.series.list_files import list_files
from hnseg.dicom.series.read_file import TRUNCATED, FileFacts, SeriesKey, WalkMemory, read_file
from hnseg.dicom.series.records import STRUCTURES, LeftOutFile, SeriesIndex, SeriesRecord, SliceRecord
from hnseg.dicom.series.split import split_slices
from hnseg.dicom.series.stack import stack_slices
from hnseg.progress import ProgressCallback, no_progress


def find_series(root: str | os.PathLike[str], progress: ProgressCallback = no_progress) -> SeriesIndex:
    """Find the series below a folder.

    Files may have any name and lie anywhere. Of each only a small record is kept, so that memory grows by about a
    kilobyte for each file, whatever its size. An instance that is there twice is used once; different content under one
    instance UID makes its series unusable.

    Args:
        root: Folder (links are followed, each folder once), or one file.
        progress: Called after each file.

    Raises:
        CohortError: There is nothing at ``root``.
    """
    paths = list(list_files(root))
    collected, memory = _Collected(), WalkMemory(secrets.token_bytes(16))
    for number, path in enumerate(paths, 1):
        try:
            collected.add(read_file(path, number, memory), path, number)
        except SeriesFault as fault:
            collected.left_out.append(LeftOutFile(number, path, fault.message, fault.is_damage))
        progress(number, len(paths), "files read")
    collected.place_truncated()
    left_out = sorted(collected.left_out, key=lambda file: file.number)
    return SeriesIndex(tuple(_records(collected)), tuple(left_out), len(paths))


class _Collected:
    """What was found so far.

    Attributes:
        groups: Slices by their series.
        left_out: Files that are in no series.
        ambiguous: Instances of which there is more than one content.
        truncated: Truncated instances that are in ``groups``.
        n_lost: Truncated files that are not, by the UID of their series.
    """

    def __init__(self) -> None:
        self.groups: dict[SeriesKey, list[SliceRecord]] = {}
        self.left_out: list[LeftOutFile] = []
        self.ambiguous: set[str] = set()
        self.truncated: set[str] = set()
        self.n_lost: Counter[str] = Counter()
        self._files: dict[str, tuple[Path, int]] = {}
        self._truncated: list[tuple[FileFacts, Path, int]] = []

    def add(self, facts: FileFacts, path: Path, number: int) -> None:
        """Sort the slices of a file into their series.

        Raises:
            SeriesFault: The file is one that was found before.
        """
        if facts.is_truncated:
            self._truncated.append((facts, path, number))
            return
        first, first_number = self._files.setdefault(facts.sop_uid, (path, number))
        if first_number != number:
            if is_same_content(first, path):
                raise SeriesFault("the same instance as another file")
            self.ambiguous.add(facts.sop_uid)
        for key, part in facts.slices:
            self.groups.setdefault(key, []).append(part)

    def place_truncated(self) -> None:
        """Count truncated files with their series; those of a series without any other file are one themselves."""
        series_uids = {key.series_uid for key in self.groups}
        for facts, path, number in self._truncated:
            [(key, part)] = facts.slices
            if facts.sop_uid in self._files:
                self.left_out.append(LeftOutFile(number, path, f"{TRUNCATED}; the same instance is there whole, too"))
            elif key.series_uid in series_uids and modality_of(key.sop_class) not in STRUCTURES:
                self.left_out.append(LeftOutFile(number, path, f"{TRUNCATED}: the file ends before its data does"))
                self.n_lost[key.series_uid] += 1
            else:
                self.groups.setdefault(key, []).append(part)
                self.truncated.add(facts.sop_uid)


def is_same_content(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes, or the same attributes with the same values."""
    try:
        if os.path.getsize(one) == os.path.getsize(other) and _digest(one) == _digest(other):
            return True
        with quiet_pydicom():
            return _content(one) == _content(other)
    except Exception:  # noqa: BLE001 - what cannot be compared counts as different, and its series is refused
        return False


def _digest(path: Path) -> bytes:
    """Digest of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _content(path: Path) -> Dataset:
    """All attributes of a file, without its meta information."""
    return dcmread(path, force=True)


def _records(collected: _Collected) -> Iterable[SeriesRecord]:
    """Series in the order of the walk: numbered by their first files."""
    found: list[tuple[SeriesKey, list[SliceRecord], str | None]] = []
    for key, slices in collected.groups.items():
        if modality_of(key.sop_class) in STRUCTURES:
            found += [(key, [part], None) for part in slices]
        elif key.reason_against is not None:
            found.append((key, slices, None))
        else:
            found += [(key, part, split_by) for part, split_by in split_slices(slices)]
    found.sort(key=lambda item: (item[1][0].file, item[1][0].frame or 0))
    parts: dict[tuple[str, str, str], list[int]] = {}
    for number, (key, _, _) in enumerate(found, 1):
        parts.setdefault(key.owner, []).append(number)
    owners = Counter(series_uid for _, _, series_uid in parts)
    damaged = Counter(file.path.parent for file in collected.left_out if file.is_damaged)
    n_volumes = Counter(key.owner for key, _, _ in found if key.is_image)
    for number, (key, slices, split_by) in enumerate(found, 1):
        record = _record(number, key, slices, collected)
        notes = []
        if key.is_image and (n_damaged := sum(damaged[folder] for folder in {path.parent for path in record.files})):
            notes.append(f"damaged files in its folder, of unknown series: {n_damaged}; is the volume complete?")
        if key.is_image and n_volumes[key.owner] > 1:
            told_by = split_by or "geometry, unit, corrections, or frame of reference"
            notes.append(f"one of {n_volumes[key.owner]} volumes under one series UID, told apart by {told_by}")
        if owners[key.series_uid] > 1:
            notes.append("another patient or study uses the same SeriesInstanceUID; they are kept apart")
        siblings = parts[key.owner]
        yield replace(record, part=siblings.index(number) + 1, parts=len(siblings), notes=tuple(notes))


def _record(number: int, key: SeriesKey, slices: Sequence[SliceRecord], collected: _Collected) -> SeriesRecord:
    """One series, with the reason against it or its grid."""
    record = SeriesRecord(
        number=number,
        modality=modality_of(key.sop_class),
        uid=key.series_uid,
        study_uid=key.study_uid,
        patient_key=key.patient_key,
        frame_of_reference_uid=key.frame_of_reference_uid,
        slices=tuple(slices),
        image_type=key.image_type,
        is_attenuation_corrected=key.is_attenuation_corrected,
        units=key.units,
        description=key.description,
    )
    reason = key.reason_against
    n_lost = collected.n_lost[key.series_uid]
    if n_truncated := n_lost + sum(part.sop_uid in collected.truncated for part in slices):
        total = len(record.files) + n_lost
        message = f"{n_truncated} of {total} files {TRUNCATED}; copy them again, or move them away to use the others"
        if total == 1:
            message = f"{TRUNCATED}: the file ends before its data does; copy it again"
        reason = message, "PixelData"
    twice = [part.file for part in slices if part.sop_uid in collected.ambiguous]
    if reason is None and twice:
        reason = f"{len(twice)} files with an instance UID that another file has with other content", "SOPInstanceUID"
    if reason is not None:
        return replace(record, why_unusable=reason[0], unusable_tag=reason[1])
    if record.modality in STRUCTURES:
        return record
    try:
        stack = stack_slices(slices)
    except SeriesFault as fault:
        return replace(record, why_unusable=fault.message, unusable_tag=fault.tag)
    ordered = tuple(slices[index] for plane in stack.planes for index in plane)
    return replace(record, slices=ordered, grid=stack.grid)
