"""Disk, memory and hours of a whole run, computed from what one case and one step take.

Hours are those of the bare network, as it was measured: every epoch is trained, no patch is waited for, and scoring is
free. A fold that stops early takes less. Several processes of one fold share its steps and its validation; the hours of
that are the ideal ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hnseg.models.network import FLOAT_BYTES, make_network
from hnseg.parallel import GB
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from hnseg.training.cohort_size import CohortSize
from hnseg.training.validation import validation_windows

DEVICES = (2, 4, 8)  # that one fold may be shared by


@dataclass(frozen=True)
class Disk:
    """What a run writes, in GB of 10⁹ bytes, beside the images that it reads.

    Attributes:
        prepared: Prepared cases with one version of the image, as every harmonization but ``spectrum-align`` keeps.
        prepared_align: Prepared cases with ``spectrum-align``: one further version for each fold.
        checkpoints: ``best.pt`` and ``last.pt`` of all folds.
        out_of_fold: Masks of all validation cases, before and after post-processing.
    """

    prepared: float
    prepared_align: float
    checkpoints: float
    out_of_fold: float


@dataclass(frozen=True)
class Hours:
    """Time of the training, in hours.

    Attributes:
        steps, validations: Steps of a fold, and cases that it validates, over all epochs.
        fold_training, fold_validation: Of one fold on one device.
        fold: Both.
        all_folds_one_device, all_folds_a_device_each: All folds one after the other, and side by side.
        fold_on: One fold on several devices by their number, ideal.
    """

    steps: int
    validations: int
    fold_training: float
    fold_validation: float
    fold: float
    all_folds_one_device: float
    all_folds_a_device_each: float
    fold_on: dict[str, float]


@dataclass(frozen=True)
class RunNeeds:
    """What a run needs.

    Attributes:
        folds: How many it has.
        disk: In GB.
        preparing_gb: Memory of one process that prepares the largest case.
        cache_gb: Memory of decoded training cases in all loading processes; 0 where they are read by patch.
        hours: Of the training.
    """

    folds: int
    disk: Disk
    preparing_gb: float
    cache_gb: float
    hours: Hours


def compute_needs(cohort: CohortSize, config: Config, voxel_seconds: float, forward_voxel_seconds: float) -> RunNeeds:
    """Add up what a run needs.

    Args:
        cohort: Its cases.
        config: Its settings.
        voxel_seconds: Time of a training step for each voxel of its batch.
        forward_voxel_seconds: Time of a prediction for each voxel of a window.
    """
    folds, case = config.split.folds, cohort.case
    loaders = max(1, config.train.workers)
    disk = Disk(
        prepared=_gb(cohort.cases * (case.image + case.rest)),
        prepared_align=_gb(cohort.cases * (case.image * (1 + folds) + case.rest)),
        checkpoints=_gb(folds * checkpoint_bytes(config.train)),
        out_of_fold=_gb(2 * folds * cohort.validation_cases * case.mask),
    )
    return RunNeeds(
        folds=folds,
        disk=disk,
        preparing_gb=_gb(case.preparing),
        cache_gb=_gb(case.decoded * cohort.training_cases * loaders) if cohort.cached else 0.0,
        hours=_hours(cohort, config, voxel_seconds, forward_voxel_seconds),
    )


def checkpoint_bytes(train: TrainConfig) -> int:
    """Size of the two checkpoints of a fold: weights, and weights with the moments of the optimizer and the average."""
    with torch.device("meta"):  # takes no memory
        weights = sum(parameter.numel() for parameter in make_network(train).parameters())
    moments = {"adamw": 2, "sgd": 1}[train.optimizer]
    return FLOAT_BYTES * weights * (1 + 1 + moments + (train.ema_decay > 0))


def _hours(cohort: CohortSize, config: Config, voxel_seconds: float, forward_voxel_seconds: float) -> Hours:
    train, folds = config.train, config.split.folds
    patches = cohort.training_cases * train.patches_per_case
    steps = -(-patches // train.batch_size) * train.epochs
    rounds = -(-train.epochs // train.validate_every)  # the last epoch is validated in any case
    validations = cohort.validation_cases * rounds
    windows = validation_windows(cohort.largest_zyx, config)
    window_voxels = math.prod(windows.window) * windows.count
    training = steps * train.batch_size * math.prod(train.patch_vox) * voxel_seconds / 3600
    validation = validations * window_voxels * forward_voxel_seconds / 3600
    fold = training + validation
    return Hours(
        steps=steps,
        validations=validations,
        fold_training=_rounded(training),
        fold_validation=_rounded(validation),
        fold=_rounded(fold),
        all_folds_one_device=_rounded(folds * fold),
        all_folds_a_device_each=_rounded(fold),
        fold_on={str(devices): _rounded(fold / devices) for devices in DEVICES},
    )


def _gb(size_bytes: float) -> float:
    return round(size_bytes / GB, 3)


def _rounded(hours: float) -> float:
    return round(hours, 3)
