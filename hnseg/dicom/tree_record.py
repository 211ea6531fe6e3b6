"""The record of a tree, ``dicom.json``: what each series was used as, or why it was left out; no identifier."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hnseg.cohort.suv import MADE_BY
from hnseg.dicom.case_files import Layout
from hnseg.dicom.case_record import software
from hnseg.dicom.pair_studies import NO_CASE, TIERS, StudyPlan, structure_tier
from hnseg.dicom.series.records import STRUCTURES, SeriesIndex
from hnseg.workdir import write_json
from ssimh.files.json_object import JsonObject

RECORD_NAME = "dicom.json"
UNMATCHED = "none of its names matches a pattern"
NO_IMAGES = "its study has neither CT nor PET"


@dataclass(frozen=True)
class CaseState:
    """What became of a study.

    Attributes:
        study: Its number.
        case_id: Its ID; None where it has none.
        state: ``done``, ``kept`` (of an earlier run), ``failed``, or ``unfinished``.
        problem: Why it failed.
        record: The record of the case; None where there is none.
        changed: For a case that was made again, what has changed since; empty for a new one.
        notes: About it, beside those of its record.
    """

    study: int
    case_id: str | None
    state: str
    problem: str | None = None
    record: JsonObject | None = field(repr=False, default=None)
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_known_cases(root: Path) -> dict[str, str]:
    """IDs of the cases of earlier runs, by source; empty where there is no record, or a damaged one."""
    content = _read(root / RECORD_NAME)
    cases = content.get("known_cases") if content else None
    return {str(source): str(case_id) for source, case_id in cases.items()} if isinstance(cases, dict) else {}


def read_layout(root: Path) -> str | None:
    """Layout of the cohort in a folder; None where ``hnseg dicom`` wrote none there."""
    content = _read(root / RECORD_NAME)
    return str(content.get("layout")) if content and content.get("made_by") == MADE_BY else None


def _read(path: Path) -> JsonObject | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_tree_record(
    root: Path,
    layout: Layout,
    index: SeriesIndex,
    plans: Sequence[StudyPlan],
    states: Sequence[CaseState],
    known: Mapping[str, str],
    *,
    keep_uids: bool,
) -> None:
    """Write ``dicom.json``.

    Args:
        root: Folder of the cohort.
        layout: Of the cohort.
        index: All series of the tree.
        plans: What becomes of the studies.
        states: What became of them.
        known: IDs of all cases of the cohort by source, also of those that are not in the tree any more.
        keep_uids: Record the UIDs of series.
    """
    case_of = {state.study: state for state in states}
    content: JsonObject = {
        "made_by": MADE_BY,
        "layout": layout,
        "files": index.n_files,
        "cases": [_case(state, plan) for state, plan in zip(states, plans, strict=True)],
        "series": _series(index, plans, case_of, keep_uids=keep_uids),
        "left_out_files": dict(sorted(Counter(file.reason for file in index.unreadable).items())),
        "known_cases": dict(sorted(known.items(), key=lambda item: item[1])),
        "versions": software(),
    }
    write_json(root / RECORD_NAME, content)


def _case(state: CaseState, plan: StudyPlan) -> JsonObject:
    return {
        "id": state.case_id,
        "study": state.study,
        "state": state.state,
        "made_again_for": list(state.changed),
        "problem": state.problem,
        "no_mask": why_no_mask(state, plan),
        "notes": list(state.notes),
    }


def why_no_mask(state: CaseState, plan: StudyPlan) -> str | None:
    """Why a case has no mask; None where it has one, or where there is no case."""
    if state.record is None or state.record["label"] is not None:
        return None
    if count := state.record.get("unmatched_structures"):
        names = "structure, its name matches no" if count == 1 else "structures, no name matches a"
        return f"{count} {names} pattern; --show-names lists them"
    left_out = [s for s in plan.study.series if s.modality in STRUCTURES and s not in plan.structures]
    return "; ".join(f"{s.label}: {plan.reasons[s.number]}" for s in left_out) or "there are no structures"


def _series(
    index: SeriesIndex, plans: Sequence[StudyPlan], case_of: Mapping[int, CaseState], *, keep_uids: bool
) -> list[JsonObject]:
    plan_of = {s.number: plan for plan in plans for s in plan.study.series}
    rows: list[JsonObject] = []
    for record in index.series:
        plan = plan_of.get(record.number)
        used_as, why = None, record.why_unusable or NO_IMAGES
        if plan is not None:
            used_as, why = use_of(plan, record.number, case_of[plan.study.number])
        row: JsonObject = {
            "series": record.number,
            "name": record.label,
            "study": plan.study.number if plan else None,
            "case": case_of[plan.study.number].case_id if plan and used_as else None,
            "used_as": used_as,
            "why": why,
            "files": len(record.files),
            "notes": list(record.notes),
        }
        if keep_uids:
            row["series_uid"] = record.uid
        rows.append(row)
    return rows


def use_of(plan: StudyPlan, number: int, state: CaseState) -> tuple[str | None, str]:
    """What a series of a study is used as (``ct``, ``pet``, ``structures``, or nothing), and why."""
    if plan.problem is None and state.problem is not None:
        return None, f"{plan.reasons[number]}; {NO_CASE}"
    uses = {"ct": (plan.ct,), "pet": (plan.pet,), "structures": plan.structures}
    used_as = next((use for use, found in uses.items() if any(s and s.number == number for s in found)), None)
    if used_as == "structures" and state.record is not None:
        label, file = state.record["label"], [s.number for s in plan.structures].index(number) + 1
        if label is None or file in label["unmatched_files"]:
            return None, UNMATCHED
        if file not in label["files"]:
            first = plan.structures[label["files"][0] - 1]
            why_first = TIERS[structure_tier(first, plan.ct, plan.pet)]
            return None, f"{first.label} comes first, with structures {why_first}"
    return used_as, plan.reasons[number]
