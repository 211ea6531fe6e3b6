"""The work directory: where each stage's files lie, how they are written whole, and how their shape is checked.

The layout is described for users in ``docs/hnseg/workdir.md``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from hnseg.errors import SettingsError, WorkDirError
from hnseg.settings.building import Values, build_config
from hnseg.settings.config import Config
from hnseg.settings.config_file import CONFIG_FILE, change_config_file, read_config_file, render_config
from hnseg.settings.predict import PredictConfig
from ssimh.files.atomic import atomic_write
from ssimh.files.json_object import JsonObject

RUN_FILE = "run.json"
BEGIN = "init"  # the command that begins a run
Record = TypeVar("Record")


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


def read_json(path: Path, made_by: str) -> JsonObject:
    """Read a stage's JSON file without looking at its fields; :func:`read_record` looks at them.

    Args:
        path: The file.
        made_by: The command that writes it, for messages.

    Raises:
        WorkDirError: It is missing or damaged; the message names the command that writes it.
    """
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `hnseg {made_by}` first")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WorkDirError(
            f"{path} is damaged, not JSON ({error}): remove it and run `hnseg {made_by}` again"
        ) from error
    if not isinstance(content, dict):
        raise WorkDirError(
            f"{path} holds a JSON {type(content).__name__}, not the object that `hnseg {made_by}` writes: "
            f"remove it and run `hnseg {made_by}` again"
        )
    return content


def read_record(path: Path, kind: type[Record], made_by: str) -> Record:
    """Read a stage's JSON file as a typed record.

    Args:
        path: The file.
        kind: Dataclass or pydantic model that it must have the shape of.
        made_by: The command that writes it, for messages.

    Raises:
        WorkDirError: It is missing, damaged, or of another shape; the message names the file, the field and the command
            that writes it.
    """
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `hnseg {made_by}` first")
    return parse_record(path.read_bytes(), kind, made_by, path)


def parse_record(content: bytes | str, kind: type[Record], made_by: str, path: Path) -> Record:
    """The typed record in a JSON text that was read from ``path``; raises as :func:`read_record`."""
    try:
        found: Record = _adapter(cast(Any, kind)).validate_json(content)
    except ValidationError as error:
        again = f"remove it and run `hnseg {made_by}` again"
        raise WorkDirError(f"{path} is not what this version writes ({describe_invalid(error)}); {again}") from error
    return found


def describe_invalid(error: ValidationError) -> str:
    """The first field of a record that is wrong, and what is wrong with it: ``cases.0.id: Field required``."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class KeptRecord(BaseModel):
    """A record that :class:`ssimh.files.artifact_cache.ArtifactCache` writes.

    Attributes:
        made_from: Everything that the result depends on.
        outputs: SHA-256 of its files, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_from: JsonObject = Field(default_factory=dict)
    outputs: dict[str, str | None] = Field(default_factory=dict)


class TunedRecord(BaseModel):
    """What ``hnseg tune`` has chosen.

    Attributes:
        predict: Settings of :class:`hnseg.settings.predict.PredictConfig` that replace those the run was begun with.
        made_from: Split, models and settings by which they were chosen.
        evidence: Scores, for the report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    predict: dict[str, float]
    made_from: dict[str, Any]
    evidence: dict[str, Any] = Field(default_factory=dict)


class RunRecord(BaseModel):
    """``run.json``: what a run was begun with beside its settings, and what tune has chosen since.

    Attributes:
        data_root: Folder or table of the cohort; empty in an export.
        provenance: Versions, machine and time.
        tuned: None before ``hnseg tune``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_root: str
    provenance: dict[str, Any] = Field(default_factory=dict)
    tuned: TunedRecord | None = None

    @model_validator(mode="after")
    def _check_tuned(self) -> RunRecord:
        self.apply_tuned(PredictConfig())  # an unknown setting or value is found when the file is read
        return self

    def apply_tuned(self, predict: PredictConfig) -> PredictConfig:
        """Settings of prediction with what tune has chosen in their place."""
        chosen = self.tuned.predict if self.tuned is not None else {}
        return PredictConfig(**{**predict.model_dump(), **chosen}) if chosen else predict


def load_run_record(work: Path) -> RunRecord:
    """Read ``run.json``.

    Raises:
        WorkDirError: It is missing, damaged or of another shape.
    """
    return read_record(work / RUN_FILE, RunRecord, BEGIN)


def save_run_record(record: RunRecord, work: Path) -> None:
    """Write ``run.json``."""
    write_json(work / RUN_FILE, record.model_dump(mode="json", exclude={"tuned"} if record.tuned is None else None))


def read_config(work: Path) -> Config:
    """The settings in ``config.yaml``; :func:`load_config` adds what ``split`` and ``tune`` have chosen.

    Raises:
        WorkDirError: It is missing, no settings file, or of another version; or a setting is unknown, missing or has a
            value that is not allowed.
    """
    path = work / CONFIG_FILE
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: {work} holds no run of this version; begin one with `hnseg {BEGIN}`")
    try:
        return read_config_file(path, whole=True)
    except SettingsError as error:
        raise WorkDirError(str(error)) from error


def save_config(config: Config, work: Path) -> None:
    """Write ``config.yaml``."""
    write_text(work / CONFIG_FILE, render_config(config))


def change_config(work: Path, values: Values) -> Config:
    """Change settings in ``config.yaml``; comments stay.

    Args:
        work: Work directory of the run.
        values: By dotted name.

    Returns:
        The settings as they are now.

    Raises:
        SettingsError: A name is unknown, or a value is not allowed; nothing is written.
        WorkDirError: The file is missing or damaged.
    """
    changed = build_config(values, base=read_config(work))
    write_text(work / CONFIG_FILE, change_config_file(work / CONFIG_FILE, values))
    return changed


@dataclass(frozen=True)
class _Folds:
    folds: tuple[tuple[str, ...], ...]


def load_config(work: Path, *, tuned: bool = True) -> Config:
    """The settings of the run in ``work``: those of ``config.yaml``, with what ``split`` and ``tune`` have chosen.

    The number of folds is that of ``splits.json``, where there is one: a split by center or by a published list has
    its own.

    Args:
        work: Work directory of the run.
        tuned: False: without what tune has chosen. Training compares its checkpoints with these.

    Raises:
        WorkDirError: ``config.yaml``, ``run.json`` or ``splits.json`` is damaged or of another shape.
    """
    record = load_run_record(work)
    config, splits = read_config(work), work / "splits.json"
    folds = len(read_record(splits, _Folds, "split").folds) if splits.is_file() else 0
    if folds:
        config = config.model_copy(update={"split": config.split.model_copy(update={"folds": folds})})
    return config.model_copy(update={"predict": record.apply_tuned(config.predict)}) if tuned else config
