"""What the report shows, read from a work directory: only ``metrics.json`` must be there.

Everything else may be missing (a folder of predictions scored without a run, models deleted to save space); each gap
becomes a sentence in the report.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hnseg.cohort.checked_cohort import COHORT
from hnseg.errors import WorkDirError
from hnseg.workdir import read_json

LARGE_CHANGE_HU = 30.0  # soft tissues differ from each other by 20 to 60 HU: a larger mean change is not calibration
PHANTOM_RECORD = "phantom.json"  # hnseg.phantom leaves it in the root of every generated cohort
CURVES = ("epoch", "loss", "val_gtvp_dice", "val_gtvn_dice", "val_gtvn_f1", "val_score")
LogRow = dict[str, float | None]


@dataclass
class RunFiles:
    """The files of a run, as far as they are there.

    Attributes:
        work: Work directory of the run.
        metrics: ``metrics.json``.
        run, splits: Empty when the file is missing.
        inputs: Dict {case ID: row of check.json}.
        findings: Errors and warnings of the check.
        prepared: Dict {case ID: case.json}.
        predictions: Dict {case ID: record of the prediction}.
        logs: Dict {fold: list of epochs}.
        tuning: ``tuning.json``; empty when the post-processing was not tuned.
        gaps: What is missing, in sentences.
    """

    work: Path
    metrics: dict[str, Any]
    run: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    prepared: dict[str, dict[str, Any]] = field(default_factory=dict)
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[int, list[LogRow]] = field(default_factory=dict)
    tuning: dict[str, Any] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)

    @property
    def cases(self) -> list[dict[str, Any]]:
        """The ensemble's scored cases."""
        cases: list[dict[str, Any]] = self.metrics["ensemble"]["cases"]
        return cases

    @property
    def generated(self) -> bool:
        """Whether the cohort is the phantom, from the record that the generator leaves beside it."""
        root = self.run.get("data_root")
        return bool(root) and (Path(str(root)) / PHANTOM_RECORD).is_file()


def load_run(work: Path) -> RunFiles:
    """Read what a work directory holds.

    Raises:
        WorkDirError: ``metrics.json`` is missing or is not what evaluate writes.
    """
    metrics = read_json(work / "metrics.json", "evaluate")
    ensemble = metrics.get("ensemble")
    if not isinstance(ensemble, dict) or not {"cases", "by_size", "bootstrap"} <= set(ensemble):
        raise WorkDirError(f"{work / 'metrics.json'} has no `ensemble` with `cases`: run `hnseg evaluate` again")
    files = RunFiles(work, metrics)
    files.run = _optional(work / "run.json", files.gaps, "settings and versions are unknown")
    files.splits = _optional(work / "splits.json", files.gaps, "the split is unknown")
    check = _optional(work / "check.json", files.gaps, "no image can be shown, and the input check is unknown")
    files.inputs = {case["id"]: case for case in check.get("cases", [])}
    files.findings = list(check.get("findings", []))
    files.prepared = _records(work / "prepared", "*/case.json", files.gaps, lambda path: path.parent.name)
    files.predictions = _records(work / "predictions", "*.json", files.gaps, lambda path: path.stem)
    files.logs = _logs(work / "models", files.gaps)
    if (work / "tuning.json").is_file():
        files.tuning = _optional(work / "tuning.json", files.gaps, "how post-processing was chosen is unknown")
    return files


def _optional(path: Path, gaps: list[str], consequence: str) -> dict[str, Any]:
    if not path.is_file():
        gaps.append(f"{path.name} is missing: {consequence}.")
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        gaps.append(f"{path.name} cannot be read: {consequence}.")
        return {}
    return content


def _records(folder: Path, pattern: str, gaps: list[str], name: Any) -> dict[str, dict[str, Any]]:
    found = {
        name(path): _optional(path, gaps, f"nothing is known from {path}") for path in sorted(folder.glob(pattern))
    }
    if not found:
        gaps.append(f"{folder.name}/ has no record ({pattern}).")
    return {key: record for key, record in found.items() if record}


def _logs(folder: Path, gaps: list[str]) -> dict[int, list[LogRow]]:
    logs: dict[int, list[LogRow]] = {}
    for path in sorted(folder.glob("fold_*/log.csv")):
        number = path.parent.name.removeprefix("fold_")
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [{key: _number(row.get(key)) for key in CURVES} for row in csv.DictReader(file)]
            logs[int(number)] = [row for row in rows if row["epoch"] is not None]
        except ValueError:
            gaps.append(f"models/{path.parent.name}/log.csv cannot be read.")
    if not logs:
        gaps.append("models/ has no training log: no learning curves.")
    return dict(sorted(logs.items()))


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def warnings(files: RunFiles) -> list[str]:
    """Everything that a reader has to know before believing a score, in sentences."""
    said: list[str] = []
    fallbacks = [case_id for case_id, record in files.prepared.items() if record.get("crop", {}).get("fallback")]
    if fallbacks:
        told = [str(files.prepared[case_id]["crop"].get("reason", "no reason given")) for case_id in fallbacks]
        reasons = list(dict.fromkeys(told))
        more = "" if len(reasons) == 1 else f" (so in {fallbacks[0]}; the others: see “Crop and harmonization” below)"
        said.append(f"Crop fallback in {_count(fallbacks, files.prepared)}: {reasons[0]}{more}.")
    moved = [case_id for case_id, record in files.prepared.items() if (_change_hu(record) or 0) > LARGE_CHANGE_HU]
    if moved:
        why = (
            "The published spectrum swap puts the lowest frequencies of a reference patient's slices in place of this "
            "patient's; they hold shape as well as brightness, so a change of this size moves anatomy and is not a "
            "mere calibration."
        )
        swapped = any(files.prepared[i]["harmonization"].get("method") == "spectrum-swap" for i in moved)
        said.append(
            f"Harmonization changed soft tissue by more than {LARGE_CHANGE_HU:g} HU on average in "
            f"{_count(moved, files.prepared)}." + (f" {why}" if swapped else "")
        )
    unable = {i: h["fallback"] for i, r in files.prepared.items() if (h := r.get("harmonization", {})).get("fallback")}
    if unable:
        first = next(iter(unable))
        said.append(
            f"Harmonization could not be done as asked in {_count(list(unable), files.prepared)}: {unable[first]}"
            + ("." if len(set(unable.values())) == 1 else f" (so in {first}).")
        )
    outside = [i for i, record in files.prepared.items() if (record.get("label_outside_box_ml") or 0) > 0]
    if outside:
        said.append(f"The crop box cuts off a part of the true tumor in {_count(outside, files.prepared)}.")
    told_already = {COHORT}
    for severity, effect in (("error", "left out"), ("warning", "used, with a warning")):
        named = {finding["case_id"] for finding in files.findings if finding.get("severity") == severity} - told_already
        told_already |= named
        if named:
            said.append(f"Input check: {_count(sorted(named), None)} {effect}; see “Input check” below.")
    skipped = [entry["case_id"] for entry in files.metrics.get("skipped", [])]
    if skipped:
        said.append(f"{_count(skipped, None)} of the test set not scored: {files.metrics['skipped'][0]['reason']}.")
    missing = files.metrics["ensemble"].get("missing", [])
    if missing:
        said.append(f"{_count(missing, files.cases)} could not be predicted: scored as empty masks.")
    n = len(files.cases)
    if n < 20:
        said.append(
            f"Only {n} scored test case{'s' if n != 1 else ''}: the intervals are wide and themselves uncertain."
        )
    return said


def _change_hu(record: dict[str, Any]) -> float | None:
    value = record.get("harmonization", {}).get("soft_tissue_mean_abs_hu")
    return float(value) if value is not None else None


def _count(ids: list[str], of: Any, most: int = 4) -> str:
    total = f" of {len(of)}" if of is not None else ""
    names = ", ".join(ids[:most]) + (", …" if len(ids) > most else "")
    return f"{len(ids)}{total} case{'s' if len(ids) != 1 or of is not None else ''} ({names})"


def preparation_rows(files: RunFiles) -> list[dict[str, Any]]:
    """Crop and harmonization of every prepared case; fallbacks and large changes first."""
    tests = set(files.splits.get("test", []))
    rows = []
    for case_id, record in files.prepared.items():
        crop, harmonization = record.get("crop", {}), record.get("harmonization", {})
        change = _change_hu(record)
        rows.append(
            {
                "case_id": case_id,
                "part": "test" if case_id in tests else "training",
                "center": record.get("center", ""),
                "method": crop.get("method", "unknown"),
                "confidence": crop.get("confidence"),
                "reason": crop.get("reason", ""),
                "fallback": bool(crop.get("fallback")),
                "harmonization": harmonization.get("method", "unknown"),
                "unable": str(harmonization.get("fallback") or ""),
                "reference": harmonization.get("reference") == case_id,
                "change_hu": change,
                "p95_hu": harmonization.get("soft_tissue_p95_abs_hu"),
                "large": (change or 0) > LARGE_CHANGE_HU,
                "outside_ml": record.get("label_outside_box_ml"),
            }
        )
    return sorted(rows, key=lambda row: (not row["fallback"], not row["large"], row["case_id"]))


def ranked_cases(cases: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Worst, median and best case by the mean of their scores, without repeats.

    >>> cases = [{"case_id": c, "mean_score": s} for c, s in (("a", 0.9), ("b", 0.1), ("c", 0.5))]
    >>> [(name, case["case_id"]) for name, case in ranked_cases(cases)]
    [('Worst', 'b'), ('Median', 'c'), ('Best', 'a')]
    """
    scored = sorted((c for c in cases if c["mean_score"] is not None), key=lambda c: (c["mean_score"], c["case_id"]))
    picks = {1: [("Only", 0)], 2: [("Worst", 0), ("Best", 1)]}
    some = [("Worst", 0), ("Median", (len(scored) - 1) // 2), ("Best", len(scored) - 1)]
    return [(name, scored[k]) for name, k in picks.get(len(scored), some if scored else [])]


def validation_rows(files: RunFiles) -> list[dict[str, Any]]:
    """Each fold's best validation beside its epoch; empty without logs."""
    rows = []
    for fold, log in files.logs.items():
        seen = [row for row in log if row["val_score"] is not None]
        if seen:
            best = max(seen, key=lambda row: row["val_score"] or 0.0)
            rows.append({"fold": fold, **best, "epochs": int(log[-1]["epoch"] or 0)})
    return rows


def flat_settings(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value) rows.

    >>> flat_settings({"a": {"b": 1}, "c": [1, 2]})
    [('a.b', '1'), ('c', '1, 2')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            rows += flat_settings(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((f"{prefix}{key}", text))
    return rows
