"""The names of structures and what they are taken for: for a terminal, since names may hold identifiers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hnseg.dicom.label_case import read_parts
from hnseg.dicom.pair_studies import StudyPlan
from hnseg.dicom.series.records import SeriesIndex
from hnseg.dicom.structures.structure_names import NamePattern, match_structure_names
from hnseg.errors import DicomError


def list_structures(plans: Sequence[StudyPlan], index: SeriesIndex, patterns: Sequence[NamePattern]) -> Iterator[str]:
    """A line for each structure of each study: series, number, name, and the label that its name stands for."""
    records = {record.number: record for record in index.series}
    for plan in plans:
        for facts in plan.structures:
            try:
                parts = read_parts(records[facts.number])
            except DicomError as error:
                yield str(error)
                continue
            for part, match in zip(parts, match_structure_names([p.name for p in parts], patterns), strict=True):
                yield f"{facts.label}, structure {part.number}: {match}"
