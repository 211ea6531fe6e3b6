"""``network_def`` and ``inferer``: the folds of a run as one network, and the sliding window over a case."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import Inferer

from hnseg.inference.ensemble import load_network
from hnseg.inference.predict_case import Segmenter
from hnseg.inference.sliding_window import SlidingWindowAccumulator, choose_tiling
from hnseg.inference.tiling import Tiling
from hnseg.models.device import open_device


class FoldEnsemble(torch.nn.Module):
    """The networks of all folds, in evaluation mode.

    Args:
        segmenter: Opened on the bundle; its device is theirs.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        train = segmenter.config.train
        fabric = open_device(segmenter.options.device, train.precision)
        self.folds = torch.nn.ModuleList(load_network(path, train, fabric) for path in segmenter.models)
        self.eval()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Mean logits (batch, 3, z, y, x) of all folds; (batch, 2, z, y, x) in, CT and PET, normalized."""
        logits: torch.Tensor = sum(fold(image) for fold in self.folds) / len(self.folds)
        return logits


class GaussianWindowInferer(Inferer):
    """The sliding window of ``hnseg predict``, with the run's windows, overlap, flips and precision.

    Each fold adds to the same sums, in the order of ``hnseg predict``, so that the logits are the same bit for bit.

    Args:
        segmenter: Opened on the bundle.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def __call__(self, inputs: torch.Tensor, network: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Mean logits (batch, 3, z, y, x), float32 on the CPU.

        Args:
            inputs: (batch, 2, z, y, x) CT and PET on the crop grid, normalized.
            network: A :class:`FoldEnsemble`, or one network on the segmenter's device.
            args, kwargs: None; of the interface.
        """
        if args or kwargs:
            raise TypeError(f"arguments of the network: it takes none beside the image, got {args} and {kwargs}")
        folds = network.folds if isinstance(network, FoldEnsemble) else [network]
        config = self.segmenter.config
        fabric = open_device(self.segmenter.options.device, config.train.precision)
        logits = []
        for image in inputs:
            blend = SlidingWindowAccumulator(find_tiling(self.segmenter, image), fabric.device)
            for fold in folds:
                blend.add(fold, image, fabric, flips=config.predict.flips)
            logits.append(blend.mean().cpu())
        return torch.stack(logits)


def find_tiling(segmenter: Segmenter, image: torch.Tensor) -> Tiling:
    """The windows over an image or logits (channel, z, y, x)."""
    z, y, x = image.shape[1:]
    config = segmenter.config
    fabric = open_device(segmenter.options.device, config.train.precision)
    return choose_tiling((z, y, x), config.train, config.predict, fabric, memory_bytes=segmenter.memory_bytes)
