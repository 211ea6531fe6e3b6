"""Cases of an earlier call in the same folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hnseg.dicom.case_files import Layout, possible_files
from hnseg.dicom.case_ids import StudySource
from hnseg.dicom.tree_record import CaseState, read_known_cases
from hnseg.errors import OutputPathError
from hnseg.suv.body_size import SuvKind
from ssimh.files.artifact_cache import read_record
from ssimh.files.json_object import JsonObject


def refuse_other_suv(root: Path, layout: Layout, kind: SuvKind) -> None:
    """Refuse a cohort whose PETs are SUV of another kind: a case that could not be made again would stay in it.

    Raises:
        OutputPathError: A case is of another kind.
    """
    for case_id in read_known_cases(root).values():
        for record in read_complete_records(root, layout, case_id):
            stored = record["pet"]["suv_kind"] if "pet" in record else kind
            if stored != kind:
                raise OutputPathError(
                    f"{root} holds SUV of kind {stored} (case {case_id}), not {kind}; choose another folder"
                )


def mention_copies(states: Sequence[CaseState], sources: Sequence[StudySource]) -> tuple[CaseState, ...]:
    """Add to a case that another study of the tree has the same images."""
    first: dict[str, CaseState] = {}
    found = []
    for state, source in zip(states, sources, strict=True):
        other = first.setdefault(source.images, state)
        note = f"its images are also those of {other.case_id or f'study {other.study}'}: one study twice?"
        found.append(state if other is state else replace(state, notes=(*state.notes, note)))
    return tuple(found)


def mention_earlier_files(root: Path, layout: Layout, states: Sequence[CaseState]) -> tuple[CaseState, ...]:
    """Add to the problem of a case that its files of an earlier call are still there."""
    return tuple(
        replace(state, problem=f"{state.problem}; its files of an earlier call are still in the cohort")
        if state.problem is not None
        and state.case_id is not None
        and any(read_complete_records(root, layout, state.case_id))
        else state
        for state in states
    )


def read_complete_records(root: Path, layout: Layout, case_id: str) -> Iterator[JsonObject]:
    """Records of a case whose files were all written."""
    for files in possible_files(root, layout, case_id):
        record = read_record(files.record)
        if record is not None and record["outputs"] is not None:
            yield record
