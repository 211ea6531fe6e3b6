"""Logits of a whole crop: sliding windows, blended by Gaussians."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import sliding_window_inference

from hnseg.config import PredictConfig, TrainConfig


@torch.inference_mode()
def predict_logits(
    network: Any, image: torch.Tensor, train: TrainConfig, predict: PredictConfig, fabric: Any
) -> torch.Tensor:
    """Logits of one image.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, on the fabric's device.
    image : Tensor (2, z, y, x)
        CT and PET, normalized; any device and floating dtype.
    train, predict : TrainConfig, PredictConfig
        The window is the training patch; neighbouring windows share ``predict.overlap`` of it.
    fabric : lightning_fabric.Fabric

    Returns
    -------
    Tensor (3, z, y, x) float32, on the CPU
    """

    def forward(window: torch.Tensor) -> torch.Tensor:
        with fabric.autocast():
            logits: torch.Tensor = network(window.contiguous(memory_format=torch.channels_last_3d))
        return logits.float()

    logits = sliding_window_inference(
        image[None].float().to(fabric.device),
        roi_size=train.patch_zyx,
        sw_batch_size=1,
        predictor=forward,
        overlap=predict.overlap,
        mode="gaussian",
    )
    assert isinstance(logits, torch.Tensor)  # one output, not a tuple or dictionary of several
    return logits[0].cpu()
