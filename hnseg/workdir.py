"""The work directory: where each stage's files lie, and how they are written whole or not at all.

The layout is described for users in ``docs/hnseg/workdir.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hnseg.cases import discover_cases
from hnseg.config import Config, PredictConfig
from hnseg.errors import WorkDirError
from hnseg.provenance import provenance
from ssimh.files import replacing


def write_text(path: Path, text: str) -> None:
    """Write a text file through a temporary name, so that a crash leaves the old file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON (strict: no NaN) through a temporary name."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """Read a stage's JSON file.

    Raises
    ------
    WorkDirError
        It is missing or damaged; the message names the stage that writes it.
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


def open_run(work: Path, config: Config, data_root: Path, *, resume: bool) -> None:
    """Begin a run in ``work``, or continue the one that is there.

    Raises
    ------
    CohortError
        The data root cannot be used; nothing is written.
    WorkDirError
        The directory holds a run and ``resume`` is off; or it holds a run with other settings or data.
    """
    discover_cases(data_root)
    path = work / "run.json"
    root = str(data_root.resolve())
    check = work / "check.json"
    if not (check.is_file() and read_json(check, "check").get("cases")):
        # New, or a run whose data could not be used: nothing to continue.
        if work.is_dir() and {entry.name for entry in work.iterdir()} - _BEFORE_A_RUN:
            raise WorkDirError(f"{work} is not empty and holds no run; choose an empty or a new work directory")
        check.unlink(missing_ok=True)
        write_json(path, {"config": config.model_dump(mode="json"), "data_root": root, "provenance": provenance()})
        return
    if not resume:
        raise WorkDirError(f"{work} holds a run already; continue it with --resume or choose another work directory")
    before = read_json(path, "check")
    now = {"config": config.model_dump(mode="json"), "data_root": root}
    changed = sorted(
        name
        for name in {**_flat(now), **_flat({k: before[k] for k in now})}
        if _flat(now).get(name) != _flat({k: before[k] for k in now}).get(name)
    )
    if changed:
        raise WorkDirError(
            f"{work} holds a run with other settings ({', '.join(changed)}); "
            "resume with the same ones or choose another work directory"
        )


_BEFORE_A_RUN = {"cohort", "run.json", "check.json", "check.html"}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def load_config(work: Path, *, tuned: bool = True) -> Config:
    """The settings of the run in ``work``: as it was begun, with what ``split`` and ``tune`` have chosen since.

    The number of folds is that of ``splits.json``, where there is one: a split by centre or by a published list has
    its own.

    Parameters
    ----------
    work : Path
    tuned : bool
        False: as it was begun. Training compares its checkpoints with these.
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
