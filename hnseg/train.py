"""Train one fold: the whole sequence, top to bottom.

    hnseg train WORK --fold 0              # one fold
    hnseg train WORK                       # all folds, one after the other

Every epoch ends with a checkpoint, and a run that was stopped continues after the last whole epoch. Nothing random
outlives an epoch (see :mod:`hnseg.dataset`), so on the CPU it continues bit for bit.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from hnseg.checkpoint import load_checkpoint, save_checkpoint
from hnseg.config import Config
from hnseg.dataset import PatchDataset
from hnseg.device import open_device
from hnseg.errors import HnsegError, WorkDirError
from hnseg.inference import predict_logits
from hnseg.losses import SummedDiceCELoss
from hnseg.metrics import dice
from hnseg.network import make_network
from hnseg.progress import Report, silent
from hnseg.provenance import versions
from hnseg.schedule import learning_rate
from hnseg.splits import load_splits
from hnseg.store import PreparedCase, open_case
from hnseg.workdir import load_config, write_text

COLUMNS = ("epoch", "loss", "learning_rate", "seconds", "val_gtvp_dice", "val_gtvn_dice", "val_score")
History = list[dict[str, Any]]


def train_fold(work: Path, fold: int, *, device: str = "auto", progress: Report = silent) -> Path:
    """Train a fold, or finish it, or leave it alone if it is finished.

    Parameters
    ----------
    work : Path
        With prepared cases.
    fold : int
    device : str
        See :func:`hnseg.device.open_device`.
    progress : Report
        Called after every epoch.

    Returns
    -------
    Path
        The checkpoint with the best validation score.

    Raises
    ------
    WorkDirError
        Cases are not prepared, or the checkpoint there belongs to other settings.
    HnsegError
        The loss became NaN or infinite; the last good checkpoint is kept.
    """
    config = load_config(work, tuned=False)
    if not 0 <= fold < config.split.folds:
        raise HnsegError(f"fold {fold}: this run has folds 0 to {config.split.folds - 1}")
    home = work / "models" / f"fold_{fold}"
    state = load_checkpoint(home / "last.pt") if (home / "last.pt").is_file() else None
    if state is not None and state["config"] != config.model_dump_json():
        raise WorkDirError(
            f"{home / 'last.pt'} was trained with other settings; remove it or use another work directory"
        )
    history: History = state["history"] if state is not None else []
    if len(history) == config.train.epochs:
        return home / "best.pt"

    fabric = open_device(device, config.train.precision)
    torch.manual_seed(config.seed * 1000 + fold)
    network = make_network(config.train)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.train.learning_rate, weight_decay=config.train.weight_decay
    )
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    network, optimizer = fabric.setup(network, optimizer)
    run = _Run(config, fold, fabric, network, optimizer, SummedDiceCELoss(config.train.head_weights))
    training, validation = _open_cases(work, fold)
    patches = PatchDataset(training, config.train, config.seed, fold)

    for epoch in range(len(history), config.train.epochs):
        started = time.perf_counter()
        patches.set_epoch(epoch)
        loss, rate = _train_epoch(run, patches, epoch)
        row: dict[str, Any] = {"epoch": epoch + 1, "loss": loss, "learning_rate": rate}
        last = epoch + 1 == config.train.epochs
        scores = _validate(run, validation) if last or (epoch + 1) % config.train.validate_every == 0 else {}
        row |= {name: scores.get(name) for name in COLUMNS[4:]}
        row["seconds"] = round(time.perf_counter() - started, 3)
        history.append(row)
        content = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
            "config": config.model_dump_json(),
            "fold": fold,
            "versions": versions(),
        }
        if _is_best(history):
            save_checkpoint(home / "best.pt", {key: content[key] for key in content if key != "optimizer"})
        save_checkpoint(home / "last.pt", content)
        write_text(home / "log.csv", _as_csv(history))
        progress(epoch + 1, config.train.epochs, _told(fold, row))
    return home / "best.pt"


@dataclass(frozen=True)
class _Run:
    config: Config
    fold: int
    fabric: Any
    network: Any
    optimizer: Any
    criterion: SummedDiceCELoss


def _train_epoch(run: _Run, patches: PatchDataset, epoch: int) -> tuple[float, float]:
    """One pass over the epoch's patches; returns mean loss and the last learning rate."""
    train = run.config.train
    loader = DataLoader(patches, batch_size=train.batch, num_workers=train.workers, pin_memory=_on_gpu(run.fabric))
    steps, losses = len(loader), []
    rate = 0.0
    run.network.train()
    for step, batch in enumerate(loader, start=epoch * steps):
        rate = learning_rate(train, step, steps)
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        image = batch["image"].to(run.fabric.device, memory_format=torch.channels_last_3d, non_blocking=True)
        label = batch["label"].to(run.fabric.device, non_blocking=True)
        loss = run.criterion(run.network(image), label)
        if not torch.isfinite(loss):
            names = ", ".join(patches.cases[int(number)].id for number in batch["case"])
            raise HnsegError(
                f"fold {run.fold}, epoch {epoch + 1}: the loss is {loss.item()} on patches of {names}; "
                "the last good checkpoint is kept: lower the learning rate or look at these cases"
            )
        run.fabric.backward(loss)
        run.fabric.clip_gradients(run.network, run.optimizer, max_norm=train.clip_norm, error_if_nonfinite=False)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
    return float(torch.stack(losses).mean()), rate


def _validate(run: _Run, cases: Sequence[PreparedCase]) -> dict[str, float | None]:
    """Mean GTVp Dice, aggregated GTVn Dice and their mean on the crop grid, each over what is defined."""
    run.network.eval()
    gtvp: list[float] = []
    overlap, volume = 0, 0
    for case in cases:
        assert case.label is not None  # folds hold labelled cases only
        image = torch.from_numpy(case.image[:])
        logits = predict_logits(run.network, image, run.config.train, run.config.predict, run.fabric)
        predicted, truth = logits.argmax(dim=0).numpy(), case.label[:]
        value = dice(predicted == 1, truth == 1)
        gtvp += [] if value is None else [value]
        overlap += int(np.sum((predicted == 2) & (truth == 2)))
        volume += int(np.sum(predicted == 2) + np.sum(truth == 2))
    scores = {
        "val_gtvp_dice": float(np.mean(gtvp)) if gtvp else None,
        "val_gtvn_dice": 2 * overlap / volume if volume else None,
    }
    known = [score for score in scores.values() if score is not None]
    return {**scores, "val_score": float(np.mean(known)) if known else None}


def _is_best(history: History) -> bool:
    """Whether the last epoch has the best validation score so far; without any score, the latest epoch is it."""
    scores = [row["val_score"] for row in history if row["val_score"] is not None]
    if not scores:
        return True
    latest = history[-1]["val_score"]
    return latest is not None and latest == max(scores)


def _open_cases(work: Path, fold: int) -> tuple[list[PreparedCase], list[PreparedCase]]:
    """Training and validation cases of a fold; a case that prepare could not do is left out."""
    splits = load_splits(work)
    parts = []
    for ids in (splits.train_ids(fold), splits.folds[fold]):
        folders = [work / "prepared" / case_id for case_id in ids]
        parts.append([open_case(folder, fold) for folder in folders if folder.is_dir()])
    training, validation = parts
    if not training or not validation:
        raise WorkDirError(
            f"fold {fold} has {len(training)} prepared training and {len(validation)} validation cases in {work}; "
            "it needs at least one of each: run `hnseg prepare` first"
        )
    return training, validation


def _as_csv(history: History) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if row[name] is None else row[name] for name in COLUMNS} for row in history)
    return text.getvalue()


def read_log(work: Path, fold: int) -> list[str]:
    """A fold's finished epochs, one line each."""
    path = work / "models" / f"fold_{fold}" / "log.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{name: float(value) if value else None for name, value in row.items()} for row in csv.DictReader(file)]
    return [_told(fold, row) for row in rows]


def _told(fold: int, row: dict[str, Any]) -> str:
    """An epoch in one line."""
    told = f"fold {fold} epoch {row['epoch']:.0f}  loss {row['loss']:.3f}  learning rate {row['learning_rate']:.1e}"
    scores = [f"{name[4:8].upper()} {row[name]:.3f}" for name in COLUMNS[4:6] if row[name] is not None]
    return f"{told}  validation Dice {', '.join(scores)}" if scores else told


def _on_gpu(fabric: Any) -> bool:
    return bool(fabric.device.type == "cuda")
