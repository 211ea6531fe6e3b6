"""The files of an external cohort: masks and records in the folder of ``hnseg predict --out``, images elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hnseg.cohort.cases import Case, discover_cases
from hnseg.errors import HnsegError
from hnseg.evaluation.records import CaseRow, FolderEvaluation
from hnseg.report.data import (
    PHANTOM_RECORD,
    RunFiles,
    count_cases,
    preparation_warnings,
    ranked_cases,
    scoring_warnings,
    worst_cases,
)
from hnseg.report.records import CaseFiles, Part, PredictionRecord, PreparedRecord
from ssimh.files.artifact_cache import InputFile, content_of, read_record

P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class ExternalFiles:
    """The files of an external cohort, as far as they are there.

    Attributes:
        masks: Folder of the masks.
        metrics: Its ``metrics.json``.
        inputs: Images of each case by ID, those that the masks were made from.
        prepared, predictions: How each case was prepared and predicted, from the records beside the masks.
        in_run: Case of the run by the case that has the same CT.
        gaps: What is missing, in sentences.
    """

    masks: Path
    metrics: FolderEvaluation
    inputs: dict[str, CaseFiles] = field(default_factory=dict)
    prepared: dict[str, PreparedRecord] = field(default_factory=dict)
    predictions: dict[str, PredictionRecord] = field(default_factory=dict)
    in_run: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)

    @property
    def cases(self) -> tuple[CaseRow, ...]:
        """The scored cases."""
        return self.metrics.cases

    @property
    def is_generated(self) -> bool:
        """Whether the cohort is the phantom."""
        return self.metrics.data_root is not None and (Path(self.metrics.data_root) / PHANTOM_RECORD).is_file()


def load_external(run: RunFiles, folder: Path, metrics: FolderEvaluation, viewer_cases: int = 0) -> ExternalFiles:
    """Read what an external cohort's report shows.

    Args:
        run: Whose models made the masks.
        folder: That ``hnseg predict --out`` wrote.
        metrics: Its scores, as :func:`hnseg.report.external_scores.read_external_scores` reads them.
        viewer_cases: Cases whose images are also shown, the worst first.
    """
    files = ExternalFiles(folder, metrics)
    hashes: dict[str, str] = {}
    for case in files.cases:
        path = folder / f"{case.case_id}.json"
        if (prepared := _read(PreparedRecord, path)) is not None:
            files.prepared[case.case_id] = prepared
        if (prediction := _read(PredictionRecord, path)) is not None:
            files.predictions[case.case_id] = prediction
        hashes |= {case.case_id: sha256} if (sha256 := _ct_hash(path)) else {}
    of_run = {sha256: case_id for case_id in run.prepared if (sha256 := _ct_hash(_case_file(run.work, case_id)))}
    files.in_run.update({case_id: of_run[sha256] for case_id, sha256 in hashes.items() if sha256 in of_run})
    shown = {row.case_id: row for _, row in ranked_cases(files.cases)}
    shown |= {row.case_id: row for row in worst_cases(files.cases, viewer_cases)}
    _find_images(files, list(shown.values()))
    return files


def external_warnings(files: ExternalFiles) -> list[str]:
    """Everything that a reader has to know before believing a score, in sentences."""
    sentences = []
    if files.in_run:
        case_id, same = next(iter(files.in_run.items()))
        sentences.append(
            f"The CT of {count_cases(list(files.in_run), files.cases)} is that of a case of the run "
            f"({case_id} is {same} there): such a case is not external, and the models may have trained on it."
        )
    sentences += preparation_warnings(files.prepared)
    sentences += scoring_warnings(files.metrics, files.metrics.skipped, "external")
    return sentences


def _case_file(work: Path, case_id: str) -> Path:
    return work / "prepared" / case_id / "case.json"


def _ct_hash(record_path: Path) -> str | None:
    """SHA-256 of the CT that a result was made from; None where its record does not say."""
    record = read_record(record_path)
    files = content_of(record["made_from"]).get("files") if record is not None else None
    found = files.get("ct") if isinstance(files, Mapping) else None
    return found if isinstance(found, str) else None


def _read(model: type[P], path: Path) -> P | None:
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def _find_images(files: ExternalFiles, shown: Sequence[CaseRow]) -> None:
    """The images of the cases to be shown, if they are those that the masks were made from."""
    root, again = files.metrics.data_root, "run `hnseg evaluate` with the cohort's root to show pictures"
    try:
        known = {case.id: case for case in discover_cases(Path(root))} if root else {}
    except HnsegError as error:
        files.gaps.append(f"No picture: {error}; {again}.")
        return
    for row in shown:
        case = known.get(row.case_id)
        if case is None:
            files.gaps.append(f"{root or 'metrics.json'} does not name the images of {row.case_id}: {again}.")
        elif not row.missing and not _is_predicted_from(case, files.masks / f"{row.case_id}.json"):
            files.gaps.append(f"{case.ct} is another CT than the one that the mask was made from.")
        else:
            pet, label = (None if path is None else str(path) for path in (case.pet, case.label))
            files.inputs[case.id] = CaseFiles(
                id=case.id, ct=str(case.ct), pet=pet, label=label, suv_factor=case.suv_factor
            )


def _is_predicted_from(case: Case, record_path: Path) -> bool:
    record = read_record(record_path)
    files = record["made_from"].get("files") if record is not None else None
    return not isinstance(files, dict) or InputFile(case.ct).matches(files.get("ct"))
