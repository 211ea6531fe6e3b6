"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from hnseg.settings.train import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of a step, counted from 0 over the whole training.

    Linear from near 0 to the base rate in the warm-up; then a half cosine down to 0 (``cosine``), a fall by
    ``step_factor`` every ``step_epochs`` epochs (``step``), or nnU-Net's ``(1 - progress) ** 0.9`` (``poly``).

    >>> config = TrainConfig(epochs=5, warmup_epochs=1, learning_rate=1.0, patch_vox=(16, 16, 16))
    >>> [round(learning_rate(config, step, 2), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    >>> stepped = config.model_copy(update={"schedule": "step", "step_epochs": 2, "warmup_epochs": 0})
    >>> [round(learning_rate(stepped, step, 2), 3) for step in (0, 3, 4, 8)]
    [1.0, 1.0, 0.1, 0.01]
    """
    warmup, steps = config.warmup_epochs * steps_per_epoch, config.epochs * steps_per_epoch
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    if config.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * progress))
    elif config.schedule == "poly":
        factor = (1 - progress) ** 0.9
    else:
        factor = config.step_factor ** (step // (config.step_epochs * steps_per_epoch))
    return config.learning_rate * factor
