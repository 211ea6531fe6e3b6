"""Training of one fold: the whole sequence, top to bottom.

    hnseg train WORK --fold 0                                           # one fold
    hnseg train WORK                                                    # all folds
    torchrun --nproc-per-node 4 -m hnseg train WORK --fold 0            # one fold on four GPUs
    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-endpoint HOST:29500 -m hnseg train WORK --fold 0

Every epoch ends with a checkpoint, and a run that was stopped at any moment continues after the last whole epoch.
Nothing random outlives an epoch (see :mod:`hnseg.training.dataset`), so on the CPU it continues bit for bit.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict, replace
from pathlib import Path

from hnseg.errors import HnsegError
from hnseg.locks import hold
from hnseg.models.device import is_first_process, open_device
from hnseg.progress import ProgressCallback, no_progress
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from hnseg.training.cases import open_cases
from hnseg.training.epoch_files import save_epoch
from hnseg.training.epoch_meter import EpochMeter, peak_memory_gb
from hnseg.training.figures import ValidationPicture
from hnseg.training.learning_rate import learning_rate
from hnseg.training.log import EpochRow, History, TensorBoardLogger, format_epoch
from hnseg.training.resume import require_best, resume_fold
from hnseg.training.state import TrainingState, setup_fold
from hnseg.training.step import train_step
from hnseg.training.stopping import best_epoch, is_finished, stops_early
from hnseg.training.validation import validate
from hnseg.workdir import load_config
from ssimh.files.atomic import remove_leftovers

_LOG = logging.getLogger(__name__)
LOSS_CHECK_INTERVAL = 20  # steps between two looks at the losses: each look makes a GPU wait for the host
PROGRESS_INTERVAL_S = 30.0  # least time between two reports within an epoch
PICTURE_INTERVAL_S = 10.0  # least time between two drawings, which take a second: as long as a short epoch


def train_fold(
    work: Path, fold: int, *, device: str = "auto", init: Path | None = None, progress: ProgressCallback = no_progress
) -> Path:
    """Train a fold, or finish it, or leave it alone if it is finished.

    Args:
        work: With prepared cases.
        fold: Fold, from 0.
        device: See :func:`hnseg.models.device.open_device`; under ``torchrun`` each of its processes calls this
            function.
        init: Checkpoint of a network with the same settings, whose weights a new fold begins with.
        progress: Called after every epoch, and in a long one every half minute with the epochs done so far.

    Returns:
        The checkpoint with the best validation, by ``train.monitor``.

    Raises:
        CaseError: A case is not prepared, or is out of date.
        WorkDirError: The checkpoint there is damaged or belongs to other settings, another split or other prepared
            cases; or ``init`` was trained on validation or test cases of the fold.
        InUseError: Another process trains the fold.
        HnsegError: The loss became NaN or infinite, or memory ran out; the last good checkpoint is kept.
    """
    config = load_config(work)
    if not 0 <= fold < config.split.folds:
        raise HnsegError(f"fold {fold}: this run has folds 0 to {config.split.folds - 1}")
    if not is_first_process():  # the first one has the lock
        return _train_locked(work, fold, config, device, init, progress)
    with hold(work, f"fold_{fold}", f"hnseg train, fold {fold}"):
        remove_leftovers(work / "models" / f"fold_{fold}")
        return _train_locked(work, fold, config, device, init, progress)


def _train_locked(
    work: Path, fold: int, config: Config, device: str, init: Path | None, progress: ProgressCallback
) -> Path:
    """Train a fold that no other run trains now."""
    folder = work / "models" / f"fold_{fold}"
    cases = open_cases(work, fold)
    origin, last = resume_fold(folder, fold, config, cases, init)
    history: History = [] if last is None else last.history
    if is_finished(history, config.train):
        return require_best(folder)

    fabric = open_device(device, config.train.precision)
    state = setup_fold(config, fold, fabric, cases.training, last, init)
    logger = TensorBoardLogger(
        folder / "tensorboard", config.train.tensorboard and fabric.global_rank == 0, len(history)
    )

    picture, last_drawn = ValidationPicture(config.prepare, len(history)), time.perf_counter()
    for epoch in range(len(history), config.train.epochs):
        started = time.perf_counter()
        row = _train_epoch(state, epoch, progress)
        is_last = epoch + 1 == config.train.epochs
        if is_last or (epoch + 1) % config.train.validate_every == 0:
            picture = ValidationPicture(config.prepare, epoch + 1)
            scores = validate(state.eval_network, cases.validation, config, fabric, state.criterion, picture.add_case)
            row = replace(row, **asdict(scores))
            if not math.isfinite(scores.val_loss):
                _LOG.warning("fold %d, epoch %d: the validation loss is %s", fold, row.epoch, scores.val_loss)
        row = replace(row, seconds=round(time.perf_counter() - started, 3), memory_gb=peak_memory_gb(state))
        row = _judge(row, history, config.train)
        history.append(row)
        if fabric.global_rank == 0:
            due = row.val_loss is not None and time.perf_counter() - last_drawn >= PICTURE_INTERVAL_S
            draws = due or is_finished(history, config.train)
            save_epoch(state, folder, history, origin, picture if draws else None)
            last_drawn = time.perf_counter() if draws else last_drawn
            logger.write(row)
            progress(epoch + 1, config.train.epochs, format_epoch(fold, row))
        fabric.barrier()
        if is_finished(history, config.train):
            break
    logger.close()
    return folder / "best.pt"


def _judge(row: EpochRow, before: History, config: TrainConfig) -> EpochRow:
    """The row with the epoch to keep, and whether the fold stops here before its epochs are done."""
    history = [*before, row]
    stops = len(history) < config.epochs and stops_early(history, config)
    return replace(row, kept_epoch=best_epoch(history, config), stopped_early=1 if stops else None)


def _train_epoch(state: TrainingState, epoch: int, progress: ProgressCallback) -> EpochRow:
    """One pass over the epoch's patches; its row of the log, without scores."""
    state.sampler.epoch = epoch
    state.network.train()
    steps = len(state.loader)
    meter = EpochMeter(state, epoch)
    last_report_time = time.perf_counter()
    for step, batch in enumerate(meter.batches(), start=1):
        rate = learning_rate(state.config.train, epoch * steps + step - 1, steps)
        meter.add_step(batch, train_step(state, batch, rate), rate)
        if step % LOSS_CHECK_INTERVAL == 0 or step == steps:
            meter.check_losses()
            due = time.perf_counter() - last_report_time >= PROGRESS_INTERVAL_S
            if due and step < steps and state.fabric.global_rank == 0:
                last_report_time = time.perf_counter()
                line = format_epoch(state.fold, meter.row(meter.mean_loss()))
                progress(epoch, state.config.train.epochs, f"{line}  step {step} of {steps}")
    return meter.row(state.fabric.all_reduce(meter.mean_loss(), reduce_op="mean"))
