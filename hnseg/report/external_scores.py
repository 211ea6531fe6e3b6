"""The scores of an external cohort, refused unless the run's models made its masks, with the run's settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hnseg.errors import WorkDirError, listed
from hnseg.evaluation.mask_origin import refuse_other_models, refuse_other_settings
from hnseg.evaluation.records import CaseRow, FolderEvaluation, WorkdirEvaluation, read_metrics
from hnseg.provenance import sha256
from ssimh.files.artifact_cache import ArtifactCache, read_record

PREDICT = "hnseg predict WORK DATA --out"


def read_external_scores(work: Path, folder: Path, run: WorkdirEvaluation) -> FolderEvaluation:
    """Read ``metrics.json`` of a folder that ``hnseg predict --out`` wrote.

    Models that are no longer in the work directory are not compared.

    Args:
        work: The run whose models made the masks.
        folder: Masks, their records and ``metrics.json``.
        run: Scores of the run.

    Raises:
        WorkDirError: ``metrics.json`` is missing, has no scored case, or is of other masks or rules; a mask has no
            record of hnseg, was changed since, or was made by other models or with other settings.
    """
    path, evaluate = folder / "metrics.json", f"hnseg evaluate {folder} DATA"
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `{evaluate}` first; DATA needs the labels of the cohort")
    metrics = read_metrics(path)
    if not isinstance(metrics, FolderEvaluation):
        raise WorkDirError(
            f"{path} holds the scores of a run, not of a folder of masks: name the --out of `hnseg predict`"
        )
    if not metrics.cases:
        raise WorkDirError(f"{path} has no scored case: the external cohort needs labels")
    if metrics.rules != run.rules:
        raise WorkDirError(f"{path} was scored by other rules than the run: run `{evaluate}` again")
    require_scored_masks(metrics.cases, folder, evaluate)
    records = {case.case_id: folder / f"{case.case_id}.json" for case in metrics.cases if not case.missing}
    _require_records(records, folder)
    command = f"{PREDICT} {folder}"
    refuse_other_models(work, records, command)
    refuse_other_settings(work, records, command)
    return metrics


def require_scored_masks(cases: Sequence[CaseRow], folder: Path, command: str) -> None:
    """Refuse scores of other masks than those that are there; masks that are not there are not judged.

    Raises:
        WorkDirError: Names the masks and the command that scores them.
    """
    changed = [
        case.case_id
        for case in cases
        if case.mask_sha256 is not None
        and (path := folder / f"{case.case_id}.nii.gz").is_file()
        and sha256(path) != case.mask_sha256
    ]
    if changed:
        raise WorkDirError(f"masks of {listed(changed)} in {folder} are others than those scored: run `{command}`")


def _require_records(records: dict[str, Path], folder: Path) -> None:
    """Refuse masks of another tool, and masks that were changed after they were predicted."""
    read = {case_id: read_record(path) for case_id, path in records.items()}
    foreign = [case_id for case_id, record in read.items() if record is None or "models" not in record["made_from"]]
    if foreign:
        raise WorkDirError(
            f"masks of {listed(foreign)} in {folder} have no record (<ID>.json) that says which models made them: "
            f"make them with `{PREDICT} {folder}`"
        )
    edited = [
        case_id
        for case_id, path in records.items()
        if ArtifactCache(path, {}, {"mask": folder / f"{case_id}.nii.gz"}).edited_outputs()
    ]
    if edited:
        raise WorkDirError(
            f"masks of {listed(edited)} in {folder} were changed after the models made them: remove them and run "
            f"`{PREDICT} {folder}` again"
        )
