"""``last.pt``, the checkpoint from which the training of a fold continues."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnseg.errors import WorkDirError
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.model_origin import ModelOrigin, read_origin
from hnseg.training.log import EpochRow, History


@dataclass(frozen=True)
class FoldCheckpoint:
    """Content of ``last.pt``.

    Attributes:
        history: The epochs that are done.
        origin: Settings, split and cases that it was trained on, and the weights it began with.
        weights: State of the network.
        optimizer: State of the optimizer.
        average: State of the weights' running average, or None.
        precision: State of the fabric's precision: the scale of the gradients in float16.
    """

    history: History
    origin: ModelOrigin
    weights: dict[str, Any]
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    precision: dict[str, Any]


def read_last(path: Path) -> FoldCheckpoint | None:
    """The last checkpoint of a fold, or None where there is none.

    Raises:
        WorkDirError: It is damaged, or no ``last.pt``.
    """
    if not path.is_file():
        return None
    content = load_checkpoint(path)
    try:
        history = [EpochRow(**row) for row in content["history"]]
        weights, optimizer, average, precision = (content[k] for k in ("weights", "optimizer", "average", "precision"))
    except (KeyError, TypeError, ValueError) as error:
        raise WorkDirError(
            f"{path} is no checkpoint that a training continues from ({type(error).__name__}: {error}): remove it and "
            "run `hnseg train` again"
        ) from error
    return FoldCheckpoint(history, read_origin(content, path), weights, optimizer, average, precision)
