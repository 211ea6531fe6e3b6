"""``last.pt``, the checkpoint from which the training of a fold continues."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnseg.config import Config
from hnseg.errors import WorkDirError
from hnseg.models.checkpoint import load_checkpoint
from hnseg.training.log import EpochRow, History

SECTIONS = {"preset", "seed", "split", "prepare", "train"}  # of the configuration, that decide the weights


@dataclass(frozen=True)
class FoldCheckpoint:
    """Content of ``last.pt``.

    Attributes:
        history: The epochs that are done.
        data: Content hash of the cases that it was trained on, see :func:`hnseg.training.cases.data_digest`.
        weights: State of the network.
        optimizer: State of the optimizer.
        average: State of the weights' running average, or None.
        precision: State of the fabric's precision: the scale of the gradients in float16.
    """

    history: History
    data: str
    weights: dict[str, Any]
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    precision: dict[str, Any]


def read_last(path: Path, config: Config) -> FoldCheckpoint | None:
    """The last checkpoint of a fold, or None where there is none.

    Raises:
        WorkDirError: It is damaged, no ``last.pt``, or was trained with other settings.
    """
    if not path.is_file():
        return None
    content = load_checkpoint(path)
    try:
        before = json.loads(content["config"])
        history = [EpochRow(**row) for row in content["history"]]
        found = FoldCheckpoint(history, *(content[k] for k in ("data", "weights", "optimizer", "average", "precision")))
    except (KeyError, TypeError, ValueError) as error:
        raise WorkDirError(
            f"{path} is no checkpoint that a training continues from ({type(error).__name__}: {error}): remove it"
        ) from error
    if {name: before.get(name) for name in SECTIONS} != config.model_dump(mode="json", include=SECTIONS):
        raise WorkDirError(f"{path} was trained with other settings; remove it or use another work directory")
    return found
