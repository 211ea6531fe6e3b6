"""Score predicted masks against the truth, case by case and over the cohort.

Reads label files, or a whole work directory (``docs/hnseg/workdir.md``), and writes ``metrics.json``. A prediction is
scored as it lies on disk: it has to be on the grid of the truth, because the challenge does not resample either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.errors import CaseError, CohortError, WorkDirError
from hnseg.geometry import Grid
from hnseg.images import read_grid, read_image
from hnseg.metrics import HECKTOR_2025, Rules
from hnseg.progress import Report, silent
from hnseg.scores import CaseScores, bootstrap, evaluate_case, summarize, unknown_values
from hnseg.workdir import read_json, write_json

__all__ = ["CaseScores", "Rules", "evaluate_case", "evaluate_folder", "evaluate_workdir", "score_cases", "summarize"]

METHODS = {
    "ensemble": Path("predictions"),
    "threshold_baseline": Path("baselines") / "threshold",
    "empty_baseline": Path("baselines") / "empty",
}


def evaluate_folder(
    predictions: Path,
    truths: Mapping[str, Path],
    *,
    centres: Mapping[str, str] | None = None,
    rules: Rules = HECKTOR_2025,
    allow_extra: bool = False,
) -> dict[str, Any]:
    """Score every ``<ID>.nii.gz`` of a folder against its truth.

    Parameters
    ----------
    predictions : Path
        Folder of masks, one for each key of ``truths``.
    truths : mapping {case ID: label file}
    centres : mapping {case ID: centre}, optional
        Of a case without one: what stands before the first ``-`` of its ID.
    allow_extra : bool
        Whether the folder may hold masks of cases that are not in ``truths`` (they are not scored).

    Returns
    -------
    dict, JSON-ready
        The summary at the top (see :func:`hnseg.scores.summarize`), then ``bootstrap``, ``by_centre``, ``cases``,
        ``rules`` and ``definitions``.

    Raises
    ------
    CohortError
        No case to score, or masks of unknown cases.
    CaseError
        A prediction that is missing, unreadable, on another grid, or with a value other than 0, 1, 2; names the file.
    """
    if not truths:
        raise CohortError(f"no case to score: no truth was given for {predictions}")
    known = set(truths)
    found = {path.name.removesuffix(".nii.gz") for path in predictions.glob("*.nii.gz")}
    if not allow_extra and found - known:
        raise CohortError(f"{predictions} holds masks of cases without a truth: {_some(sorted(found - known))}")
    return {**score_cases(_score_folder(predictions, truths, centres, rules), rules), **_said(rules)}


def evaluate_workdir(work: Path, *, rules: Rules = HECKTOR_2025, progress: Report = silent) -> dict[str, Any]:
    """Score the test cases of a work directory and write ``metrics.json`` there.

    Returns
    -------
    dict, JSON-ready
        ``ensemble``, ``threshold_baseline``, ``empty_baseline`` (each as :func:`score_cases`), ``skipped`` (test
        cases without a label file, with the reason), ``rules`` and ``definitions``. With no labelled test case every
        score is None, with the reason.

    Raises
    ------
    WorkDirError
        An earlier stage is missing or its file is broken.
    CohortError
        An empty test list.
    CaseError
        As :func:`evaluate_folder`.
    """
    tests = _test_cases(work)
    truths = {case.id: Path(case.label) for case in tests if case.label}
    centres = {case.id: case.centre for case in tests}
    result: dict[str, Any] = {}
    for method, folder in METHODS.items():
        scored = _score_folder(work / folder, truths, centres, rules) if truths else []
        result[method] = score_cases(scored, rules)
        progress(len(result), len(METHODS), method.replace("_", " "))
    reason = "no label file: predicted, not scored"
    result["skipped"] = [{"case_id": case.id, "reason": reason} for case in tests if not case.label]
    result.update(_said(rules))
    write_json(work / "metrics.json", result)
    return result


def score_cases(cases: Sequence[CaseScores], rules: Rules = HECKTOR_2025) -> dict[str, Any]:
    """Summary, bootstrap intervals, scores by centre and the cases, JSON-ready."""
    centres = sorted({case.centre for case in cases})
    return {
        **summarize(cases, rules),
        "bootstrap": bootstrap(cases, rules),
        "by_centre": {c: summarize([case for case in cases if case.centre == c], rules) for c in centres},
        "cases": [case.as_dict() for case in cases],
    }


def read_label(path: Path, case_id: str, *, like: Grid | None = None) -> tuple[NDArray[np.uint8], Grid]:
    """Read a mask (z, y, x) of 0, 1, 2.

    Raises
    ------
    CaseError
        Unreadable, on another grid than ``like``, or with another value; also 1.5, which a cast would hide.
    """
    if like is not None:
        grid = read_grid(path, case_id)
        if not grid.matches(like):
            raise CaseError(case_id, f"the mask is not on the grid of the truth: {_differs(grid, like)}", path)
    stored, grid = read_image(path, case_id, np.float32)
    odd = unknown_values(stored)
    if odd:
        text = ", ".join(f"{value:g}" for value in odd)
        raise CaseError(case_id, f"label values must be 0 (background), 1 (GTVp), 2 (GTVn); found {text}", path)
    return stored.astype(np.uint8), grid


def _score_folder(
    folder: Path, truths: Mapping[str, Path], centres: Mapping[str, str] | None, rules: Rules
) -> list[CaseScores]:
    missing = [case_id for case_id in truths if not (folder / f"{case_id}.nii.gz").is_file()]
    if missing:
        others = f"; {len(missing)} of {len(truths)} are missing: {_some(missing)}" if len(missing) > 1 else ""
        path = folder / f"{missing[0]}.nii.gz"
        raise CaseError(missing[0], f"there is no prediction for this case{others}", path)
    scores = []
    for case_id, truth_path in truths.items():
        truth, grid = read_label(truth_path, case_id)
        pred, _ = read_label(folder / f"{case_id}.nii.gz", case_id, like=grid)
        centre = (centres or {}).get(case_id) or case_id.split("-")[0]
        case = evaluate_case(pred, truth, voxel_ml=grid.voxel_ml, case_id=case_id, centre=centre, rules=rules)
        scores.append(case)
    return scores


@dataclass(frozen=True)
class _TestCase:
    id: str
    centre: str
    label: str | None


def _test_cases(work: Path) -> list[_TestCase]:
    splits = read_json(work / "splits.json", "split")
    checked = read_json(work / "check.json", "check")
    try:
        cases = {case["id"]: _TestCase(case["id"], case["centre"], case["label"]) for case in checked["cases"]}
        wanted = list(splits["test"])
    except (KeyError, TypeError) as error:
        raise WorkDirError(f"{work}: splits.json or check.json lacks {error}; see docs/hnseg/workdir.md") from error
    if not wanted:
        raise CohortError(f"{work / 'splits.json'} has no test case: nothing can be scored")
    unknown = [case_id for case_id in wanted if case_id not in cases]
    if unknown:
        raise WorkDirError(f"test cases of {work / 'splits.json'} that check.json does not know: {_some(unknown)}")
    return [cases[case_id] for case_id in wanted]


def _said(rules: Rules) -> dict[str, Any]:
    return {"rules": rules.as_dict(), "definitions": rules.definitions()}


def _differs(grid: Grid, like: Grid) -> str:
    for name in ("size", "spacing_mm", "origin_mm", "direction"):
        a, b = getattr(grid, name), getattr(like, name)
        if not np.allclose(a, b, rtol=0, atol=1e-4):
            return f"{name} {tuple(round(v, 4) for v in a)} instead of {tuple(round(v, 4) for v in b)}"
    return "its voxels lie elsewhere"


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
