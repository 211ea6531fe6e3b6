"""Early stopping: when a fold is finished, and which of its epochs is the best."""

from __future__ import annotations

from hnseg.settings.train import TrainConfig
from hnseg.training.log import History


def best_epoch(history: History) -> int:
    """Number of the epoch with the best validation score, the latest of equals; without any score, the latest epoch."""
    scores = [(row.val_score, row.epoch) for row in history if row.val_score is not None]
    return max(scores)[1] if scores else history[-1].epoch


def is_finished(history: History, config: TrainConfig) -> bool:
    """Whether all epochs are done, or none has been better for ``patience`` epochs."""
    if len(history) >= config.epochs:
        return True
    if not history or config.patience is None:
        return False
    return len(history) - best_epoch(history) >= config.patience
