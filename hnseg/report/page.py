"""The report: one self-contained HTML page about a run.

No network, no second file: pictures are inside, the few lines of script only sort tables. Everything that comes from
files is escaped. What is missing is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hnseg.evaluation.records import EvaluatedCohort, WorkdirEvaluation
from hnseg.evaluation.score_specs import DEFINITION_TITLES, SUM_SCORES, ScoreSpec, headline
from hnseg.pictures.encoding import Picture
from hnseg.pictures.planes import CT, PET
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.report.case_viewer import viewer_content, write_case_viewer
from hnseg.report.data import (
    LARGE_CHANGE_HU,
    PreparationRow,
    RunFiles,
    flat_settings,
    load_run,
    preparation_rows,
    validation_rows,
    warnings,
)
from hnseg.report.figures import thumbnail
from hnseg.report.page_parts import case_row, draw_ranked_cases, other_row, page_environment
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
from hnseg.report.resolution_rows import resolution_rows
from hnseg.workdir import write_text

THUMBNAILS = 4
TUNED_NAMES = {
    "min_gtvp_ml": "least GTVp, ml",
    "min_gtvn_ml": "least GTVn, ml",
    "max_node_distance_mm": "farthest node, mm",
}


def write_report(work: Path, *, viewer_cases: int = 0, jobs: int = 1, progress: ProgressCallback = no_progress) -> Path:
    """Write ``report.html`` into a work directory, whole or not at all.

    Reads ``metrics.json`` and whatever else of ``docs/hnseg/workdir.md`` is there.

    Args:
        work: Evaluated.
        viewer_cases: Cases in the viewer beside the page (``report_files``), the worst scores first.
        jobs: Processes that pack them.
        progress: Called after each of them.

    Returns:
        The page.

    Raises:
        WorkDirError: ``metrics.json`` is missing or is not what evaluate writes.
    """
    files = load_run(work)
    path = work / "report.html"
    title, rules = f"Cases of {work.resolve().name}", files.metrics.rules
    viewer = write_case_viewer(path, title, files, rules, viewer_cases, jobs=jobs, progress=progress)
    html = page_environment().get_template("report.html.j2").render({**_content(files), **viewer_content(viewer)})
    write_text(path, html)
    return path


def _content(files: RunFiles) -> dict[str, object]:
    """Everything the template names."""
    return {**_results(files), **_making(files)}


def _results(files: RunFiles) -> dict[str, object]:
    """Scores, cases and pictures."""
    metrics, main, validation = files.metrics, files.metrics.main, files.metrics.validation
    held_out = metrics.ensemble is not None
    overlays, gaps = draw_ranked_cases(files)
    baseline = metrics.threshold_baseline
    sizes = size_rows(main.by_size, None if baseline is None else baseline.by_size)
    parts = [metrics[method] for method in styles_of(metrics)]
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
        "other_rows": [(spec, other_row(parts, spec)) for spec in OTHER_SCORES],
        "metrics": metrics,
        "main": main,
        "validation": validation,
        "validation_gap": _validation_gap(validation, main, wanted) if validation and held_out and has_scores else "",
        "cases": [case_row(case, files) for case in main.cases],
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
    rows = preparation_rows(files.prepared, files.splits.test)
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
        "resolution": resolution_rows(files.prepared),
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


def _thumbnails(files: RunFiles, rows: Sequence[PreparationRow]) -> list[tuple[str, Picture]]:
    """Quality-control pictures: the conspicuous cases first, as the table is sorted, then test cases."""
    order = sorted(rows, key=lambda row: (not row.fallback, not row.large, row.part != "test"))
    paths = [(row.case_id, files.work / "prepared" / row.case_id / "qc.png") for row in order]
    there = [(case_id, path) for case_id, path in paths if path.is_file()][:THUMBNAILS]
    return [(case_id, thumbnail(path, f"Quality control of {case_id}")) for case_id, path in there]
