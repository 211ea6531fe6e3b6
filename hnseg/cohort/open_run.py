"""Start of a run in a work directory, or continuation of the one that is there."""

from __future__ import annotations

from pathlib import Path

from hnseg.cohort.cases import discover_cases
from hnseg.cohort.reference import resolve_reference
from hnseg.errors import WorkDirError
from hnseg.locks import is_lock
from hnseg.provenance import provenance
from hnseg.settings.config import Config
from hnseg.settings.config_file import CONFIG_FILE, render_config
from hnseg.workdir import (
    RUN_FILE,
    RunRecord,
    load_run_record,
    read_config,
    read_json,
    save_config,
    save_run_record,
)
from ssimh.files.artifact_cache import find_differences
from ssimh.files.atomic import is_leftover

_BEFORE_A_RUN = {"cohort", CONFIG_FILE, RUN_FILE, "check.json", "check.html", "check_files"}
_FOREIGN = "{work} is not empty and holds no run; choose an empty or a new work directory"


def begin_run(work: Path, config: Config, data_root: Path) -> None:
    """Begin a run: write its settings into ``config.yaml``, and ``run.json``.

    Args:
        work: New or empty, or with nothing but a generated cohort.
        config: Settings.
        data_root: Folder or table of the cohort.

    Raises:
        CohortError: The data root cannot be used, or the reference is neither one of its cases nor a file; nothing is
            written.
        WorkDirError: The directory is not empty.
    """
    config = _resolve(config, data_root)
    for name in (CONFIG_FILE, RUN_FILE):
        if (work / name).exists():
            raise WorkDirError(
                f"{work} holds a run already ({name}): edit its {CONFIG_FILE}, give --set to a command, or choose "
                "another work directory"
            )
    _refuse_foreign_files(work)
    _write_run(work, config, data_root)


def open_run(work: Path, config: Config, data_root: Path, *, resume: bool) -> None:
    """Begin a run in ``work``, or continue the one that is there.

    Raises:
        CohortError: The data root cannot be used, or the reference is neither one of its cases nor a file; nothing is
            written.
        WorkDirError: The directory holds a run and ``resume`` is off; it holds a run with other settings or data; its
            ``config.yaml`` was edited; or it is not empty, and what lies there is no run.
    """
    config = _resolve(config, data_root)
    root = str(data_root.resolve())
    before = load_run_record(work) if (work / RUN_FILE).is_file() else None
    check = work / "check.json"
    if not (check.is_file() and read_json(check, "check").get("cases")):
        # New, or a run whose data could not be used: nothing to continue.
        if before is None and check.is_file():
            raise WorkDirError(_FOREIGN.format(work=work))
        _refuse_foreign_files(work)
        if before is not None and before.data_root == root and _holds_settings(work, config):
            check.unlink(missing_ok=True)
            return
        check.unlink(missing_ok=True)
        _write_run(work, config, data_root)
        return
    if not resume:
        raise WorkDirError(f"{work} holds a run already; continue it with --resume or choose another work directory")
    before = before or load_run_record(work)
    now = {"config": config.model_dump(mode="json"), "data_root": root}
    known = {"config": read_config(work).model_dump(mode="json"), "data_root": before.data_root}
    changed = find_differences(known, now)
    if changed:
        raise WorkDirError(
            f"{work} holds a run with other settings ({', '.join(changed)}); "
            "resume with the same ones or choose another work directory"
        )


def _resolve(config: Config, data_root: Path) -> Config:
    return resolve_reference(config, {case.id for case in discover_cases(data_root)})


def _write_run(work: Path, config: Config, data_root: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    save_config(config, work)
    save_run_record(RunRecord(data_root=str(data_root.resolve()), provenance=provenance()), work)


def _holds_settings(work: Path, config: Config) -> bool:
    """Whether the file of a run that has not begun has these settings; refuses to replace one that was edited."""
    path = work / CONFIG_FILE
    if not path.is_file():
        return False
    known = read_config(work)
    if known != config and path.read_text(encoding="utf-8") != render_config(known):
        raise WorkDirError(
            f"{path} was edited, and has other settings: continue with it (--resume), remove it, or choose another "
            "work directory"
        )
    return known == config


def _refuse_foreign_files(work: Path) -> None:
    others = list(work.iterdir()) if work.is_dir() else []
    if any(not (entry.name in _BEFORE_A_RUN or is_lock(entry) or is_leftover(entry)) for entry in others):
        raise WorkDirError(_FOREIGN.format(work=work))
