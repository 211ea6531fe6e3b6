"""State of a fold on disk: its last checkpoint, if it belongs to the run as it is now, and its initial weights."""

from __future__ import annotations

from pathlib import Path

from hnseg.errors import WorkDirError, listed
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.model_origin import InitialWeights, ModelOrigin, find_config_changes, read_origin
from hnseg.provenance import versions
from hnseg.settings.config import Config
from hnseg.training.cases import FoldCases
from hnseg.training.fold_checkpoint import FoldCheckpoint, read_last
from ssimh.files.artifact_cache import hash_file


def resume_fold(
    folder: Path, fold: int, config: Config, cases: FoldCases, init: Path | None
) -> tuple[ModelOrigin, FoldCheckpoint | None]:
    """Read the last checkpoint of a fold and compare it with the run.

    Args:
        folder: Of the fold's checkpoints.
        fold: Its number.
        config: Settings of the run.
        cases: Prepared cases of the fold.
        init: Checkpoint that a new fold begins with.

    Returns:
        What the fold is trained on, for its checkpoints; and the checkpoint, None for a fold that begins.

    Raises:
        WorkDirError: The checkpoint is damaged or of another shape; it belongs to other settings, another split or
            other prepared cases, or began with other weights than ``init``; or ``init`` was trained on validation or
            test cases of the fold.
    """
    origin = ModelOrigin(
        fold=fold,
        config=config,
        split=cases.splits.digest,
        preparation=dict(cases.preparation),
        data=cases.digest,
        training_cases=tuple(case.id for case in cases.training),
        validation_cases=tuple(case.id for case in cases.validation),
        init=None if init is None else read_init(init, fold, cases),
        versions=versions(),
    )
    last = read_last(folder / "last.pt")
    if last is None:
        return origin, None
    _compare(last.origin, origin, folder / "last.pt")
    return origin.model_copy(update={"init": last.origin.init}), last


def require_best(home: Path) -> Path:
    """The best checkpoint of a fold that is finished.

    Raises:
        WorkDirError: It is not there.
    """
    path = home / "best.pt"
    if not path.is_file():
        raise WorkDirError(f"{path} is missing though the fold is finished: remove {home} and run `hnseg train` again")
    return path


def read_init(path: Path, fold: int, cases: FoldCases) -> InitialWeights:
    """The record of a checkpoint that a fold begins with.

    Args:
        path: The checkpoint.
        fold: That begins with it.
        cases: Of the fold.

    Raises:
        WorkDirError: It cannot be read, or says that it was trained on validation or test cases of the fold.
    """
    content = load_checkpoint(path)
    trained_on = read_origin(content, path).trained_on if "origin" in content else frozenset()
    leaking = trained_on & {*cases.splits.folds[fold], *cases.splits.test}
    if leaking:
        raise WorkDirError(
            f"{path} was trained on {listed(sorted(leaking))}, which fold {fold} validates or the run tests: begin "
            "with other weights"
        )
    return InitialWeights(file=path.name, sha256=hash_file(path), training_cases=tuple(sorted(trained_on)))


def _compare(before: ModelOrigin, now: ModelOrigin, path: Path) -> None:
    again = f"remove {path.parent} to train the fold again, or use another work directory"
    if before.fold != now.fold:
        raise WorkDirError(f"{path} is a checkpoint of fold {before.fold}: {again}")
    changed = find_config_changes(before.config, now.config)
    if changed:
        raise WorkDirError(f"{path} was trained with other settings ({', '.join(changed)}): {again}")
    if before.split != now.split:
        raise WorkDirError(f"{path} was trained on another split: {again}")
    if before.data != now.data:
        raise WorkDirError(f"{path} was trained on other prepared cases: {again}")
    if now.init is not None and (before.init is None or before.init.sha256 != now.init.sha256):
        began = "random weights" if before.init is None else f"those of {before.init.file}"
        raise WorkDirError(f"{path}: the fold began with {began}, not with those of {now.init.file}: {again}")
