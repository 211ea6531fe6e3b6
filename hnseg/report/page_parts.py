"""What the report of a run and that of an external cohort have in common: numbers, cases, pictures of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jinja2 import Environment

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.errors import CaseError
from hnseg.evaluation.case_scores import Overlap
from hnseg.evaluation.records import CaseRow, EvaluatedCohort, Interval
from hnseg.evaluation.rules import Score
from hnseg.evaluation.score_specs import ScoreSpec
from hnseg.pictures.html import environment
from hnseg.pictures.planes import View
from hnseg.report.data import ranked_cases
from hnseg.report.figures import draw_overlays, load_images
from hnseg.report.records import CaseFiles, PredictionRecord, PreparedRecord


class ScoredFiles(Protocol):
    """Scored cases and their files.

    Attributes:
        cases: Scored.
        masks: Folder of their masks.
        inputs, prepared, predictions: Images, preparation and prediction of each case by ID, as far as they are known.
    """

    @property
    def cases(self) -> Sequence[CaseRow]: ...
    @property
    def masks(self) -> Path: ...
    @property
    def inputs(self) -> Mapping[str, CaseFiles]: ...
    @property
    def prepared(self) -> Mapping[str, PreparedRecord]: ...
    @property
    def predictions(self) -> Mapping[str, PredictionRecord]: ...


def page_environment() -> Environment:
    """Templates with the filters ``score`` and ``interval``."""
    made = environment()
    made.filters["score"] = as_score
    made.filters["interval"] = as_interval
    return made


def as_score(value: Score) -> str:
    """A score with three digits."""
    return "undefined" if value is None else f"{value:.3f}"


def as_interval(bounds: Interval | None, digits: int = 2) -> str:
    """An interval; an open upper bound is infinite."""
    if bounds is None:
        return "no interval"
    low, high = (("∞" if bound is None else f"{bound:.{digits}f}") for bound in bounds)
    return low if low == high == "∞" else f"{low} to {high}"


def other_row(parts: Sequence[EvaluatedCohort], spec: ScoreSpec) -> list[dict[str, str]]:
    """A score that the challenge does not rank by, one cell a part."""
    cells = []
    for part in parts:
        value, why = part[spec.key], part.undefined.get(spec.key, "")
        empty = "∞" if why.startswith("infinite") else "–"
        text = empty if value is None else f"{value:.{spec.digits}f}".replace("-", "−")
        bounds = part.bootstrap.intervals.get(spec.key)
        interval = as_interval(bounds, min(spec.digits, 2)) if bounds else ""
        cells.append({"text": text, "why": why, "interval": interval})
    return cells


@dataclass(frozen=True)
class CaseCells:
    """A case of the table; ``removed`` counts components, ``far`` holds the cells of HD95 by class."""

    scores: CaseRow
    removed: int | None
    removed_why: str
    fallback: str
    far: dict[str, dict[str, str]]


def case_row(case: CaseRow, files: ScoredFiles) -> CaseCells:
    """The cells of a case."""
    record, prepared = files.predictions.get(case.case_id), files.prepared.get(case.case_id)
    removed = [part for part in record.removed if part.voxels] if record else []
    crop = prepared.crop if prepared else None
    return CaseCells(
        scores=case,
        removed=len(removed) if record else None,
        removed_why="; ".join(f"{part.volume_ml:g} ml {part.reason}" for part in removed),
        fallback=(crop.reason or "no reason given") if crop and crop.fallback else "",
        far={lesion.key: _distance(case[lesion.key]) for lesion in LESION_CLASSES},
    )


def _distance(overlap: Overlap) -> dict[str, str]:
    """HD95 of one class for the table: its text, what it is sorted by, and why it is no number."""
    if overlap.hd95_mm is not None:
        return {"text": f"{overlap.hd95_mm:.1f}", "sort": str(overlap.hd95_mm), "why": ""}
    if overlap.exactly_one_empty:
        return {"text": "∞", "sort": "1e9", "why": "one of the two masks is empty"}
    return {"text": "–", "sort": "", "why": "both masks are empty"}


@dataclass(frozen=True)
class CaseOverlays:
    """The pictures of a case; ``whole``: of the whole images, since the crop's grid is not known."""

    rank: str
    case: CaseRow
    views: Sequence[View]
    whole: bool


def draw_ranked_cases(files: ScoredFiles) -> tuple[list[CaseOverlays], list[str]]:
    """Worst, median and best case as pictures, and what could not be drawn."""
    drawn, gaps = [], []
    for rank, case in ranked_cases(files.cases):
        inputs, prepared = files.inputs.get(case.case_id), files.prepared.get(case.case_id)
        if inputs is None:
            gaps.append(f"{case.case_id} is not among the cases whose images are known: no overlay.")
            continue
        prediction = files.masks / f"{case.case_id}.nii.gz"
        grid = prepared.crop_grid if prepared else None
        try:
            shown: list[View] = draw_overlays(case.case_id, load_images(inputs, prediction, grid))
        except (CaseError, OSError, ValueError) as error:  # unreadable, or a crop grid that no grid can be
            gaps.append(f"No overlay of {error if isinstance(error, CaseError) else f'{case.case_id}: {error}'}")
            continue
        drawn.append(CaseOverlays(rank, case, shown, whole=grid is None))
    return drawn, gaps
