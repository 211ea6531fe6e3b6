"""The network: MONAI's SegResNet with deep supervision."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.nets import SegResNetDS

from hnseg.cohort.labels import NUM_CLASSES
from hnseg.config import TrainConfig

CHANNELS = 2  # CT, PET


def make_network(config: TrainConfig) -> Any:
    """SegResNetDS with instance normalization, in channels-last memory order.

    In training mode it returns a list of logits, main output first, each coarser by a factor of two; in evaluation
    mode the main output alone, (batch, 3, z, y, x).
    """
    network = SegResNetDS(
        spatial_dims=3,
        init_filters=config.filters,
        in_channels=CHANNELS,
        out_channels=NUM_CLASSES,
        norm="INSTANCE",
        blocks_down=config.blocks_down,
        dsdepth=config.heads,
    )
    # Convolutions are several times faster this way in bf16, on the CPU and on tensor cores alike.
    return network.to(memory_format=torch.channels_last_3d)


def stride(config: TrainConfig) -> int:
    """Every length of an input must be a multiple of this."""
    return int(2 ** (len(config.blocks_down) - 1))


def window_bytes_per_voxel(config: TrainConfig, element_bytes: int) -> int:
    """Memory that the network needs beside its weights, for each voxel of a window, when predicting.

    Reckoned as five feature maps of the first level, and 100 bytes for input, logits and the deeper levels. Measured as
    growth of the peak on a CPU (``benchmarks/predict_windows.py``): 260 to 370 bytes in bf16, 560 to 650 in float32
    with 32 filters, where this says 420 and 740.
    """
    return 5 * config.filters * element_bytes + 100
