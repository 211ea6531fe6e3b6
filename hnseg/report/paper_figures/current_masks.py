"""Whether a run's mask is the one that the run would make now, so that no figure shows another one."""

from __future__ import annotations

from pathlib import Path

from hnseg.errors import CaseError
from hnseg.evaluation.mask_origin import refuse_other_models
from hnseg.inference.mask_outputs import record_path
from hnseg.inference.postprocess import SETTINGS
from hnseg.inference.predict_cohort import image_content
from hnseg.preprocessing.prepared_case import CaseRecord
from hnseg.workdir import load_config
from ssimh.files.artifact_cache import find_differences, hash_file, read_record
from ssimh.files.json_object import JsonObject

PREDICTIONS, OUT_OF_FOLD = "predictions", "out_of_fold"


def require_current_mask(work: Path, case_id: str, mask: Path, prepared: CaseRecord) -> None:
    """Refuse a mask that was made by other models, from another image, with other post-processing, or edited since.

    Args:
        work: Work directory of the run.
        case_id: The case.
        mask: In ``predictions/`` or ``out_of_fold/``.
        prepared: The case as it is prepared now.

    Raises:
        CaseError: Names what differs and the command that makes the mask again.
        WorkDirError: It was made by other models than those that are there now.
    """
    is_test = mask.parent.name == PREDICTIONS
    command = "hnseg predict" if is_test else "hnseg tune"
    path = record_path(mask) if is_test else mask.parent / "cases.json"
    refuse_other_models(work, {case_id: path}, command)
    record = read_record(path)
    outputs = None if record is None else record["outputs"]
    if record is None or outputs is None:
        raise CaseError(case_id, f"{path.name} does not say what the mask was made from: run `{command}`", mask)
    if outputs.get("mask" if is_test else case_id) != hash_file(mask):
        raise CaseError(case_id, f"the mask was changed since it was predicted; move it away and run `{command}`", mask)
    differences = _compare_settings(record["made_from"], work)
    if is_test and "prepared" in record["made_from"]:
        differences += find_differences(record["made_from"]["prepared"], image_content(prepared))
    if differences:
        raise CaseError(case_id, f"the mask is out of date ({', '.join(differences)} differ): run `{command}`", mask)


def _compare_settings(made_from: JsonObject, work: Path) -> tuple[str, ...]:
    """Settings of the post-processing that differ from those that a record names."""
    known, now = made_from.get("predict"), load_config(work).predict.model_dump(mode="json", include=set(SETTINGS))
    if not isinstance(known, dict):
        return ("predict",)
    return find_differences({name: known.get(name) for name in now}, now)
