"""Models of one run for another one that would train the same ones: linked on disk, not copied."""

from __future__ import annotations

from pathlib import Path

from hnseg.errors import WorkDirError
from hnseg.locks import hold
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.model_origin import check_origin, read_origin
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.preprocessing.reuse_prepared import explain_links
from hnseg.workdir import load_config
from ssimh.files.hard_link import link_file

LAST = "last.pt"


def share_models(source: Path, work: Path) -> tuple[int, ...]:
    """Let a run share the folds that another run has trained, or has begun to train, as this one would.

    A fold that ``work`` has begun itself is left alone. Training goes on in files of its own, so neither run can change
    the other's.

    Args:
        source: Work directory of the other run; nothing in it is changed.
        work: Work directory of this run, prepared, on the same file system.

    Returns:
        The folds that were linked now.

    Raises:
        WorkDirError: ``work`` is not prepared, or the two are on different file systems.
        InUseError: Another process trains a fold of ``work``.
    """
    cohort, config = open_cohort(work), load_config(work)
    shared = []
    with explain_links(source, work):
        for fold in range(len(cohort.splits.folds)):
            theirs, own = (home / "models" / f"fold_{fold}" for home in (source, work))
            if own.is_dir() or not (theirs / LAST).is_file():
                continue
            try:
                origin = read_origin(load_checkpoint(theirs / LAST), theirs / LAST)
                check_origin(
                    origin,
                    theirs / LAST,
                    fold=fold,
                    config=config,
                    splits=cohort.splits,
                    preparation=cohort.preparation,
                )
            except WorkDirError:  # damaged, or trained in another way
                continue
            with hold(work, f"fold_{fold}", "hnseg init"):
                _link_fold(theirs, own)
            shared.append(fold)
    return tuple(shared)


def _link_fold(source: Path, target: Path) -> None:
    """Link the files of a fold; the folder of TensorBoard, whose files grow, is left out."""
    scratch = target.with_name(f".writing-{target.name}")
    scratch.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_file() and not path.name.startswith("."):
            link_file(path, scratch / path.name)
    scratch.replace(target)
