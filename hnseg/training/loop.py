"""Train one fold: the whole sequence, top to bottom.

    hnseg train WORK --fold 0                                           # one fold
    hnseg train WORK                                                    # all folds
    torchrun --nproc-per-node 4 -m hnseg train WORK --fold 0            # one fold on four GPUs
    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-endpoint HOST:29500 -m hnseg train WORK --fold 0

Every epoch ends with a checkpoint, and a run that was stopped at any moment continues after the last whole epoch.
Nothing random outlives an epoch (see :mod:`hnseg.training.dataset`), so on the CPU it continues bit for bit.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from hnseg.config import Config
from hnseg.errors import HnsegError, WorkDirError
from hnseg.locks import hold
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.models.device import is_first_process, open_device
from hnseg.models.network import make_network
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.progress import ProgressCallback, no_progress
from hnseg.provenance import versions
from hnseg.training.augmentation import Augmentation
from hnseg.training.cases import data_digest, open_cases
from hnseg.training.dataset import EpochSampler, PatchDataset
from hnseg.training.figures import ValidationPicture, draw_curves
from hnseg.training.learning_rate import learning_rate
from hnseg.training.log import History, TensorBoardLogger, as_csv, best_epoch, format_epoch
from hnseg.training.losses import SummedDiceCELoss
from hnseg.training.optimizer import make_average, make_optimizer
from hnseg.training.validation import SCORES, validate
from hnseg.workdir import load_config, write_text
from ssimh.files.atomic import remove_leftovers
from ssimh.processes import end_with_parent

LOSS_CHECK_INTERVAL = 20  # steps between two looks at the losses: each look makes a GPU wait for the host
PROGRESS_INTERVAL_S = 30.0  # of an epoch that go by, at least, before it says how far it is
SECTIONS = {"preset", "seed", "split", "prepare", "train"}  # of the configuration, that decide the weights


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
        The checkpoint with the best validation score.

    Raises:
        WorkDirError: Cases are not prepared, or the checkpoint there belongs to other settings or other cases.
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
    home = work / "models" / f"fold_{fold}"
    state = _read_state(home / "last.pt", config)
    history: History = state["history"] if state is not None else []
    if history and _is_finished(history, config):
        return home / "best.pt"

    training, validation = open_cases(work, fold)
    data = data_digest(work, [*training, *validation])
    if state is not None and state["data"] != data:
        raise WorkDirError(f"{home / 'last.pt'} was trained on other prepared cases; remove it to train anew")
    fabric = open_device(device, config.train.precision)
    run = setup_fold(config, fold, fabric, training, state, init)
    board = TensorBoardLogger(home / "tensorboard", config.train.tensorboard and fabric.global_rank == 0, len(history))

    for epoch in range(len(history), config.train.epochs):
        started = time.perf_counter()
        row = _train_epoch(run, epoch, progress)
        picture = ValidationPicture()
        last = epoch + 1 == config.train.epochs
        if last or (epoch + 1) % config.train.validate_every == 0:
            row |= validate(run.eval_network, validation, config, fabric, run.criterion, picture.add_case)
        row |= {"seconds": round(time.perf_counter() - started, 3), "memory_gb": _memory_gb(fabric)}
        history.append(row)
        if fabric.global_rank == 0:
            _save(run, home, history, data, picture)
            board.write(row)
            progress(epoch + 1, config.train.epochs, format_epoch(fold, row))
        fabric.barrier()
        if _is_finished(history, config):
            break
    board.close()
    return home / "best.pt"


@dataclass(frozen=True)
class TrainingState:
    """What a training holds in memory.

    Attributes:
        raw, network: The network, and the same as the fabric runs it (mixed precision, several processes).
        average: Running average of the weights.
        sampler, loader (EpochSampler, DataLoader): What this process trains on, and the batches of it.
        augment: Changes patches on the device; None where the loader's processes have done it.
    """

    config: Config
    fold: int
    fabric: Any
    raw: Any
    network: Any
    optimizer: Any
    average: Any
    criterion: Any
    patches: PatchDataset
    sampler: EpochSampler
    loader: DataLoader[dict[str, torch.Tensor]]
    augment: Augmentation | None

    @property
    def eval_network(self) -> Any:
        """The network that is validated and kept: the average where there is one."""
        return self.raw if self.average is None else self.average.module


def setup_fold(
    config: Config,
    fold: int,
    fabric: Any,
    training: list[PreparedCase],
    state: dict[str, Any] | None = None,
    init: Path | None = None,
) -> TrainingState:
    """Network, optimizer and patches at the start of a fold, or as the last checkpoint left them."""
    # All patches have one shape, so cuDNN times its algorithms for it once, as the Auto3DSeg SegResNet and nnU-Net do.
    torch.backends.cudnn.benchmark = fabric.device.type == "cuda"
    torch.manual_seed(config.seed * 1000 + fold)
    raw = make_network(config.train)
    if state is None and init is not None:
        try:
            raw.load_state_dict(load_checkpoint(init)["network"])
        except (KeyError, RuntimeError) as error:
            raise WorkDirError(f"{init} holds no network with the settings of this run: {error}") from error
    network, optimizer = fabric.setup(raw, make_optimizer(raw.parameters(), config.train))
    average = make_average(raw, config.train)
    if state is not None:  # after the setup, which moves the weights to the device but not what the optimizer remembers
        raw.load_state_dict(state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        fabric.strategy.precision.load_state_dict(state["precision"])
        if average is not None:
            average.load_state_dict(state["average"])
    wanted = config.train.augment_on
    on_device = wanted == "device" or (wanted == "auto" and fabric.device.type == "cuda")
    augment = Augmentation(config.train.augment, config.train.patch_zyx, fabric.device) if on_device else None
    patches = PatchDataset(training, config.train, config.seed, fold, augment=augment is None)
    sampler = EpochSampler(shard_indices(len(patches), config.train.batch_size, fabric.global_rank, fabric.world_size))
    workers = min(config.train.workers, os.cpu_count() or 1)
    loader = DataLoader(
        patches,
        config.train.batch_size,
        sampler=sampler,
        num_workers=workers,
        pin_memory=fabric.device.type == "cuda",
        persistent_workers=workers > 0,
        worker_init_fn=functools.partial(_begin_loader, os.getpid()),
    )
    criterion = SummedDiceCELoss(config.train.head_weights)
    return TrainingState(
        config, fold, fabric, raw, network, optimizer, average, criterion, patches, sampler, loader, augment
    )


def _begin_loader(parent_pid: int, number: int) -> None:
    """Set up a loading process."""
    end_with_parent(parent_pid)


def _train_epoch(run: TrainingState, epoch: int, progress: ProgressCallback) -> dict[str, Any]:
    """One pass over the epoch's patches; its row of the log, without scores."""
    train, fabric = run.config.train, run.fabric
    run.sampler.epoch = epoch
    steps = len(run.loader)
    losses: list[torch.Tensor] = []
    cases: list[list[str]] = []
    rate, waited, started = 0.0, 0.0, time.perf_counter()
    said = started

    def row(mean: torch.Tensor) -> dict[str, Any]:
        taken = time.perf_counter() - started
        patches = min(len(losses) * train.batch_size, len(run.sampler)) * fabric.world_size
        return {
            "epoch": epoch + 1,
            "loss": float(mean),
            "learning_rate": rate,
            "patches_per_second": round(patches / taken, 4),
            "wait_share": round(waited / taken, 4),
            "memory_gb": _memory_gb(fabric),
            **dict.fromkeys(SCORES),
        }

    run.network.train()
    for step, (batch, seconds) in enumerate(_timed(run.loader), start=1):
        waited += seconds
        rate = learning_rate(train, epoch * steps + step - 1, steps)
        losses.append(train_step(run, batch, rate))
        cases.append([run.patches.cases[int(number)].id for number in batch["case"]])
        if step % LOSS_CHECK_INTERVAL == 0 or step == steps:
            _check_losses(run, losses, cases, epoch)
            if fabric.global_rank == 0 and step < steps and time.perf_counter() - said >= PROGRESS_INTERVAL_S:
                said = time.perf_counter()
                told_now = format_epoch(run.fold, row(torch.stack(losses).mean()))
                progress(epoch, train.epochs, f"{told_now}  step {step} of {steps}")
    return row(fabric.all_reduce(torch.stack(losses).mean(), reduce_op="mean"))


def train_step(run: TrainingState, batch: dict[str, torch.Tensor], rate: float) -> torch.Tensor:
    """One step of the optimizer; returns the loss without waiting for it.

    Args:
        run: The training.
        batch: ``image`` (batch, 2, z, y, x), ``label`` (batch, 1, z, y, x) and ``seed``, as :class:`PatchDataset` makes
            them.
        rate: Learning rate.
    """
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    try:
        image = batch["image"].to(run.fabric.device, non_blocking=True)
        label = batch["label"].to(run.fabric.device, non_blocking=True)
        if run.augment is not None:
            image, label = _augment_batch(run.augment, image, label, batch["seed"])
        heads = run.network(image.contiguous(memory_format=torch.channels_last_3d))
        loss = run.criterion(heads, label)
        run.fabric.backward(loss)
        run.fabric.clip_gradients(
            run.network, run.optimizer, max_norm=run.config.train.clip_norm, error_if_nonfinite=False
        )
        run.optimizer.step()
    except (MemoryError, RuntimeError) as error:
        raise _out_of_memory(run, error) from error
    run.optimizer.zero_grad(set_to_none=True)
    if run.average is not None:
        run.average.update_parameters(run.raw)
    detached: torch.Tensor = loss.detach()
    return detached


def shard_indices(count: int, batch: int, rank: int, world: int) -> list[int]:
    """Positions of an epoch that one of several processes trains on, in its order.

    Step by step, the processes together see the batches that one process with a batch of ``batch * world`` would see.
    The last step is filled up from the beginning, so that all processes take equally many.

    >>> share_of(5, 1, 0, 2), share_of(5, 1, 1, 2)
    ([0, 2, 4], [1, 3, 0])
    """
    whole = batch * world
    return [(first + rank * batch + place) % count for first in range(0, count, whole) for place in range(batch)]


def _augment_batch(
    augment: Augmentation, image: torch.Tensor, label: torch.Tensor, seeds: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch after its random changes, made where it is."""
    made = [
        augment({"image": one, "label": truth}, int(seed)) for one, truth, seed in zip(image, label, seeds, strict=True)
    ]
    return torch.stack([m["image"] for m in made]), torch.stack([m["label"] for m in made])


def _timed(loader: Any) -> Iterator[tuple[dict[str, torch.Tensor], float]]:
    """Every batch with the seconds that were spent waiting for it."""
    batches = iter(loader)
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - asked


def _check_losses(run: TrainingState, losses: list[torch.Tensor], cases: list[list[str]], epoch: int) -> None:
    """Stop at the first loss that is no number."""
    values = torch.stack(losses)
    if not bool(values.isfinite().all()):
        step = int((~values.isfinite()).nonzero()[0])
        raise HnsegError(
            f"fold {run.fold}, epoch {epoch + 1}: the loss is {float(values[step])} on patches of "
            f"{', '.join(cases[step])}; the last good checkpoint is kept: lower the learning rate, look at these cases"
        )


def _out_of_memory(run: TrainingState, error: Exception) -> Exception:
    """What to lower, if this error says that memory ran out; else the error itself."""
    text = str(error).lower()
    if not (isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text):
        return error
    train = run.config.train
    return HnsegError(
        f"fold {run.fold}: out of memory on {run.fabric.device} with patches of {train.patch_vox}, "
        f"batch size {train.batch_size}, {train.filters} filters, precision {train.precision}; "
        "the last checkpoint is kept: lower train.patch_vox, "
        "train.batch_size or train.filters, or use bf16 (`hnseg plan` says what fits)"
    )


def _save(run: TrainingState, home: Path, history: History, data: str, picture: ValidationPicture) -> None:
    """Checkpoints, log and pictures of an epoch; ``last.pt`` comes last, so that a kill repeats the epoch."""
    facts = {
        "history": history,
        "config": run.config.model_dump_json(),
        "fold": run.fold,
        "seed": run.config.seed,
        "data": data,
        "versions": versions(),
    }
    state = {
        "weights": run.raw.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "average": None if run.average is None else run.average.state_dict(),
        "precision": run.fabric.strategy.precision.state_dict(),
    }
    title = f"fold {run.fold}, epoch {len(history)}"
    try:
        if best_epoch(history) == history[-1]["epoch"]:
            save_checkpoint(home / "best.pt", {"network": run.eval_network.state_dict(), **facts})
        write_text(home / "log.csv", as_csv(history))
        if history[-1]["val_score"] is not None:
            draw_curves(home / "curves.png", history, f"fold {run.fold}")
            picture.draw(home / "validation.png", title)
        save_checkpoint(home / "last.pt", {**state, **facts})
    except RuntimeError as error:  # torch's writer of zip files hides the system's own error
        raise HnsegError(f"{title}: {home} cannot be written ({error}); the last whole epoch is kept") from error


def _read_state(path: Path, config: Config) -> dict[str, Any] | None:
    """The last checkpoint of a fold, if there is one and it belongs to these settings."""
    if not path.is_file():
        return None
    state = load_checkpoint(path)
    before = json.loads(state["config"])
    if {name: before.get(name) for name in SECTIONS} != config.model_dump(mode="json", include=SECTIONS):
        raise WorkDirError(f"{path} was trained with other settings; remove it or use another work directory")
    return state


def _is_finished(history: History, config: Config) -> bool:
    """Whether all epochs are done, or none has been better for as long as the run's patience lasts."""
    if len(history) == config.train.epochs:
        return True
    return config.train.patience is not None and len(history) - best_epoch(history) >= config.train.patience


def _memory_gb(fabric: Any) -> float:
    """Peak memory so far: of the GPU, or of this process on a CPU."""
    if fabric.device.type == "cuda":
        return round(float(torch.cuda.max_memory_allocated(fabric.device)) / 2**30, 2)
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(float(peak) / (2**30 if sys.platform == "darwin" else 2**20), 2)
