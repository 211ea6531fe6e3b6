"""Score predicted masks against the truth, case by case and over the cohort.

Reads label files, or a whole work directory (``docs/hnseg/workdir.md``), and writes ``metrics.json``. Under the 2025
rules a prediction is scored as it lies on disk: it has to be on the grid of the truth, because the challenge does not
resample either.

    hnseg evaluate WORK                              # a run: ensemble, baselines and, where there, validation
    hnseg evaluate MASKS DATA --out metrics.json     # <ID>.nii.gz of any tool against a data root or a label folder
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import center_of, discover_cases
from hnseg.cohort.labels import describe_difference, read_label
from hnseg.errors import CaseError, CohortError, WorkDirError, listed
from hnseg.evaluation.case_scores import CaseScores, evaluate_case
from hnseg.evaluation.cohort_scores import bootstrap, detection_by_size, summarize
from hnseg.evaluation.overlap import HECKTOR_2025, Rules
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from hnseg.parallel import map_processes
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.workdir import read_json, write_json

METHODS = {
    "ensemble": Path("predictions"),
    "threshold_baseline": Path("baselines") / "threshold",
    "empty_baseline": Path("baselines") / "empty",
}
OUT_OF_FOLD = Path(
    "out_of_fold"
)  # hnseg.inference.out_of_fold writes cases.json there when every validation case is predicted
Missing = Literal["error", "empty"]


@dataclass(frozen=True)
class ReferenceLabels:
    """What predictions are scored against.

    Attributes:
        labels: Mapping {case ID: label file}.
        centers (mapping {case ID: center}): Of a case without one: :func:`hnseg.cohort.cases.center_of` its ID.
        unlabeled: Cases without a label file: they cannot be scored.
    """

    labels: Mapping[str, Path]
    centers: Mapping[str, str]
    unlabeled: tuple[str, ...] = ()


def find_labels(root: Path) -> ReferenceLabels:
    """The labels of a data root (any layout that ``hnseg check`` knows), or of a folder of ``<ID>.nii.gz`` labels.

    Raises:
        CohortError: Neither of the two.
    """
    flat = sorted(root.glob("*.nii.gz")) if root.is_dir() and not (root / "Task 1").is_dir() else []
    if flat:
        return ReferenceLabels({path.name.removesuffix(".nii.gz"): path for path in flat}, {})
    cases = discover_cases(root)
    labels = {case.id: case.label for case in cases if case.label is not None}
    if not labels:
        raise CohortError(f"none of the {len(cases)} cases in {root} has a label: nothing to score against")
    unlabeled = tuple(case.id for case in cases if case.label is None)
    return ReferenceLabels(labels, {case.id: case.center for case in cases}, unlabeled)


def evaluate_folder(
    predictions: Path,
    truths: Mapping[str, Path] | ReferenceLabels,
    *,
    rules: Rules = HECKTOR_2025,
    missing: Missing = "error",
    allow_extra: bool = False,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> dict[str, Any]:
    """Score every ``<ID>.nii.gz`` of a folder against its truth.

    Args:
        predictions: Folder of masks, one for each labeled case.
        truths: Truths or mapping {case ID: label file}.
        rules: Rules of the metrics.
        missing ({"error", "empty"}): A case without a prediction is an error (default), or is scored as an empty mask
            and named in the result.
        allow_extra: Whether the folder may hold masks of cases without a truth (they are named in the result, not
            scored).
        jobs: Processes.

    Returns:
        dict, JSON-ready: The summary at the top (see :func:`hnseg.evaluation.cohort_scores.summarize`), then
        ``bootstrap``, ``by_center``, ``by_size``, ``cases``, ``missing``, ``skipped``, ``rules``, ``definitions`` and
        ``versions``.

    Raises:
        CohortError: No case to score, or masks of unknown cases.
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
    found = {path.name.removesuffix(".nii.gz") for path in predictions.glob("*.nii.gz")}
    extra, absent = sorted(found - set(truths.labels)), [name for name in truths.labels if name not in found]
    if extra and not allow_extra:
        also = f"; and no mask for {listed(absent)}" if absent else ""
        raise CohortError(f"{predictions} holds masks of cases without a truth: {listed(extra)}{also}")
    if len(absent) == len(truths.labels):
        raise CohortError(
            f"{predictions} holds no mask <ID>.nii.gz of any of the {len(absent)} cases: {listed(absent)}"
        )
    scores = _score_folder(predictions, truths, rules, missing, jobs, progress)
    skipped = [_skipped(name, "no label file: not scored") for name in truths.unlabeled]
    skipped += [_skipped(name, "no truth: not scored") for name in extra if name not in truths.unlabeled]
    return {**score_cases(scores, rules), "skipped": skipped, **_scoring_metadata(rules)}


def evaluate_workdir(
    work: Path,
    *,
    rules: Rules = HECKTOR_2025,
    missing: Missing = "error",
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> dict[str, Any]:
    """Score the test cases of a work directory and write ``metrics.json`` there.

    Args:
        work: Work directory of the run.
        rules: Rules of the metrics.
        missing ({"error", "empty"}): A test case that could not be predicted is an error (default), or is scored as an
            empty mask and named under ``missing``.
        jobs: Processes.

    Returns:
        dict, JSON-ready: ``ensemble``, ``threshold_baseline``, ``empty_baseline`` (each as :func:`score_cases`),
        ``validation`` (the same for the out-of-fold masks; None where ``hnseg tune`` has made none), ``skipped`` (test
        cases without a label file, with the reason), ``rules``, ``definitions`` and ``versions``. With no labeled test
        case every score is None, with the reason.

    Raises:
        WorkDirError: An earlier stage is missing or its file is broken.
        CohortError: An empty test list.
        CaseError: As :func:`evaluate_folder`.
    """
    tests, known = _test_cases(work)
    runs = [(method, work / folder, tests) for method, folder in METHODS.items()]
    validated = _validation_cases(work, known)
    if validated is not None:
        runs.append(("validation", work / OUT_OF_FOLD, validated))
    total, done = sum(sum(case.label is not None for case in cases) for _, _, cases in runs), 0
    result: dict[str, Any] = {"validation": None}
    for method, folder, cases in runs:
        labels = {case.id: Path(case.label) for case in cases if case.label}
        truths = ReferenceLabels(labels, {case.id: case.center for case in cases})
        tell = _offset_progress(progress, done, total, method.replace("_", " "))
        scored = _score_folder(folder, truths, rules, missing, jobs, tell) if labels else []
        done += len(scored)
        result[method] = score_cases(scored, rules)
    reason = "no label file: predicted, not scored"
    result["skipped"] = [_skipped(case.id, reason) for case in tests if not case.label]
    result.update(_scoring_metadata(rules))
    write_json(work / "metrics.json", result)
    return result


def score_cases(cases: Sequence[CaseScores], rules: Rules = HECKTOR_2025) -> dict[str, Any]:
    """Summary, bootstrap intervals, scores by center and by lesion size, and the cases, JSON-ready."""
    centers = sorted({case.center for case in cases})
    return {
        **summarize(cases, rules),
        "bootstrap": bootstrap(cases, rules),
        "by_center": {c: summarize([case for case in cases if case.center == c], rules) for c in centers},
        "by_size": detection_by_size(cases),
        "missing": [case.case_id for case in cases if case.missing],
        "cases": [case.as_dict() for case in cases],
    }


def _score_folder(
    folder: Path, truths: ReferenceLabels, rules: Rules, missing: Missing, jobs: int, progress: ProgressCallback
) -> list[CaseScores]:
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
    for case in map_processes(operator.call, tasks, jobs):
        scores.append(case)
        progress(len(scores), len(truths.labels), case.case_id)
    return scores


def _score_file(prediction: Path | None, label: Path, case_id: str, center: str, rules: Rules) -> CaseScores:
    truth, grid = read_label(label, case_id)
    if prediction is None:
        pred = np.zeros_like(truth)
    elif rules.challenge == "2022":
        pred = _resample_to_truth(*read_label(prediction, case_id), grid, case_id, prediction)
    else:
        pred, _ = read_label(prediction, case_id, like=grid)
    return evaluate_case(
        pred,
        truth,
        spacing_zyx_mm=grid.spacing_zyx_mm,
        case_id=case_id,
        center=center,
        rules=rules,
        missing=prediction is None,
    )


def _resample_to_truth(pred: NDArray[np.uint8], grid: Grid, like: Grid, case_id: str, path: Path) -> NDArray[np.uint8]:
    """A mask on the truth's grid as the 2022 scorer did it: the same spacing is asked for, then nearest neighbor."""
    if not np.allclose(like.spacing_mm, grid.spacing_mm, atol=1e-6):
        raise CaseError(
            case_id, f"the mask has another spacing than the truth: {describe_difference(grid, like)}", path
        )
    same = Grid(grid.size, like.spacing_mm, grid.origin_mm, grid.direction)
    return resample(pred, same, like, outside=0, interpolation="nearest")


def _offset_progress(progress: ProgressCallback, before: int, cases: int, method: str) -> ProgressCallback:
    """Progress of one method's cases as part of all methods' cases."""

    def tell(done: int, total: int, what: str) -> None:
        progress(before + done, cases, f"{method}: {what}")

    return tell


def _skipped(case_id: str, reason: str) -> dict[str, str]:
    return {"case_id": case_id, "reason": reason}


@dataclass(frozen=True)
class _TestCase:
    id: str
    center: str
    label: str | None


def _test_cases(work: Path) -> tuple[list[_TestCase], dict[str, _TestCase]]:
    """The test cases, and every case that check knows."""
    splits = read_json(work / "splits.json", "split")
    checked = read_json(work / "check.json", "check")
    try:
        cases = {case["id"]: _TestCase(case["id"], case["center"], case["label"]) for case in checked["cases"]}
        wanted = list(splits["test"])
    except (KeyError, TypeError) as error:
        raise WorkDirError(f"{work}: splits.json or check.json lacks {error}; see docs/hnseg/workdir.md") from error
    if not wanted:
        raise CohortError(f"{work / 'splits.json'} has no test case: nothing can be scored")
    return _select_cases(wanted, cases, f"test cases of {work / 'splits.json'}"), cases


def _validation_cases(work: Path, known: Mapping[str, _TestCase]) -> list[_TestCase] | None:
    """The cases with an out-of-fold mask; None where there are none, or not yet all."""
    path = work / OUT_OF_FOLD / "cases.json"
    if not path.is_file():
        return None
    return _select_cases(list(read_json(path, "tune")["cases"]), known, f"cases of {path}")


def _select_cases(wanted: Sequence[str], known: Mapping[str, _TestCase], what: str) -> list[_TestCase]:
    unknown = [case_id for case_id in wanted if case_id not in known]
    if unknown:
        raise WorkDirError(f"{what} that check.json does not know: {listed(unknown)}")
    return [known[case_id] for case_id in wanted]


def _scoring_metadata(rules: Rules) -> dict[str, Any]:
    return {"rules": rules.as_dict(), "definitions": rules.definitions(), "versions": versions()}
