"""Whether the masks of a run come from the models and the settings that are there now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hnseg.errors import WorkDirError, listed
from hnseg.settings.config_file import CONFIG_FILE
from hnseg.workdir import RUN_FILE, list_files, load_config
from ssimh.files.artifact_cache import hash_file, read_record

BY_OPTION = ("window", "flips")  # of a single `hnseg predict`


def refuse_other_models(work: Path, records: Mapping[str, Path], command: str) -> None:
    """Refuse masks whose record names a model that has been trained again since.

    Masks without a record, and models that were removed since, are not judged.

    Args:
        work: Work directory of the run.
        records: Record by the name that the message uses, for instance the case ID.
        command: That makes the masks, for the message.

    Raises:
        WorkDirError: Names the masks and the command.
    """
    hashes: dict[str, str | None] = {}
    changed = []
    for name, path in records.items():
        for model, sha256 in _models_of(path).items():
            if model not in hashes:
                file = work / model
                hashes[model] = hash_file(file) if file.is_file() else None
            if hashes[model] not in (None, sha256):
                changed.append(name)
                break
    if changed:
        raise WorkDirError(
            f"masks of {listed(changed)} were made by other models than those in {work / 'models'}: run `{command}`"
        )


def read_models(records: Mapping[str, Path]) -> dict[str, str]:
    """The models that masks were made by, as their records say; masks without a record are not judged.

    Args:
        records: Record by case ID.

    Returns:
        SHA-256 by the model's name; empty without a record.

    Raises:
        WorkDirError: Some masks were made by other models than the rest.
    """
    known = {case_id: models for case_id, path in records.items() if (models := _models_of(path))}
    if not known:
        return {}
    first = next(iter(known))
    others = [case_id for case_id, models in known.items() if models != known[first]]
    if others:
        raise WorkDirError(
            f"masks of {listed(others)} in {records[first].parent} were made by other models than that of {first}: "
            "run `hnseg predict WORK DATA --out` again"
        )
    return known[first]


def is_predicted_folder(folder: Path) -> bool:
    """Whether a folder holds masks that ``hnseg predict`` made from files, with their records."""
    found = (read_record(path) for path in list_files(folder, "*.json"))
    return any(record is not None and {"files", "models"} <= record["made_from"].keys() for record in found)


def _models_of(path: Path) -> dict[str, str]:
    record = read_record(path)
    models = record["made_from"].get("models") if record is not None else None
    return dict(models) if isinstance(models, dict) else {}


def refuse_other_settings(work: Path, records: Mapping[str, Path], command: str) -> None:
    """Refuse masks whose record names other settings of ``predict`` than the run's.

    Tuned settings count as the run's. Not judged are masks without a record, settings that a record does not name,
    :data:`BY_OPTION`, and a folder that holds no settings.

    Args:
        work: Work directory of the run.
        records: Record by the name that the message uses, for instance the case ID.
        command: That makes the masks, for the message.

    Raises:
        WorkDirError: Names the masks, the settings and the command.
    """
    if not ((work / RUN_FILE).is_file() and (work / CONFIG_FILE).is_file()):
        return
    now = load_config(work).predict.model_dump(mode="json", exclude=set(BY_OPTION))
    masks, names = [], set()
    for mask, path in records.items():
        record = read_record(path)
        then = record["made_from"].get("predict") if record is not None else None
        other = {name for name in now if isinstance(then, dict) and name in then and then[name] != now[name]}
        if other:
            masks.append(mask)
            names |= other
    if masks:
        changed = ", ".join(f"predict.{name}" for name in now if name in names)
        raise WorkDirError(f"masks of {listed(masks)} were made with other settings ({changed}): run `{command}`")
