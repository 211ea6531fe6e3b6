"""Origin of a trained network, stored in its checkpoint, and whether a run may use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hnseg.cohort.splits import Splits
from hnseg.errors import WorkDirError, listed
from hnseg.settings.config import Config
from hnseg.workdir import describe_invalid
from ssimh.files.artifact_cache import find_differences

SECTIONS = {"preset", "seed", "split", "prepare", "train"}  # of the configuration, that decide the weights
SPEED_ONLY = {"train.workers", "train.tensorboard"}  # settings of these sections that do not
BY_CONTENT = {"prepare.reference"}  # counts in the preparation, by what the case or the file holds


class InitialWeights(BaseModel):
    """The checkpoint that a fold began with.

    Attributes:
        file, sha256: Its name and content.
        training_cases: Cases that its network, and those it began with in turn, were trained on, as far as they say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str
    training_cases: tuple[str, ...] = ()


class ModelOrigin(BaseModel):
    """What a network was trained on.

    Attributes:
        fold: Of the run.
        config: Settings of the run when the fold began.
        split: :attr:`hnseg.cohort.splits.Splits.digest`.
        preparation: What all prepared cases depend on, see
            :func:`hnseg.preprocessing.prepare_case.preparation_key`.
        data: Content hash of the split and of every prepared case of the fold.
        training_cases, validation_cases: IDs.
        init: The weights it began with; None for random ones.
        versions: Of the packages that change numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: int
    config: Config
    split: str
    preparation: dict[str, Any]
    data: str
    training_cases: tuple[str, ...]
    validation_cases: tuple[str, ...]
    init: InitialWeights | None = None
    versions: dict[str, str]

    @property
    def trained_on(self) -> frozenset[str]:
        """Cases whose labels have moved the weights, those of the initial weights included."""
        return frozenset(self.training_cases) | frozenset(self.init.training_cases if self.init else ())


def read_origin(checkpoint: Mapping[str, Any], path: Path) -> ModelOrigin:
    """The origin that a checkpoint states.

    Args:
        checkpoint: As :func:`hnseg.models.checkpoint.load_checkpoint` reads it.
        path: Its file, for messages.

    Raises:
        WorkDirError: It states none, or one of another shape.
    """
    if "origin" not in checkpoint:
        raise WorkDirError(f"{path}: origin: it does not say what it was trained on: remove it and run `hnseg train`")
    try:
        return ModelOrigin.model_validate(checkpoint["origin"])
    except ValidationError as error:
        field = describe_invalid(error)
        raise WorkDirError(f"{path}: origin.{field}: remove it and run `hnseg train` again") from error


def find_config_changes(before: Config, now: Config) -> tuple[str, ...]:
    """Settings that decide the weights and differ, by their dotted names."""
    known, wanted = (config.model_dump(mode="json", include=SECTIONS) for config in (before, now))
    return tuple(name for name in find_differences(known, wanted) if name not in SPEED_ONLY | BY_CONTENT)


def check_origin(
    origin: ModelOrigin,
    path: Path,
    *,
    fold: int,
    config: Config,
    splits: Splits,
    preparation: Mapping[str, object],
) -> None:
    """Refuse a model that this run would not have trained.

    Args:
        origin: Of the model.
        path: Its file, for messages.
        fold: That it stands for in the run.
        config: Settings of the run.
        splits: Split of the run.
        preparation: What the run's prepared cases depend on.

    Raises:
        WorkDirError: It has seen a test case, or belongs to another fold, split, preparation or other settings.
    """
    again = f"remove {path.parent} and run `hnseg train` again"
    seen = (origin.trained_on | set(origin.validation_cases)) & set(splits.test)
    if seen:
        raise WorkDirError(f"{path} was trained or chosen on {listed(sorted(seen))}, now test cases: {again}")
    if origin.fold != fold:
        raise WorkDirError(f"{path} is the model of fold {origin.fold}, not of fold {fold}: {again}")
    changed = list(find_config_changes(origin.config, config))
    if changed:
        raise WorkDirError(f"{path} was trained with other settings ({', '.join(changed)}): {again}")
    if origin.split != splits.digest:
        raise WorkDirError(f"{path} was trained on another split than splits.json: {again}")
    prepared = find_differences(origin.preparation, preparation)
    if prepared:
        raise WorkDirError(f"{path} was trained on cases prepared in another way ({', '.join(prepared)}): {again}")
