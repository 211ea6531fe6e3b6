"""Data of the report, read from a work directory; only ``metrics.json`` is required.

Everything else may be missing (a folder of predictions scored without a run, models deleted to save space) or of
another shape; each gap becomes a sentence in the report.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from hnseg.cohort.checked_cohort import COHORT, Finding, Severity
from hnseg.errors import WorkDirError, listed
from hnseg.evaluation.evaluate import hash_run
from hnseg.evaluation.records import CaseRow, EvaluatedCohort, SkippedCase, WorkdirEvaluation, read_metrics
from hnseg.provenance import sha256
from hnseg.report.records import (
    CaseFiles,
    CheckRecord,
    Part,
    PredictionRecord,
    PreparedRecord,
    RunRecord,
    SplitRecord,
    TuningRecord,
)
from hnseg.workdir import describe_invalid, list_files, read_config

LARGE_CHANGE_HU = 30.0  # soft tissues differ from each other by 20 to 60 HU: a larger mean change is not calibration
PHANTOM_RECORD = "phantom.json"  # hnseg.phantom leaves it in the root of every generated cohort
CURVES = (
    "epoch",
    "loss",
    "val_loss",
    *("val_gtvp_dice", "val_gtvn_dice", "val_gtvn_f1", "val_score"),
    *("kept_epoch", "stopped_early"),
)
FEW_CASES = 20
_DIFFER = {"settings": "are not those", "split": "is not the one"}
LogRow = dict[str, float | None]
P = TypeVar("P", bound=Part)


@dataclass
class RunFiles:
    """The files of a run, as far as they are there.

    Attributes:
        work: Work directory of the run.
        metrics: ``metrics.json``.
        config: Settings of ``config.yaml``, as JSON has them; empty when they cannot be read.
        run, splits: Without values when the file is missing.
        inputs: Files of each case of check.json by ID.
        findings: Of the check.
        prepared: ``case.json`` of each prepared case by ID.
        predictions: Records of the predictions by ID.
        logs: Epochs by fold.
        tuning: ``tuning.json``; None when the post-processing was not tuned.
        stale: Why the scores are not those of the masks and settings that are there now.
        gaps: What is missing, in sentences.
    """

    work: Path
    metrics: WorkdirEvaluation
    config: Mapping[str, Any] = field(default_factory=dict)
    run: RunRecord = field(default_factory=RunRecord)
    splits: SplitRecord = field(default_factory=SplitRecord)
    inputs: dict[str, CaseFiles] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    prepared: dict[str, PreparedRecord] = field(default_factory=dict)
    predictions: dict[str, PredictionRecord] = field(default_factory=dict)
    logs: dict[int, list[LogRow]] = field(default_factory=dict)
    tuning: TuningRecord | None = None
    stale: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    @property
    def cases(self) -> tuple[CaseRow, ...]:
        """The scored cases of the part that the run is judged by."""
        return self.metrics.main.cases

    @property
    def kind(self) -> Literal["test", "out-of-fold"]:
        """What the scored cases are."""
        return "out-of-fold" if self.metrics.ensemble is None else "test"

    @property
    def masks(self) -> Path:
        """Folder of the scored masks and their records."""
        return self.work / ("predictions" if self.kind == "test" else "out_of_fold")

    @property
    def is_generated(self) -> bool:
        """Whether the cohort is the phantom, from the record that the generator leaves beside it."""
        return bool(self.run.data_root) and (Path(str(self.run.data_root)) / PHANTOM_RECORD).is_file()


def load_run(work: Path) -> RunFiles:
    """Read what a work directory holds.

    Raises:
        WorkDirError: ``metrics.json`` is missing or is not what evaluate writes for a work directory.
    """
    metrics = read_metrics(work / "metrics.json")
    if not isinstance(metrics, WorkdirEvaluation):
        path = work / "metrics.json"
        raise WorkDirError(f"{path} holds the scores of a folder of masks, not of the run: run `hnseg evaluate {work}`")
    files = RunFiles(work, metrics)
    gaps = files.gaps
    files.run = _read(RunRecord, work / "run.json", gaps, "versions and data are unknown") or RunRecord()
    files.config = _read_settings(work, gaps)
    files.splits = _read(SplitRecord, work / "splits.json", gaps, "the split is unknown") or SplitRecord()
    check = _read(CheckRecord, work / "check.json", gaps, "no image can be shown, and the input check is unknown")
    if check is not None:
        files.inputs, files.findings = {case.id: case for case in check.cases}, check.findings
    prepared = sorted((work / "prepared").glob("[!.]*/case.json"))
    files.prepared = _read_all(PreparedRecord, prepared, gaps, lambda path: path.parent.name)
    if not prepared:
        gaps.append("prepared/ has no record (*/case.json).")
    predicted = [path for path in list_files(files.masks, "*.json") if path.name != "cases.json"]
    files.predictions = _read_all(PredictionRecord, predicted, gaps, lambda path: path.stem)
    if not predicted:
        gaps.append(f"{files.masks.name}/ has no record (*.json).")
    files.logs = _logs(work / "models", gaps)
    if (work / "tuning.json").is_file():
        files.tuning = _read(TuningRecord, work / "tuning.json", gaps, "how post-processing was chosen is unknown")
    files.stale = _find_changes(files)
    return files


def _read_settings(work: Path, gaps: list[str]) -> Mapping[str, Any]:
    """The run's settings; nothing and a sentence where they cannot be read."""
    try:
        return read_config(work).model_dump(mode="json")
    except WorkDirError as error:
        gaps.append(f"The settings are unknown: {error}.")
        return {}


def _read(model: type[P], path: Path, gaps: list[str], consequence: str) -> P | None:
    """A file's content; None and a sentence where it is missing or has another shape."""
    if not path.is_file():
        gaps.append(f"{path.name} is missing: {consequence}.")
        return None
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        gaps.append(f"{path.name} has another shape ({describe_invalid(error)}): {consequence}.")
    except ValueError:
        gaps.append(f"{path.name} cannot be read: {consequence}.")
    return None


def _read_all(model: type[P], paths: Sequence[Path], gaps: list[str], name: Callable[[Path], str]) -> dict[str, P]:
    found = {name(path): _read(model, path, gaps, f"nothing is known from {path}") for path in paths}
    return {key: record for key, record in found.items() if record is not None}


def _find_changes(files: RunFiles) -> list[str]:
    """What has changed since evaluate scored the masks; empty for a metrics.json that does not say what it scored."""
    try:
        now = hash_run(files.work)
    except WorkDirError:  # named among the gaps
        now = {}
    then = files.metrics.made_from
    changed = [f"The run's {name} {_DIFFER[name]}" for name in _DIFFER if now.get(name, "") != then.get(name, "")]
    if not now or not then:
        changed = []
    masks = []
    for case in files.cases:
        path = files.masks / f"{case.case_id}.nii.gz"
        if case.mask_sha256 is not None and path.is_file() and sha256(path) != case.mask_sha256:
            masks.append(case.case_id)
    if masks:
        changed.append(f"{count_cases(masks, files.cases)} have other masks than those")
    return [f"{text} that metrics.json was made from: run `hnseg evaluate` again." for text in changed]


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
    return [
        *files.stale,
        *preparation_warnings(files.prepared),
        *_input_warnings(files),
        *scoring_warnings(files.metrics.main, files.metrics.skipped, files.kind),
    ]


def preparation_warnings(prepared: Mapping[str, PreparedRecord]) -> list[str]:
    """What a reader has to know about crop and harmonization, in sentences."""
    return [*_crop_warnings(prepared), *_harmonization_warnings(prepared)]


def _crop_warnings(prepared: Mapping[str, PreparedRecord]) -> list[str]:
    sentences = []
    fallbacks = [case_id for case_id, record in prepared.items() if record.crop.fallback]
    if fallbacks:
        reasons = list(dict.fromkeys(prepared[i].crop.reason or "no reason given" for i in fallbacks))
        more = "" if len(reasons) == 1 else f" (so in {fallbacks[0]}; the others: see “Crop and harmonization” below)"
        sentences.append(f"Crop fallback in {count_cases(fallbacks, prepared)}: {reasons[0]}{more}.")
    outside = [i for i, record in prepared.items() if (record.label_outside_box_ml or 0) > 0]
    if outside:
        sentences.append(f"The crop box cuts off a part of the true tumor in {count_cases(outside, prepared)}.")
    return sentences


def _harmonization_warnings(prepared: Mapping[str, PreparedRecord]) -> list[str]:
    sentences = []
    large = [case_id for case_id, record in prepared.items() if is_large_change(record)]
    if large:
        why = (
            "The published spectrum swap puts the lowest frequencies of a reference patient's slices in place of this "
            "patient's; they hold shape as well as brightness, so a change of this size moves anatomy and is not a "
            "mere calibration. The presets paper and demo swap because the publication does; the preset "
            "recommended aligns sites."
        )
        swapped = any(prepared[i].harmonization.method == "spectrum-swap" for i in large)
        sentences.append(
            f"Harmonization changed soft tissue by more than {LARGE_CHANGE_HU:g} HU on average in "
            f"{count_cases(large, prepared)}." + (f" {why}" if swapped else "")
        )
    unable = {i: reason for i, record in prepared.items() if (reason := record.harmonization.fallback)}
    if unable:
        first = next(iter(unable))
        sentences.append(
            f"Harmonization fell back in {count_cases(list(unable), prepared)}: {unable[first]}"
            + ("." if len(set(unable.values())) == 1 else f" (so in {first}).")
        )
    return sentences


def _input_warnings(files: RunFiles) -> list[str]:
    sentences = []
    named_already = {COHORT}
    effects: tuple[tuple[Severity, str], ...] = (("error", "left out"), ("warning", "used, with a warning"))
    for severity, effect in effects:
        named = {finding.case_id for finding in files.findings if finding.severity == severity} - named_already
        named_already |= named
        if named:
            sentences.append(f"Input check: {count_cases(sorted(named), None)} {effect}; see “Input check” below.")
    return sentences


def scoring_warnings(scored: EvaluatedCohort, skipped: Sequence[SkippedCase], kind: str) -> list[str]:
    """What to know of the cases behind the scores, in sentences.

    Args:
        scored: The cases.
        skipped: Those that were not scored.
        kind: What they are: ``test``, ``out-of-fold`` or ``external``.
    """
    sentences, n = [], len(scored.cases)
    if skipped:
        reason = skipped[0].reason.removesuffix(": not scored")
        sentences.append(f"{count_cases([entry.case_id for entry in skipped], None)} not scored: {reason}.")
    if scored.missing:
        sentences.append(f"{count_cases(scored.missing, scored.cases)} could not be predicted: scored as empty masks.")
    if n < FEW_CASES:
        sentences.append(
            f"Only {n} scored {kind} case{'s' if n != 1 else ''}: the intervals are wide and themselves uncertain."
        )
    return sentences


def is_large_change(record: PreparedRecord) -> bool:
    """Whether harmonization changed soft tissue by more than a calibration does."""
    return (record.harmonization.soft_tissue_mean_abs_hu or 0) > LARGE_CHANGE_HU


def count_cases(ids: Sequence[str], of: Collection[Any] | None) -> str:
    """How many cases, of how many, and the first IDs."""
    total = f" of {len(of)}" if of is not None else ""
    return f"{len(ids)}{total} case{'s' if len(ids) != 1 or of is not None else ''} ({listed(ids, most=4)})"


@dataclass(frozen=True)
class PreparationRow:
    """Crop and harmonization of a prepared case for the table; ``unable`` says why harmonization fell back."""

    case_id: str
    part: str
    center: str
    method: str
    confidence: float | None
    reason: str
    fallback: bool
    harmonization: str
    unable: str
    reference: bool
    change_hu: float | None
    p95_hu: float | None
    large: bool
    outside_ml: float | None


def preparation_rows(prepared: Mapping[str, PreparedRecord], tests: Collection[str]) -> list[PreparationRow]:
    """Crop and harmonization of every prepared case; fallbacks and large changes first."""
    rows = [
        PreparationRow(
            case_id=case_id,
            part="test" if case_id in tests else "training",
            center=record.center,
            method=record.crop.method,
            confidence=record.crop.confidence,
            reason=record.crop.reason,
            fallback=record.crop.fallback,
            harmonization=record.harmonization.method,
            unable=record.harmonization.fallback or "",
            reference=record.harmonization.reference == case_id,
            change_hu=record.harmonization.soft_tissue_mean_abs_hu,
            p95_hu=record.harmonization.soft_tissue_p95_abs_hu,
            large=is_large_change(record),
            outside_ml=record.label_outside_box_ml,
        )
        for case_id, record in prepared.items()
    ]
    return sorted(rows, key=lambda row: (not row.fallback, not row.large, row.case_id))


def ranked_cases(cases: Sequence[CaseRow]) -> list[tuple[str, CaseRow]]:
    """Worst, median and best case by the mean of their scores, without repeats."""
    scored = sorted(
        (case for case in cases if case.mean_score is not None), key=lambda case: (case.mean_score, case.case_id)
    )
    picks = {1: [("Only", 0)], 2: [("Worst", 0), ("Best", 1)]}
    some = [("Worst", 0), ("Median", (len(scored) - 1) // 2), ("Best", len(scored) - 1)]
    return [(name, scored[k]) for name, k in picks.get(len(scored), some if scored else [])]


def worst_cases(cases: Sequence[CaseRow], count: int) -> list[CaseRow]:
    """The ``count`` cases of the lowest mean score, the lowest first; cases without a score come last."""
    return sorted(cases, key=lambda case: (case.mean_score is None, case.mean_score or 0.0, case.case_id))[:count]


def validation_rows(files: RunFiles) -> list[dict[str, float | None]]:
    """Each fold's kept validation beside its epoch; empty without logs."""
    rows = []
    for fold, log in files.logs.items():
        seen = [row for row in log if row["val_score"] is not None]
        if seen:
            best = max(seen, key=lambda row: (row["epoch"] == log[-1]["kept_epoch"], row["val_score"] or 0.0))
            rows.append({"fold": fold, **best, "epochs": int(log[-1]["epoch"] or 0)})
    return rows


def flat_settings(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
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
