"""The optimizer, and the running average of the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hnseg.settings.train import TrainConfig


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], config: TrainConfig, *, fused: bool = False
) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum.

    Args:
        parameters: Weights of the network.
        config: Settings of the training.
        fused: AdamW in one call for all weights; equal to rounding. Not with a gradient scaler that is to be clipped.
    """
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.momentum > 0,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused)


def make_average(network: torch.nn.Module, config: TrainConfig) -> AveragedModel | None:
    """Exponential moving average of the weights; None where it is off."""
    if config.ema_decay == 0:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
