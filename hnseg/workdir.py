"""The work directory: where each stage's files lie, and how they are written whole or not at all.

The layout is described for users in ``docs/hnseg/workdir.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hnseg.config import Config, PredictConfig
from hnseg.errors import WorkDirError
from ssimh.files.atomic import atomic_write


def write_text(path: Path, text: str) -> None:
    """Write a text file through a temporary name, so that a crash leaves the old file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON (strict: no NaN) through a temporary name."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def list_files(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder that match a pattern, sorted; without those whose name begins with a dot.

    Such names are unfinished files of a process that was killed (``.writing-…``), or macOS's own (``._…``).
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """Read a stage's JSON file.

    Raises:
        WorkDirError: It is missing or damaged; the message names the stage that writes it.
    """
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `hnseg {made_by}` first")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WorkDirError(
            f"{path} is damaged, not JSON ({error}): remove it and run `hnseg {made_by}` again"
        ) from error
    if not isinstance(content, dict):
        raise WorkDirError(f"{path} is not what `hnseg {made_by}` writes: remove it and run `hnseg {made_by}` again")
    return content


def describe_invalid(error: ValidationError) -> str:
    """The first field of a record that is wrong, and what is wrong with it: ``cases.0.id: Field required``."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"


def load_config(work: Path, *, tuned: bool = True) -> Config:
    """The settings of the run in ``work``: as it was begun, with what ``split`` and ``tune`` have chosen since.

    The number of folds is that of ``splits.json``, where there is one: a split by center or by a published list has
    its own.

    Args:
        work: Work directory of the run.
        tuned: False: as it was begun. Training compares its checkpoints with these.
    """
    content = read_json(work / "run.json", "check")
    config = Config.model_validate(content["config"])
    splits = work / "splits.json"
    folds = len(read_json(splits, "split").get("folds", ())) if splits.is_file() else 0
    if folds:
        config = config.model_copy(update={"split": config.split.model_copy(update={"folds": folds})})
    chosen = content.get("tuned", {}).get("predict", {}) if tuned else {}
    if not chosen:
        return config
    return config.model_copy(update={"predict": PredictConfig(**{**config.predict.model_dump(), **chosen})})
