"""The report of an external cohort that a run's models predicted, with the gap to the run's validation.

hnseg predict WORK DATA --out OUT
hnseg evaluate OUT DATA
hnseg report WORK --external OUT
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hnseg.evaluation.records import EvaluatedCohort
from hnseg.evaluation.score_gap import ScoreGap, measure_gaps
from hnseg.evaluation.score_specs import DEFINITION_TITLES, SUM_SCORES, ScoreSpec, headline
from hnseg.outputs import check_output_file
from hnseg.pictures.encoding import DPI, encode_png
from hnseg.pictures.planes import CT, PET
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.report.case_viewer import viewer_content, write_case_viewer
from hnseg.report.data import LARGE_CHANGE_HU, RunFiles, load_run, preparation_rows
from hnseg.report.external_files import ExternalFiles, external_warnings, load_external
from hnseg.report.external_scores import read_external_scores
from hnseg.report.page_parts import case_row, draw_ranked_cases, other_row, page_environment
from hnseg.report.paper_figures.score_comparison import compare_parts, draw_comparison, require_validation
from hnseg.report.paper_figures.style import paper_style
from hnseg.report.plots import OTHER_SCORES, draw_centers, draw_changes, draw_sizes, draw_volumes, size_rows
from hnseg.report.resolution_rows import resolution_rows
from hnseg.workdir import write_text

MARK = '<meta name="generator" content="hnseg report --external">'  # in every page, so that no other file is replaced
PAGE = "report.html"


@dataclass(frozen=True)
class PartColumn:
    """A column of the table of the gap: validation, test or external cohort."""

    name: str
    scores: EvaluatedCohort


def write_external_report(
    work: Path,
    external: Path,
    *,
    viewer_cases: int = 0,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Write ``report.html`` into the folder of an external cohort's masks, whole or not at all.

    Scores, cases, pictures and warnings as in the report of a run, and the gap between the run's out-of-fold validation
    and this cohort, as a table and as figure 4. Images and labels are those of the data root that ``metrics.json``
    names.

    Args:
        work: Evaluated, with out-of-fold masks; its models made the masks.
        external: Folder that ``hnseg predict WORK DATA --out`` wrote, with the ``metrics.json`` of ``hnseg evaluate``.
        viewer_cases, jobs, progress: As of :func:`hnseg.report.page.write_report`.

    Returns:
        The page.

    Raises:
        WorkDirError: Scores are missing or out of date, or the masks were made by other models or with other settings.
        OutputPathError: ``report.html`` there was not written by hnseg.
    """
    run = load_run(work)
    require_validation(run)
    files = load_external(run, external, read_external_scores(work, external, run.metrics), viewer_cases)
    page = external / PAGE
    inputs = [Path(path) for case in files.inputs.values() for path in (case.ct, case.pet, case.label) if path]
    check_output_file(page, inputs=inputs, is_ours=_is_ours)
    title, rules = f"Cases of {external.resolve().name}", files.metrics.rules
    viewer = write_case_viewer(page, title, files, rules, viewer_cases, jobs=jobs, progress=progress)
    content = {**_content(run, files), **viewer_content(viewer)}
    html = page_environment().get_template("external.html.j2").render(content)
    write_text(page, html)
    return page


def _is_ours(path: Path) -> bool:
    try:
        return MARK in path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _content(run: RunFiles, files: ExternalFiles) -> dict[str, object]:
    """Everything the template names."""
    validation, metrics = run.metrics.validation, files.metrics
    assert validation is not None  # require_validation has refused it
    wanted, parts = headline(metrics.rules), [metrics, validation]
    overlays, gaps = draw_ranked_cases(files)
    sizes = size_rows(metrics.by_size, None)
    rows = preparation_rows(files.prepared, [case.case_id for case in files.cases])
    changed = any(row.change_hu is not None for row in rows)
    return {
        **_making(run, files),
        "warnings": external_warnings(files),
        "challenge": metrics.rules.challenge,
        "tolerance_mm": metrics.rules.tolerance_mm,
        "methods": {"external": "External cohort", "validation": "Validation (out of fold)"},
        "main_method": "external",
        "kind": "external",
        "held_out": False,
        "headline": wanted,
        "sum_scores": SUM_SCORES,
        "definition_titles": DEFINITION_TITLES,
        "other_rows": [(spec, other_row(parts, spec)) for spec in OTHER_SCORES],
        "metrics": {"external": metrics, "validation": validation, "definitions": metrics.definitions},
        "main": metrics,
        "cases": [case_row(case, files) for case in files.cases],
        "skipped": metrics.skipped,
        "overlays": overlays,
        "windows": {"ct": CT.window, "pet": PET.window},
        "sizes": sizes,
        "preparation": rows,
        "resolution": resolution_rows(files.prepared),
        "changes": draw_changes(rows, LARGE_CHANGE_HU) if changed else None,
        "figures": {
            "scores": None,  # the bars of the gap show the same
            "volumes": draw_volumes(files.cases),
            "sizes": draw_sizes(sizes) if any(row.lesions for row in sizes) else None,
            "centers": draw_centers(metrics),
        },
        "gaps": [*files.gaps, *gaps],
        **_gap(run, files, wanted),
    }


def _gap(run: RunFiles, files: ExternalFiles, wanted: tuple[ScoreSpec, ...]) -> dict[str, object]:
    """Table and bars of validation, test and external cohort."""
    validation, test = run.metrics.validation, run.metrics.ensemble
    assert validation is not None
    columns = [PartColumn("Validation (out of fold)", validation)]
    columns += [PartColumn("Test of the run", test)] if test is not None and test.cases else []
    columns += [PartColumn("External", files.metrics)]
    sides = [[case.scores() for case in part.cases] for part in (validation, files.metrics)]
    with paper_style():
        shown = compare_parts(run.metrics, (files.masks, files.metrics))
        drawn = draw_comparison(shown, run.work, files.masks)
        picture = encode_png(drawn.figure, f"{drawn.caption} Values in the table below.", DPI)
    found = measure_gaps(sides[0], sides[1], wanted, files.metrics.rules)
    return {"columns": columns, "score_gaps": [(gap, _signed(gap)) for gap in found], "gap_figure": picture}


def _signed(gap: ScoreGap) -> tuple[str, str]:
    """A difference and its interval, with their signs."""
    if gap.difference is None:
        return "undefined", ""
    low, high = gap.interval or (None, None)
    bounds = "no interval" if low is None or high is None else f"{low:+.2f} to {high:+.2f}"
    return f"{gap.difference:+.3f}".replace("-", "−"), bounds.replace("-", "−")


def _making(run: RunFiles, files: ExternalFiles) -> dict[str, object]:
    """Which models made the masks, from which data."""
    there = [name for name in files.metrics.models if (run.work / name).is_file()]
    return {
        "mark": MARK,
        "name": files.masks.resolve().name,
        "masks": str(files.masks.resolve()),
        "work": str(run.work.resolve()),
        "generated": files.is_generated,
        "preset": run.config.get("preset"),
        "n_folds": len(files.metrics.models),
        "models": files.metrics.models,
        "compared": len(there) == len(files.metrics.models),
        "data_root": files.metrics.data_root,
        "provenance": run.run.provenance,
        "scored_with": files.metrics.versions,
        "report_versions": versions(),
        "large_change_hu": LARGE_CHANGE_HU,
        "thumbnails": [],
    }
