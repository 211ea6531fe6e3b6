"""Which epoch of a fold is the best, and when the fold is finished: both by ``train.monitor``."""

from __future__ import annotations

import math

from hnseg.settings.train import TrainConfig
from hnseg.training.log import EpochRow, History


def best_epoch(history: History, config: TrainConfig) -> int:
    """Number of the epoch with the best validation, the latest of equals; without any validation, the latest epoch.

    The best is the lowest ``val_loss`` or the highest ``val_score``, as ``monitor`` says. A NaN or infinite loss
    is never the best.
    """
    judged = [(merit, row.epoch) for row in history if (merit := _merit(row, config)) is not None]
    return max(judged)[1] if judged else history[-1].epoch


def stops_early(history: History, config: TrainConfig) -> bool:
    """Whether no validation has been better for ``patience`` epochs.

    Epochs are counted, and only an epoch with a validation can be better: with a validation every 5 epochs, a patience
    of 12 waits for two more validations, as one of 10 does, and two epochs longer.
    """
    if not history or config.patience is None:
        return False
    return len(history) - best_epoch(history, config) >= config.patience


def is_finished(history: History, config: TrainConfig) -> bool:
    """Whether all epochs are done, or the fold stops early."""
    return len(history) >= config.epochs or stops_early(history, config)


def _merit(row: EpochRow, config: TrainConfig) -> float | None:
    """What the monitor says of an epoch, higher is better; None where it has no validation, or an undefined one."""
    value = row.val_score if config.monitor == "val_score" else row.val_loss
    if value is None or not math.isfinite(value):
        return None
    return value if config.monitor == "val_score" else -value
