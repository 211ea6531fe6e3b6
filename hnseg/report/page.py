"""The report: one self-contained HTML page about a run.

No network, no second file: pictures are inside, the few lines of script only sort tables. Everything that comes from
files is escaped. What is missing is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.errors import CaseError
from hnseg.evaluation.case_scores import Overlap
from hnseg.evaluation.records import CaseRow, EvaluatedCohort, Interval, WorkdirEvaluation
from hnseg.evaluation.rules import Score
from hnseg.evaluation.score_specs import DEFINITION_TITLES, SUM_SCORES, ScoreSpec, headline
from hnseg.pictures.encoding import Picture
from hnseg.pictures.html import environment
from hnseg.pictures.planes import CT, PET, View
from hnseg.provenance import versions
from hnseg.report.data import (
    LARGE_CHANGE_HU,
    PreparationRow,
    RunFiles,
    flat_settings,
    load_run,
    preparation_rows,
    ranked_cases,
    validation_rows,
    warnings,
)
from hnseg.report.figures import draw_overlays, load_images, thumbnail
from hnseg.report.plots import (
    OTHER_SCORES,
    draw_centers,
    draw_changes,
    draw_learning,
    draw_parts,
    draw_scores,
    draw_sizes,
    draw_volumes,
    size_rows,
    styles_of,
)
from hnseg.workdir import write_text

THUMBNAILS = 4
TUNED_NAMES = {
    "min_gtvp_ml": "least GTVp, ml",
    "min_gtvn_ml": "least GTVn, ml",
    "max_node_distance_mm": "farthest node, mm",
}


def write_report(work: Path) -> Path:
    """Write ``report.html`` into a work directory, whole or not at all.

    Reads ``metrics.json`` and whatever else of ``docs/hnseg/workdir.md`` is there.

    Returns:
        The page.

    Raises:
        WorkDirError: ``metrics.json`` is missing or is not what evaluate writes.
    """
    files = load_run(work)
    html = _environment().get_template("report.html.j2").render(_content(files))
    path = work / "report.html"
    write_text(path, html)
    return path


def _environment() -> Environment:
    made = environment()
    made.filters["score"] = _as_score
    made.filters["interval"] = _as_interval
    return made


def _as_score(value: Score) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _as_interval(bounds: Interval | None, digits: int = 2) -> str:
    """An interval; an open upper bound is infinite."""
    if bounds is None:
        return "no interval"
    low, high = (("∞" if bound is None else f"{bound:.{digits}f}") for bound in bounds)
    return low if low == high == "∞" else f"{low} to {high}"


def _content(files: RunFiles) -> dict[str, object]:
    """Everything the template names."""
    return {**_results(files), **_making(files)}


def _results(files: RunFiles) -> dict[str, object]:
    """Scores, cases and pictures."""
    metrics, main, validation = files.metrics, files.metrics.main, files.metrics.validation
    held_out = metrics.ensemble is not None
    overlays, gaps = _overlays(files)
    baseline = metrics.threshold_baseline
    sizes = size_rows(main.by_size, None if baseline is None else baseline.by_size)
    has_scores, wanted = bool(main.cases), headline(metrics.rules)
    return {
        "warnings": warnings(files),
        "verdict": write_verdict(metrics),
        "challenge": metrics.rules.challenge,
        "tolerance_mm": metrics.rules.tolerance_mm,
        "methods": {key: name for key, (name, _, _) in styles_of(metrics).items()},
        "main_method": metrics.main_method,
        "kind": files.kind,
        "held_out": held_out,
        "headline": wanted,
        "sum_scores": SUM_SCORES,
        "definition_titles": DEFINITION_TITLES,
        "other_rows": [(spec, _other_row(metrics, spec)) for spec in OTHER_SCORES],
        "metrics": metrics,
        "main": main,
        "validation": validation,
        "validation_gap": _validation_gap(validation, main, wanted) if validation and held_out and has_scores else "",
        "cases": [_case_row(case, files) for case in main.cases],
        "skipped": metrics.skipped,
        "overlays": overlays,
        "windows": {"ct": CT.window, "pet": PET.window},
        "sizes": sizes,
        "figures": {
            "scores": draw_scores(metrics, wanted) if has_scores else None,
            "parts": draw_parts(metrics, wanted) if has_scores and held_out and validation else None,
            "volumes": draw_volumes(main.cases) if has_scores else None,
            "sizes": draw_sizes(sizes) if any(row.lesions for row in sizes) else None,
            "centers": draw_centers(main) if has_scores else None,
        },
        "gaps": [*files.gaps, *gaps],
    }


def _making(files: RunFiles) -> dict[str, object]:
    """How the results came about: training, preparation, settings."""
    rows = preparation_rows(files)
    changed = [row for row in rows if row.change_hu is not None and not row.reference]
    return {
        "work": str(files.work.resolve()),
        "generated": files.is_generated,
        "preset": files.config.get("preset"),
        "n_folds": len(files.splits.folds),
        "learning": draw_learning(files.logs) if files.logs else None,
        "fold_rows": validation_rows(files),
        "tuning": files.tuning,
        "tuned_names": TUNED_NAMES,
        "preparation": rows,
        "changes": draw_changes(rows, LARGE_CHANGE_HU) if changed else None,
        "large_change_hu": LARGE_CHANGE_HU,
        "thumbnails": _thumbnails(files, rows),
        "findings": files.findings,
        "provenance": files.run.provenance,
        "data_root": files.run.data_root,
        "settings": flat_settings({**files.config, "tuned": files.run.tuned.predict}),
        "splits": files.splits,
        "report_versions": versions(),
    }


def write_verdict(metrics: WorkdirEvaluation) -> str:
    """One sentence: on which of the three headline scores the ensemble beats both baselines."""
    if metrics.ensemble is None or metrics.threshold_baseline is None or metrics.empty_baseline is None:
        return (
            "No case was held out as a test case. These are the scores of the out-of-fold masks: every case, predicted "
            "by the one network that did not train on it. They helped to pick each network's epoch, so they are a "
            "little too good, and they say nothing about the ensemble."
        )
    won, lost, open_ = [], [], []
    wanted = headline(metrics.rules)
    for spec in wanted:
        own = metrics.ensemble[spec.key]
        others = [metrics.threshold_baseline[spec.key], metrics.empty_baseline[spec.key]]
        if own is None:
            open_.append(spec.title)
        elif all(other is None or own > other for other in others):
            won.append(spec.title)
        else:
            lost.append(spec.title)
    parts = []
    if len(won) == len(wanted):
        return "The ensemble scores above both baselines on all three measures."
    if won:
        parts.append(f"The ensemble scores above both baselines on {_and(won)}.")
    if lost:
        parts.append(f"{'It' if won else 'The ensemble'} does not beat both baselines on {_and(lost)}.")
    if open_:
        parts.append(f"Undefined here: {', '.join(open_)}.")
    return " ".join(parts)


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _validation_gap(validation: EvaluatedCohort, test: EvaluatedCohort, wanted: Sequence[ScoreSpec]) -> str:
    """In words, how far the test lies from validation."""
    parts = []
    for spec in wanted:
        before, after = validation[spec.key], test[spec.key]
        if before is not None and after is not None:
            parts.append(f"{spec.title} {after - before:+.3f}".replace("-", "−"))
    return f"Test minus validation: {', '.join(parts)}." if parts else ""


def _other_row(metrics: WorkdirEvaluation, spec: ScoreSpec) -> list[dict[str, str]]:
    """A score that the challenge does not rank by, one cell a method."""
    cells = []
    for method in styles_of(metrics):
        part: EvaluatedCohort = metrics[method]
        value, why = part[spec.key], part.undefined.get(spec.key, "")
        empty = "∞" if why.startswith("infinite") else "–"
        text = empty if value is None else f"{value:.{spec.digits}f}".replace("-", "−")
        bounds = part.bootstrap.intervals.get(spec.key)
        interval = _as_interval(bounds, min(spec.digits, 2)) if bounds else ""
        cells.append({"text": text, "why": why, "interval": interval})
    return cells


@dataclass(frozen=True)
class _CaseCells:
    """A case of the table; ``removed`` counts components, ``far`` holds the cells of HD95 by class."""

    scores: CaseRow
    removed: int | None
    removed_why: str
    fallback: str
    far: dict[str, dict[str, str]]


def _case_row(case: CaseRow, files: RunFiles) -> _CaseCells:
    record, prepared = files.predictions.get(case.case_id), files.prepared.get(case.case_id)
    removed = [part for part in record.removed if part.voxels] if record else []
    crop = prepared.crop if prepared else None
    return _CaseCells(
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
class _CaseOverlays:
    """The pictures of a case; ``whole``: of the whole images, since the crop's grid is not known."""

    rank: str
    case: CaseRow
    views: Sequence[View]
    whole: bool


def _overlays(files: RunFiles) -> tuple[list[_CaseOverlays], list[str]]:
    """Worst, median and best case as pictures, and what could not be drawn."""
    drawn, gaps = [], []
    for rank, case in ranked_cases(files.cases):
        inputs, prepared = files.inputs.get(case.case_id), files.prepared.get(case.case_id)
        if inputs is None:
            gaps.append(f"{case.case_id} is not in check.json: no overlay.")
            continue
        prediction = files.masks / f"{case.case_id}.nii.gz"
        grid = prepared.crop_grid if prepared else None
        try:
            shown: list[View] = draw_overlays(case.case_id, load_images(inputs, prediction, grid))
        except (CaseError, OSError, ValueError) as error:  # unreadable, or a crop grid that no grid can be
            gaps.append(f"No overlay of {error if isinstance(error, CaseError) else f'{case.case_id}: {error}'}")
            continue
        drawn.append(_CaseOverlays(rank, case, shown, whole=grid is None))
    return drawn, gaps


def _thumbnails(files: RunFiles, rows: Sequence[PreparationRow]) -> list[tuple[str, Picture]]:
    """Quality-control pictures: the conspicuous cases first, as the table is sorted, then test cases."""
    order = sorted(rows, key=lambda row: (not row.fallback, not row.large, row.part != "test"))
    paths = [(row.case_id, files.work / "prepared" / row.case_id / "qc.png") for row in order]
    there = [(case_id, path) for case_id, path in paths if path.is_file()][:THUMBNAILS]
    return [(case_id, thumbnail(path, f"Quality control of {case_id}")) for case_id, path in there]
