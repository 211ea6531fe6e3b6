"""State of the training of a fold in memory, at its start or from the last checkpoint."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from hnseg.errors import WorkDirError
from hnseg.models.checkpoint import load_checkpoint
from hnseg.models.network import make_network
from hnseg.preprocessing.normalize import pad_values
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.settings.config import Config
from hnseg.training.augmentation import Augmentation
from hnseg.training.dataset import EpochSampler, PatchDataset
from hnseg.training.fold_checkpoint import FoldCheckpoint
from hnseg.training.losses import SummedDiceCELoss
from hnseg.training.optimizer import make_average, make_optimizer
from hnseg.training.shards import shard_indices
from ssimh.processes import end_with_parent

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class TrainingState:
    """Everything that the steps of a fold need.

    Attributes:
        config: Settings of the run.
        fold: Fold, from 0.
        fabric: Device, precision and processes.
        raw: The network.
        network: The network as the fabric runs it (mixed precision, several processes).
        criterion: Loss of the heads against a label.
        optimizer: Optimizer of the network's weights.
        average: Running average of the weights, or None.
        patches: Training patches.
        sampler: Which patches this process trains on.
        loader: Batches of them.
        augment: Changes patches on the device; None where the loading processes do it.
    """

    config: Config
    fold: int
    fabric: Fabric
    raw: torch.nn.Module
    network: torch.nn.Module
    criterion: SummedDiceCELoss
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    patches: PatchDataset
    sampler: EpochSampler
    loader: DataLoader[dict[str, torch.Tensor]]
    augment: Augmentation | None

    @property
    def eval_network(self) -> torch.nn.Module:
        """The network that is validated and kept: the average where there is one."""
        return self.raw if self.average is None else self.average.module


def setup_fold(
    config: Config,
    fold: int,
    fabric: Fabric,
    training: Sequence[PreparedCase],
    last: FoldCheckpoint | None = None,
    init: Path | None = None,
) -> TrainingState:
    """Set up network, optimizer and patches.

    Args:
        config: Settings of the run.
        fold: Fold, from 0; with the run's seed it determines the first weights.
        fabric: Device, precision and processes.
        training: The training cases.
        last: Where the fold continues; None: it begins.
        init: Checkpoint whose weights a fold begins with.

    Raises:
        WorkDirError: ``init`` holds no network with these settings.
    """
    # All patches have one shape, so cuDNN times its algorithms for it once, as the Auto3DSeg SegResNet and nnU-Net do.
    torch.backends.cudnn.benchmark = fabric.device.type == "cuda"
    torch.manual_seed(config.seed * 1000 + fold)
    raw = make_network(config.train)
    if last is None and init is not None:
        _load_weights(raw, init)
    fused = fabric.device.type == "cpu" and getattr(fabric.strategy.precision, "scaler", None) is None
    network, optimizer = fabric.setup(raw, make_optimizer(raw.parameters(), config.train, fused=fused))
    average = make_average(raw, config.train)
    if last is not None:  # after the setup, which moves the weights to the device but not what the optimizer remembers
        raw.load_state_dict(last.weights)
        optimizer.load_state_dict(last.optimizer)
        fabric.strategy.precision.load_state_dict(last.precision)
        if average is not None and last.average is not None:
            average.load_state_dict(last.average)
    where = config.train.augment_on
    on_device = where == "device" or (where == "auto" and fabric.device.type == "cuda")
    augment = Augmentation(config.train.augment, config.train.patch_zyx, fabric.device) if on_device else None
    patches = PatchDataset(
        training,
        config.train,
        config.seed,
        fold,
        augment=augment is None,
        pad_values=pad_values(config.prepare),
    )
    sampler = EpochSampler(shard_indices(len(patches), config.train.batch_size, fabric.global_rank, fabric.world_size))
    return TrainingState(
        config=config,
        fold=fold,
        fabric=fabric,
        raw=raw,
        network=network,
        criterion=SummedDiceCELoss(config.train.head_weights),
        optimizer=optimizer,
        average=average,
        patches=patches,
        sampler=sampler,
        loader=_make_loader(patches, sampler, config, on_gpu=fabric.device.type == "cuda"),
        augment=augment,
    )


def _load_weights(network: torch.nn.Module, path: Path) -> None:
    try:
        network.load_state_dict(load_checkpoint(path)["network"])
    except (KeyError, RuntimeError) as error:
        raise WorkDirError(f"{path} holds no network with the settings of this run: {error}") from error


def _make_loader(
    patches: PatchDataset, sampler: EpochSampler, config: Config, *, on_gpu: bool
) -> DataLoader[dict[str, torch.Tensor]]:
    workers = min(config.train.workers, os.cpu_count() or 1)
    return DataLoader(
        patches,
        config.train.batch_size,
        sampler=sampler,
        num_workers=workers,
        pin_memory=on_gpu,
        persistent_workers=workers > 0,
        worker_init_fn=functools.partial(_begin_loader, os.getpid()),
    )


def _begin_loader(parent_pid: int, number: int) -> None:
    """Set up a loading process."""
    end_with_parent(parent_pid)
