"""The ensemble: the mean of the folds' logits, taken before the softmax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hnseg.checkpoint import load_checkpoint
from hnseg.config import Config, TrainConfig
from hnseg.errors import WorkDirError
from hnseg.inference import predict_logits
from hnseg.network import make_network


def find_models(work: Path, config: Config) -> list[Path]:
    """The best checkpoint of every fold.

    Raises
    ------
    WorkDirError
        A fold has not been trained.
    """
    models = [work / "models" / f"fold_{fold}" / "best.pt" for fold in range(config.split.folds)]
    missing = [path for path in models if not path.is_file()]
    if missing:
        raise WorkDirError(f"{missing[0]} is missing: run `hnseg train` for every fold first")
    return models


def load_network(path: Path, config: TrainConfig, fabric: Any) -> Any:
    """A trained network in evaluation mode.

    Raises
    ------
    WorkDirError
        The checkpoint was trained with another network.
    """
    checkpoint = load_checkpoint(path, device=fabric.device)
    network = make_network(config).to(fabric.device)
    try:
        network.load_state_dict(checkpoint["network"])
    except RuntimeError as error:
        raise WorkDirError(f"{path} belongs to a network with other settings than this run's: {error}") from error
    return network.eval()


def ensemble_logits(models: Sequence[Path], image: torch.Tensor, config: Config, fabric: Any) -> torch.Tensor:
    """Mean logits (3, z, y, x) of several models, with one model's weights in memory at a time."""
    total: torch.Tensor | None = None
    for path in models:
        network = load_network(path, config.train, fabric)
        logits = predict_logits(network, image, config.train, config.predict, fabric)
        total = logits if total is None else total + logits
        del network
    if total is None:
        raise WorkDirError("an ensemble needs at least one model")
    return total / len(models)
