"""The mask of a case: of the structures whose names match a pattern.

Series of structures are tried in the order of the plan: those that refer to the CT, those that refer to the PET, the
others. The first of these groups in which a name matches counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from hnseg.cohort.labels import GTVP, LESION_CLASSES, Label
from hnseg.dicom.pair_studies import StudyPlan, name_way_out, structure_tier
from hnseg.dicom.quiet import quiet_pydicom
from hnseg.dicom.series.records import SeriesRecord
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.dicom.series_facts import SeriesFacts
from hnseg.dicom.structures.label_structures import (
    LabeledStructures,
    NamedMask,
    label_masks,
    label_structures,
)
from hnseg.dicom.structures.read_rtstruct import Structure, read_structures
from hnseg.dicom.structures.read_seg import read_segments
from hnseg.dicom.structures.structure_names import NameMatch, NamePattern, match_structure_names
from hnseg.errors import DicomError
from hnseg.images.geometry import Grid


@dataclass(frozen=True)
class UsedStructure:
    """A structure and its label; its name may hold an identifier.

    Attributes:
        series: Number of its series.
        number: Its number there.
        match: Name, label and pattern.
    """

    series: int
    number: int
    match: NameMatch = field(repr=False)


@dataclass(frozen=True)
class CaseLabel:
    """Mask of a case.

    Attributes:
        label: uint8 (z, y, x): 1 GTVp, 2 GTVn; None where no name matches a pattern.
        series: Numbers of the series that it was made from.
        structures: All structures of the series that were read, also those that were left out.
        notes: Without identifiers.
    """

    label: Label | None
    series: tuple[int, ...]
    structures: tuple[UsedStructure, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """A series of structures with the names of known labels."""

    record: SeriesRecord
    parts: tuple[Structure | NamedMask, ...]
    matches: tuple[NameMatch, ...]

    @property
    def labels(self) -> frozenset[int]:
        return frozenset(match.label for match in self.matches if match.label is not None)

    def used(self) -> tuple[UsedStructure, ...]:
        pairs = zip(self.parts, self.matches, strict=True)
        return tuple(UsedStructure(self.record.number, part.number, match) for part, match in pairs)


def label_case(
    plan: StudyPlan,
    records: Mapping[int, SeriesRecord],
    image: SeriesVolume,
    patterns: Sequence[NamePattern],
) -> CaseLabel:
    """Draw the structures of a case.

    Args:
        plan: The case.
        records: Series by number.
        image: Whose grid the mask is on.
        patterns: Of names.

    Raises:
        DicomError: Structures cannot be read or drawn, or several series hold structures of the same label.
    """
    seen: list[UsedStructure] = []
    for _, group in groupby(plan.structures, key=lambda s: _tier(plan, s)):
        read = [_read(records[facts.number], image.grid, patterns) for facts in group]
        seen += [used for one in read for used in one.used()]
        if matching := [one for one in read if one.labels]:
            if not plan.are_structures_chosen:
                _refuse_doubles(matching)
            drawn = [_draw(one, image, patterns) for one in matching]
            file_of = {facts.number: number for number, facts in enumerate(plan.structures, start=1)}
            notes = tuple(
                f"file {file_of[one.record.number]}: {note}"
                for one, image_of in zip(matching, drawn, strict=True)
                for note in image_of.notes
            )
            label = _merge([d.label for d in drawn])
            return CaseLabel(label, tuple(one.record.number for one in matching), tuple(seen), notes)
    return CaseLabel(None, (), tuple(seen), ())


def read_parts(record: SeriesRecord, grid: Grid | None = None) -> tuple[Structure | NamedMask, ...]:
    """The structures of an RTSTRUCT, or the segments of a SEG, with their names and numbers.

    Args:
        record: The series.
        grid: For the masks of segments; None: the grid of the file.

    Raises:
        DicomError: They cannot be read.
    """
    with quiet_pydicom():
        if record.modality == "RTSTRUCT":
            return read_structures(record.files[0], record.label)
        segments = read_segments(record.files[0], grid, record.label)
    return tuple(NamedMask(segment.number, segment.name, segment.mask) for segment in segments)


def _tier(plan: StudyPlan, structures: SeriesFacts) -> int:
    """Which structures are tried together; all that were chosen are."""
    return 0 if plan.are_structures_chosen else structure_tier(structures, plan.ct, plan.pet)


@contextmanager
def _with_way_out(record: SeriesRecord) -> Iterator[None]:
    """Structures that are refused cost the case: a mask that is silently missing is worse. Say how to go on."""
    try:
        yield
    except DicomError as error:
        raise DicomError(error.series, f"{error.reason}; {name_way_out(record.number)}", error.tag) from error


def _read(record: SeriesRecord, grid: Grid, patterns: Sequence[NamePattern]) -> _Read:
    with _with_way_out(record):
        parts = read_parts(record, grid)
    return _Read(record, parts, match_structure_names([part.name for part in parts], patterns))


def _draw(read: _Read, image: SeriesVolume, patterns: Sequence[NamePattern]) -> LabeledStructures:
    masks = [part for part in read.parts if isinstance(part, NamedMask)]
    contours = [part for part in read.parts if isinstance(part, Structure)]
    with _with_way_out(read.record):
        if masks:
            return label_masks(masks, image.grid, patterns, read.record.label)
        return label_structures(contours, image.grid, patterns, read.record.label)


def _refuse_doubles(matching: Sequence[_Read]) -> None:
    """Refuse series that hold the same label: two versions of the same contours, perhaps."""
    for lesion in LESION_CLASSES:
        holding = [one.record for one in matching if lesion.value in one.labels]
        if len(holding) > 1:
            options = " or ".join(f"--structure-series {record.number}" for record in holding)
            others = ", ".join(record.label for record in holding[1:])
            raise DicomError(holding[0].label, f"{others} also holds {lesion.name}; choose with {options}", "ROIName")


def _merge(labels: Sequence[Label]) -> Label:
    """One label image; where two series say different things, GTVp counts."""
    merged = labels[0].copy()
    for label in labels[1:]:
        np.copyto(merged, label, where=(label != 0) & (merged != GTVP))
    return merged
