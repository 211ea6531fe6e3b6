"""Begin a run in a work directory, or continue the one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hnseg.cohort.cases import discover_cases
from hnseg.config import Config
from hnseg.errors import WorkDirError
from hnseg.locks import is_lock
from hnseg.provenance import provenance
from hnseg.workdir import read_json, write_json
from ssimh.files.atomic import is_leftover

_BEFORE_A_RUN = {"cohort", "run.json", "check.json", "check.html"}


def open_run(work: Path, config: Config, data_root: Path, *, resume: bool) -> None:
    """Begin a run in ``work``, or continue the one that is there.

    Raises:
        CohortError: The data root cannot be used; nothing is written.
        WorkDirError: The directory holds a run and ``resume`` is off; or it holds a run with other settings or data.
    """
    discover_cases(data_root)
    path = work / "run.json"
    root = str(data_root.resolve())
    check = work / "check.json"
    if not (check.is_file() and read_json(check, "check").get("cases")):
        # New, or a run whose data could not be used: nothing to continue.
        others = list(work.iterdir()) if work.is_dir() else []
        if any(not (entry.name in _BEFORE_A_RUN or is_lock(entry) or is_leftover(entry)) for entry in others):
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


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
