"""Whether the masks of a run come from the models that are there now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hnseg.errors import WorkDirError, listed
from ssimh.files.artifact_cache import hash_file, read_record


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
        record = read_record(path)
        models = record["made_from"].get("models") if record is not None else None
        for model, sha256 in models.items() if isinstance(models, dict) else ():
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
