"""Origin of tuned settings, and whether the run still matches it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hnseg.cohort.splits import Splits
from hnseg.errors import WorkDirError
from hnseg.settings.predict import PredictConfig
from hnseg.workdir import RUN_FILE, load_run_record, read_config
from ssimh.files.artifact_cache import find_differences


def tuned_key(splits: Splits, models: Mapping[str, str], defaults: PredictConfig) -> dict[str, object]:
    """What a choice of settings depends on.

    Args:
        splits: Split of the run: who was validated and who is tested.
        models: SHA-256 of every fold's model, by its path in the work directory.
        defaults: Settings of ``config.yaml``.
    """
    return {"split": splits.digest, "models": dict(models), "defaults": defaults.model_dump(mode="json")}


def check_tuned(work: Path, splits: Splits, models: Mapping[str, str]) -> None:
    """Refuse tuned settings that were chosen with other models or on another split: on what may be test cases now.

    Raises:
        WorkDirError: They were; names the parts that differ.
    """
    record = load_run_record(work)
    if record.tuned is None:
        return
    differences = find_differences(record.tuned.made_from, tuned_key(splits, models, read_config(work).predict))
    if differences:
        raise WorkDirError(
            f"{work / RUN_FILE}: tuned: the settings were chosen for another run ({', '.join(differences)} differ): "
            "run `hnseg tune` again"
        )
