"""Report: one self-contained HTML page about a run, for people.

No network, no second file: pictures are inside, the few lines of script only sort tables. Everything that comes from
files is escaped. What is missing is said, not hidden.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment

from hnseg.errors import CaseError
from hnseg.evaluation.overlap import Rules, Score
from hnseg.pictures.encoding import Picture
from hnseg.pictures.html import environment
from hnseg.pictures.planes import CT, PET, View
from hnseg.provenance import versions
from hnseg.report.data import (
    LARGE_CHANGE_HU,
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
    METHODS,
    OTHER_NAMES,
    SCORE_NAMES,
    draw_centers,
    draw_changes,
    draw_learning,
    draw_parts,
    draw_scores,
    draw_sizes,
    draw_volumes,
    size_rows,
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


def _as_interval(bounds: list[float | None] | None, digits: int = 2) -> str:
    """An interval; an open upper bound is infinite."""
    if bounds is None:
        return "no interval"
    low, high = (("∞" if bound is None else f"{bound:.{digits}f}") for bound in bounds)
    return low if low == high == "∞" else f"{low} to {high}"


def _content(files: RunFiles) -> dict[str, Any]:
    """Everything the template names."""
    return {**_results(files), **_making(files)}


def _results(files: RunFiles) -> dict[str, Any]:
    """Scores, cases and pictures."""
    metrics, ensemble = files.metrics, files.metrics["ensemble"]
    overlays, gaps = _overlays(files)
    sizes = size_rows(ensemble["by_size"], metrics["threshold_baseline"]["by_size"])
    scored, validated = bool(ensemble["cases"]), metrics.get("validation")
    wanted = headline(metrics)
    return {
        "warnings": warnings(files),
        "verdict": verdict(metrics),
        "challenge": _rules(metrics).challenge,
        "tolerance_mm": _rules(metrics).tolerance_mm,
        "methods": {key: name for key, (name, _, _) in METHODS.items()},
        "headline": wanted,
        "score_names": SCORE_NAMES,
        "defined_names": {
            **SCORE_NAMES,
            "surface_dice": "Surface Dice",
            "hd95": "HD95",
            "volume_error": "Volume error",
        },
        "other_names": OTHER_NAMES,
        "other_rows": {key: _other_row(metrics, key) for key in OTHER_NAMES},
        "metrics": metrics,
        "ensemble": ensemble,
        "validation": validated,
        "validation_gap": _validation_gap(metrics) if validated and scored else "",
        "cases": [_case_row(case, files) for case in ensemble["cases"]],
        "skipped": metrics.get("skipped", []),
        "overlays": overlays,
        "windows": {"ct": CT.window, "pet": PET.window},
        "sizes": sizes,
        "figures": {
            "scores": draw_scores(metrics, wanted) if scored else None,
            "parts": draw_parts(metrics, wanted) if scored and validated else None,
            "volumes": draw_volumes(ensemble["cases"]) if scored else None,
            "sizes": draw_sizes(sizes) if any(row["lesions"] for row in sizes) else None,
            "centers": draw_centers(ensemble) if scored else None,
        },
        "gaps": [*files.gaps, *gaps],
    }


def _making(files: RunFiles) -> dict[str, Any]:
    """How the results came about: training, preparation, settings."""
    config = files.run.get("config", {})
    rows = preparation_rows(files)
    changed = [row for row in rows if row["change_hu"] is not None and not row["reference"]]
    return {
        "work": str(files.work.resolve()),
        "generated": files.generated,
        "preset": config.get("preset"),
        "n_folds": len(files.splits.get("folds", [])),
        "learning": draw_learning(files.logs) if files.logs else None,
        "fold_rows": validation_rows(files),
        "tuning": files.tuning,
        "tuned_names": TUNED_NAMES,
        "preparation": rows,
        "changes": draw_changes(rows, LARGE_CHANGE_HU) if changed else None,
        "large_change_hu": LARGE_CHANGE_HU,
        "thumbnails": _thumbnails(files, rows),
        "findings": files.findings,
        "provenance": files.run.get("provenance", {}),
        "data_root": files.run.get("data_root"),
        "settings": flat_settings({**config, "tuned": files.run.get("tuned", {}).get("predict", {})}),
        "splits": files.splits,
        "report_versions": versions(),
    }


def _rules(metrics: dict[str, Any]) -> Rules:
    return Rules(**metrics.get("rules", {}))


def headline(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """The scores that count under the rules that evaluate used."""
    return _rules(metrics).headline


def verdict(metrics: dict[str, Any]) -> str:
    """One sentence: on which of the three headline scores the ensemble beats both baselines."""
    won, lost, open_ = [], [], []
    wanted = headline(metrics)
    for score in wanted:
        own = metrics["ensemble"][score]
        others = [metrics[name][score] for name in METHODS if name != "ensemble"]
        if own is None:
            open_.append(SCORE_NAMES[score])
        elif all(other is None or own > other for other in others):
            won.append(SCORE_NAMES[score])
        else:
            lost.append(SCORE_NAMES[score])
    parts = []
    if len(won) == len(wanted):
        return "The ensemble scores above both baselines on all three measures."
    if won:
        parts.append(f"The ensemble scores above both baselines on {_and(won)}.")
    if lost:
        parts.append(f"It does not beat both baselines on {_and(lost)}.".replace("It", "The ensemble", not won))
    if open_:
        parts.append(f"Undefined here: {', '.join(open_)}.")
    return " ".join(parts)


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _validation_gap(metrics: dict[str, Any]) -> str:
    """In words, how far the test lies from validation."""
    parts = []
    for score in headline(metrics):
        before, after = metrics["validation"][score], metrics["ensemble"][score]
        if before is not None and after is not None:
            parts.append(f"{SCORE_NAMES[score]} {after - before:+.3f}".replace("-", "−"))
    return f"Test minus validation: {', '.join(parts)}." if parts else ""


def _other_row(metrics: dict[str, Any], key: str) -> list[dict[str, str]]:
    """A score that the challenge does not rank by, one cell a method."""
    _, _, digits = OTHER_NAMES[key]
    cells = []
    for method in METHODS:
        part = metrics[method]
        value, why = part.get(key), part["undefined"].get(key, "")
        text = (
            ("∞" if why.startswith("infinite") else "–") if value is None else f"{value:.{digits}f}".replace("-", "−")
        )
        bounds = part["bootstrap"]["intervals"].get(key)
        cells.append({"text": text, "why": why, "interval": _as_interval(bounds, min(digits, 2)) if bounds else ""})
    return cells


def _case_row(case: dict[str, Any], files: RunFiles) -> dict[str, Any]:
    record = files.predictions.get(case["case_id"], {})
    removed = [entry for entry in record.get("removed", []) if entry.get("voxels")]
    crop = files.prepared.get(case["case_id"], {}).get("crop", {})
    return {
        **case,
        "removed": len(removed) if record else None,
        "removed_why": "; ".join(f"{r.get('volume_ml', 0):g} ml {r.get('reason', '')}" for r in removed),
        "fallback": crop.get("reason", "no reason given") if crop.get("fallback") else "",
        "far": {name: _distance(case[name]) for name in ("gtvp", "gtvn")},
    }


def _distance(overlap: dict[str, Any]) -> dict[str, str]:
    """HD95 of one class for the table: its text, what it is sorted by, and why it is no number."""
    if overlap["hd95_mm"] is not None:
        return {"text": f"{overlap['hd95_mm']:.1f}", "sort": str(overlap["hd95_mm"]), "why": ""}
    if bool(overlap["pred_vox"]) != bool(overlap["truth_vox"]):
        return {"text": "∞", "sort": "1e9", "why": "one of the two masks is empty"}
    return {"text": "–", "sort": "", "why": "both masks are empty"}


def _overlays(files: RunFiles) -> tuple[list[dict[str, Any]], list[str]]:
    """Worst, median and best case as pictures, and what could not be drawn."""
    drawn, gaps = [], []
    for rank, case in ranked_cases(files.cases):
        case_id = case["case_id"]
        if case_id not in files.inputs:
            gaps.append(f"{case_id} is not in check.json: no overlay.")
            continue
        prediction = files.work / "predictions" / f"{case_id}.nii.gz"
        try:
            grid = files.prepared.get(case_id, {}).get("crop_grid")
            shown: list[View] = draw_overlays(case_id, load_images(case_id, files.inputs[case_id], prediction, grid))
        except CaseError as error:
            gaps.append(f"No overlay of {error}")
            continue
        drawn.append({"rank": rank, "case": case, "views": shown, "whole": grid is None})
    return drawn, gaps


def _thumbnails(files: RunFiles, rows: list[dict[str, Any]]) -> list[tuple[str, Picture]]:
    """Quality-control pictures: the conspicuous cases first, as the table is sorted, then test cases."""
    order = sorted(rows, key=lambda row: (not row["fallback"], not row["large"], row["part"] != "test"))
    paths = [(row["case_id"], files.work / "prepared" / row["case_id"] / "qc.png") for row in order]
    there = [(case_id, path) for case_id, path in paths if path.is_file()][:THUMBNAILS]
    return [(case_id, thumbnail(path, f"Quality control of {case_id}")) for case_id, path in there]
