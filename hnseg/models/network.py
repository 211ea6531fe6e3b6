"""The network: MONAI's SegResNet with deep supervision."""

from __future__ import annotations

import torch
from monai.networks.nets import SegResNetDS

from hnseg.cohort.labels import NUM_CLASSES
from hnseg.models.channels_last import keep_channels_last
from hnseg.models.exact_input import keep_input_exact
from hnseg.settings.train import TrainConfig

CHANNELS = 2  # CT, PET
FLOAT_BYTES = 4


def make_network(config: TrainConfig) -> torch.nn.Module:
    """SegResNetDS with instance normalization, in channels-last memory order.

    Its first convolution is computed in float32 also where the rest is in half precision, see
    :mod:`hnseg.models.exact_input`. Names and values of the weights are those of MONAI's network.

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
    keep_input_exact(network)
    keep_channels_last(network)
    # Convolutions are several times faster this way in bf16, on the CPU and on tensor cores alike.
    made: torch.nn.Module = network.to(memory_format=torch.channels_last_3d)
    return made


def stride(config: TrainConfig) -> int:
    """The network's total stride: every length of an input must be a multiple of it."""
    return int(2 ** (len(config.blocks_down) - 1))


def window_bytes_per_voxel(config: TrainConfig, element_bytes: int) -> int:
    """Memory that the network needs beside its weights, for each voxel of a window, when predicting.

    Estimated as five feature maps of the first level, or, in half precision, as the three in float32 and the one in
    half precision that the exact input takes (:mod:`hnseg.models.exact_input`); and 100 bytes for input, logits and the
    deeper levels. With 32 filters that is 548 bytes in bf16 and 740 in float32; measured as growth of the peak on a
    CPU: 450 and 560 to 650.

    Args:
        config: Settings.
        element_bytes: Bytes of an activation: 2 in half precision, else 4.
    """
    maps = max(5 * element_bytes, 3 * FLOAT_BYTES + element_bytes)
    return config.filters * maps + 100
