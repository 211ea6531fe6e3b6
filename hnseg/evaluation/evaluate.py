"""Evaluation of predicted masks against reference labels, case by case and over the cohort.

Reads label files, or a whole work directory (``docs/hnseg/workdir.md``), and writes ``metrics.json``. Under the 2025
rules a prediction is scored as it lies on disk: it has to be on the grid of the truth, because the challenge does not
resample either.

    hnseg evaluate WORK                              # a run: ensemble, baselines and, where there, validation
    hnseg evaluate MASKS DATA --out metrics.json     # <ID>.nii.gz of any tool against a data root or a label folder
"""

from __future__ import annotations

import functools
import hashlib
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from hnseg.cohort.cases import center_of, discover_cases
from hnseg.cohort.checked_cohort import CheckedCase, load_check
from hnseg.cohort.labels import Label, describe_difference, read_label
from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError, CohortError, WorkDirError, listed
from hnseg.evaluation.case_scores import CaseScores, evaluate_case
from hnseg.evaluation.cohort_scores import bootstrap, detection_by_size, summarize
from hnseg.evaluation.mask_origin import read_models, refuse_other_models, refuse_other_settings
from hnseg.evaluation.records import (
    CaseRow,
    EvaluatedCohort,
    FolderEvaluation,
    FoldEvaluation,
    FoldScores,
    SkippedCase,
    WorkdirEvaluation,
)
from hnseg.evaluation.rules import HECKTOR_2025, Rules
from hnseg.evaluation.score_specs import SUM_SCORES, SURFACE_SCORES, define_scores
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from hnseg.parallel import map_processes
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import sha256, versions
from hnseg.settings.config_file import CONFIG_FILE
from hnseg.workdir import BEGIN, RUN_FILE, list_files, read_config, read_json, write_json

METHOD_FOLDERS = {
    "ensemble": Path("predictions"),
    "threshold_baseline": Path("baselines") / "threshold",
    "empty_baseline": Path("baselines") / "empty",
}
OUT_OF_FOLD = Path("out_of_fold")  # its cases.json is there when every validation case is predicted
Missing = Literal["error", "empty"]


@dataclass(frozen=True)
class ReferenceLabels:
    """What predictions are scored against.

    Attributes:
        labels: Mapping {case ID: label file}.
        centers (mapping {case ID: center}): Of a case without one: :func:`hnseg.cohort.cases.center_of` its ID.
        unlabeled: Cases without a label file: they cannot be scored.
        root: Data root or folder that the labels were found in.
    """

    labels: Mapping[str, Path]
    centers: Mapping[str, str]
    unlabeled: tuple[str, ...] = ()
    root: Path | None = None


def find_labels(root: Path) -> ReferenceLabels:
    """The labels of a data root (any layout that ``hnseg check`` knows), or of a folder of ``<ID>.nii.gz`` labels.

    Raises:
        CohortError: Neither of the two.
    """
    flat = list_files(root, "*.nii.gz") if root.is_dir() and not (root / "Task 1").is_dir() else []
    if flat:
        return ReferenceLabels({path.name.removesuffix(".nii.gz"): path for path in flat}, {}, root=root)
    cases = discover_cases(root)
    labels = {case.id: case.label for case in cases if case.label is not None}
    if not labels:
        raise CohortError(f"none of the {len(cases)} cases in {root} has a label: nothing to score against")
    unlabeled = tuple(case.id for case in cases if case.label is None)
    return ReferenceLabels(labels, {case.id: case.center for case in cases}, unlabeled, root)


def evaluate_folder(
    predictions: Path,
    truths: Mapping[str, Path] | ReferenceLabels,
    *,
    rules: Rules = HECKTOR_2025,
    missing: Missing = "error",
    allow_extra: bool = False,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> FolderEvaluation:
    """Score every ``<ID>.nii.gz`` of a folder against its truth.

    Args:
        predictions: Folder of masks, one for each labeled case.
        truths: What they are scored against, or a mapping {case ID: label file}.
        rules: Rules of the metrics.
        missing ({"error", "empty"}): A case without a prediction is an error (default), or is scored as an empty mask
            and named in the result.
        allow_extra: Whether the folder may hold masks of cases without a truth (they are named in the result, not
            scored). Masks of ``truths.unlabeled`` are always allowed.
        jobs: Processes.
        progress: Called after each case.

    Raises:
        CohortError: No case to score, or masks of unknown cases.
        WorkDirError: The records beside the masks name different models.
        CaseError: A prediction that is missing, unreadable, on another grid, or with a value other than 0, 1, 2; names
            the file.
    """
    if missing not in get_args(Missing):
        raise ValueError(f"missing {missing!r}: choose one of {', '.join(get_args(Missing))}")
    if not isinstance(truths, ReferenceLabels):
        truths = ReferenceLabels(truths, {})
    if not truths.labels:
        raise CohortError(f"no case to score: no truth was given for {predictions}")
    if not predictions.is_dir():
        raise CohortError(f"{predictions} is no folder; expected one with <ID>.nii.gz masks")
    found = {path.name.removesuffix(".nii.gz") for path in list_files(predictions, "*.nii.gz")}
    extra = sorted(found - set(truths.labels) - set(truths.unlabeled))
    absent = [name for name in truths.labels if name not in found]
    if extra and not allow_extra:
        also = f"; and no mask for {listed(absent)}" if absent else ""
        raise CohortError(f"{predictions} holds masks of cases without a truth: {listed(extra)}{also}")
    if len(absent) == len(truths.labels):
        raise CohortError(
            f"{predictions} holds no mask <ID>.nii.gz of any of the {len(absent)} cases: {listed(absent)}"
        )
    records = {name: predictions / f"{name}.json" for name in truths.labels if name in found}
    models = read_models(records)
    scored = _score_folder(predictions, truths, rules, missing, jobs, progress)
    skipped = [SkippedCase(case_id=name, reason="no label file: not scored") for name in truths.unlabeled]
    skipped += [SkippedCase(case_id=name, reason="no truth: not scored") for name in extra]
    return FolderEvaluation(
        **dict(scored),
        models=models,
        data_root=None if truths.root is None else str(truths.root.resolve()),
        skipped=tuple(skipped),
        rules=rules,
        definitions=define_scores(rules),
        versions=versions(),
    )


def evaluate_workdir(
    work: Path,
    *,
    rules: Rules = HECKTOR_2025,
    missing: Missing = "error",
    out: Path | None = None,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> WorkdirEvaluation:
    """Score the test cases and the out-of-fold masks of a work directory, and write ``metrics.json``.

    A run without test cases is scored by its out-of-fold masks alone. With no labeled test case among several every
    score is None, with the reason.

    Args:
        work: Work directory of the run.
        rules: Rules of the metrics.
        missing ({"error", "empty"}): A test case that could not be predicted is an error (default), or is scored as an
            empty mask and named under ``missing``.
        out: Another file than the work directory's ``metrics.json``.
        jobs: Processes.
        progress: Called after each case.

    Raises:
        WorkDirError: An earlier stage is missing or its file is broken, or masks were made by other models or with
            other settings than those that are there now.
            Or there are neither test cases nor out-of-fold masks.
        CaseError: As :func:`evaluate_folder`.
    """
    tests, known = _test_cases(work)
    runs = [(method, work / folder, tests) for method, folder in METHOD_FOLDERS.items() if tests]
    predicted = {case.id: work / METHOD_FOLDERS["ensemble"] / f"{case.id}.json" for case in tests}
    refuse_other_models(work, predicted, "hnseg predict")
    refuse_other_settings(work, predicted, "hnseg predict")
    validated = _validation_cases(work, known)
    if validated is None and not tests:
        raise WorkDirError(
            f"{work / 'splits.json'} has no test case, and {work / OUT_OF_FOLD} no masks to score instead: run "
            "`hnseg tune` first"
        )
    if validated is not None:
        listing = {"the validation": work / OUT_OF_FOLD / "cases.json"}
        refuse_other_models(work, listing, "hnseg tune")
        refuse_other_settings(work, listing, "hnseg tune")
        runs.append(("validation", work / OUT_OF_FOLD, validated))
    total, done = sum(sum(case.label is not None for case in cases) for _, _, cases in runs), 0
    parts: dict[str, EvaluatedCohort] = {}
    for method, folder, cases in runs:
        labels = {case.id: Path(case.label) for case in cases if case.label}
        truths = ReferenceLabels(labels, {case.id: case.center for case in cases})
        report_case = _offset_progress(progress, done, total, method.replace("_", " "))
        parts[method] = _score_folder(folder, truths, rules, missing, jobs, report_case)
        done += len(labels)
    folds = _score_folds(load_splits(work).folds, parts["validation"], rules) if validated is not None else None
    result = WorkdirEvaluation(
        **{method: parts.get(method) for method in METHOD_FOLDERS},
        validation=parts.get("validation"),
        folds=folds,
        skipped=tuple(
            SkippedCase(case_id=case.id, reason="no label file: predicted, not scored")
            for case in tests
            if not case.label
        ),
        rules=rules,
        definitions=define_scores(rules),
        versions=versions(),
        made_from=hash_run(work),
    )
    write_json(out or work / "metrics.json", result.as_dict())
    return result


def hash_run(work: Path) -> dict[str, str]:
    """SHA-256 of the run's ``settings`` (in the file, and tuned) and of its ``split``; a missing file is left out."""
    found = {}
    if (work / CONFIG_FILE).is_file() and (work / RUN_FILE).is_file():
        tuned = read_json(work / RUN_FILE, BEGIN).get("tuned")
        settings = json.dumps([read_config(work).model_dump(mode="json"), tuned], sort_keys=True)
        found["settings"] = hashlib.sha256(settings.encode()).hexdigest()
    if (work / "splits.json").is_file():
        found["split"] = sha256(work / "splits.json")
    return found


def _score_folds(folds: Sequence[Sequence[str]], validation: EvaluatedCohort, rules: Rules) -> FoldEvaluation:
    """Scores of each fold's validation cases, and their mean and standard deviation over the folds."""
    rows = {case.case_id: case.scores() for case in validation.cases}
    found = []
    for fold, ids in enumerate(folds):
        scores = summarize([rows[case_id] for case_id in ids if case_id in rows], rules)
        found.append(FoldScores(fold=fold, **dict(scores)))
    mean: dict[str, float | None] = {}
    sd: dict[str, float | None] = {}
    for spec in (*SUM_SCORES, *SURFACE_SCORES):
        values = [value for scores in found if (value := scores[spec.key]) is not None and np.isfinite(value)]
        mean[spec.key] = float(np.mean(values)) if values else None
        sd[spec.key] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return FoldEvaluation(folds=tuple(found), mean=mean, sd=sd)


def score_cases(
    cases: Sequence[CaseScores], rules: Rules = HECKTOR_2025, *, mask_sha256: Mapping[str, str] | None = None
) -> EvaluatedCohort:
    """Summary, bootstrap intervals, scores by center and by lesion size, and the cases.

    Args:
        cases: Of one method.
        rules: By which they were scored.
        mask_sha256: Of each case's mask, to be recorded.
    """
    hashes = mask_sha256 or {}
    centers = sorted({case.center for case in cases})
    return EvaluatedCohort(
        **dict(summarize(cases, rules)),
        bootstrap=bootstrap(cases, rules),
        by_center={c: summarize([case for case in cases if case.center == c], rules) for c in centers},
        by_size=detection_by_size(cases),
        missing=tuple(case.case_id for case in cases if case.missing),
        cases=tuple(CaseRow.from_scores(case, hashes.get(case.case_id)) for case in cases),
    )


def _score_folder(
    folder: Path, truths: ReferenceLabels, rules: Rules, missing: Missing, jobs: int, progress: ProgressCallback
) -> EvaluatedCohort:
    absent = [case_id for case_id in truths.labels if not (folder / f"{case_id}.nii.gz").is_file()]
    if absent and missing == "error":
        others = f"; {len(absent)} of {len(truths.labels)} are missing: {listed(absent)}" if len(absent) > 1 else ""
        raise CaseError(absent[0], f"there is no prediction for this case{others}", folder / f"{absent[0]}.nii.gz")
    tasks = [
        functools.partial(
            _score_file,
            None if case_id in absent else folder / f"{case_id}.nii.gz",
            label,
            case_id,
            truths.centers.get(case_id) or center_of(case_id),
            rules,
        )
        for case_id, label in truths.labels.items()
    ]
    scores: list[CaseScores] = []
    hashes: dict[str, str] = {}
    for case, mask_sha256 in map_processes(operator.call, tasks, jobs):
        scores.append(case)
        if mask_sha256 is not None:
            hashes[case.case_id] = mask_sha256
        progress(len(scores), len(truths.labels), case.case_id)
    return score_cases(scores, rules, mask_sha256=hashes)


def _score_file(
    prediction: Path | None, label: Path, case_id: str, center: str, rules: Rules
) -> tuple[CaseScores, str | None]:
    truth, grid = read_label(label, case_id)
    if prediction is None:
        pred = np.zeros_like(truth)
    elif rules.challenge == "2022":
        pred = _resample_to_truth(*read_label(prediction, case_id), grid, case_id, prediction)
    else:
        pred, _ = read_label(prediction, case_id, like=grid)
    scores = evaluate_case(
        pred,
        truth,
        spacing_zyx_mm=grid.spacing_zyx_mm,
        case_id=case_id,
        center=center,
        rules=rules,
        missing=prediction is None,
    )
    return scores, None if prediction is None else sha256(prediction)


def _resample_to_truth(pred: Label, grid: Grid, like: Grid, case_id: str, path: Path) -> Label:
    """A mask on the truth's grid as the 2022 scorer did it: the same spacing is asked for, then nearest neighbor."""
    if not np.allclose(like.spacing_mm, grid.spacing_mm, atol=1e-6):
        raise CaseError(
            case_id, f"the mask has another spacing than the truth: {describe_difference(grid, like)}", path
        )
    same = Grid(grid.size, like.spacing_mm, grid.origin_mm, grid.direction)
    return resample(pred, same, like, outside=0, interpolation="nearest")


def _offset_progress(progress: ProgressCallback, before: int, cases: int, method: str) -> ProgressCallback:
    """Progress of one method's cases as part of all methods' cases."""

    def report_case(done: int, total: int, what: str) -> None:
        progress(before + done, cases, f"{method}: {what}")

    return report_case


def _test_cases(work: Path) -> tuple[list[CheckedCase], dict[str, CheckedCase]]:
    """The test cases, and every case that check knows."""
    wanted, known = load_splits(work).test, {case.id: case for case in load_check(work).cases}
    return _select_cases(wanted, known, f"test cases of {work / 'splits.json'}"), known


def _validation_cases(work: Path, known: Mapping[str, CheckedCase]) -> list[CheckedCase] | None:
    """The cases with an out-of-fold mask; None where there are none, or not yet all."""
    path = work / OUT_OF_FOLD / "cases.json"
    if not path.is_file():
        return None
    wanted = read_json(path, "tune").get("cases")
    if not isinstance(wanted, list) or not all(isinstance(case_id, str) for case_id in wanted):
        raise WorkDirError(f"{path} is not what `hnseg tune` writes (cases: expected a list of IDs): tune again")
    return _select_cases(wanted, known, f"cases of {path}")


def _select_cases(wanted: Sequence[str], known: Mapping[str, CheckedCase], what: str) -> list[CheckedCase]:
    unknown = [case_id for case_id in wanted if case_id not in known]
    if unknown:
        raise WorkDirError(f"{what} that check.json does not know: {listed(unknown)}")
    return [known[case_id] for case_id in wanted]
