"""What training says of itself: one row an epoch, as CSV, as a line, and for TensorBoard where asked for."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from hnseg.errors import HnsegError
from hnseg.training.validation import SCORES

COLUMNS = ("epoch", "loss", "learning_rate", "seconds", "patches_per_second", "wait_share", "memory_gb", *SCORES)
History = list[dict[str, Any]]


def best_epoch(history: History) -> int:
    """Number of the epoch with the best validation score, the latest of equals; without any score, the latest epoch."""
    scores = [(row["val_score"], row["epoch"]) for row in history if row["val_score"] is not None]
    return int(max(scores)[1] if scores else history[-1]["epoch"])


def as_csv(history: History) -> str:
    """The whole log; a value that an epoch does not have is empty."""
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
    return [format_epoch(fold, row) for row in rows]


def format_epoch(fold: int, row: dict[str, Any]) -> str:
    """An epoch in one line."""
    parts = [
        f"fold {fold} epoch {row['epoch']:.0f}",
        f"loss {row['loss']:.3f}",
        f"learning rate {row['learning_rate']:.1e}",
        f"{row['patches_per_second']:.2g} patches/s",
        f"waits {row['wait_share']:.0%}",
        f"{row['memory_gb']:.1f} GB",
    ]
    named = (("GTVP", "val_gtvp_dice"), ("GTVN", "val_gtvn_dice"), ("F1", "val_gtvn_f1"))
    scores = [f"{name} {row[key]:.3f}" for name, key in named if row[key] is not None]
    return "  ".join(parts) + (f"  validation Dice {', '.join(scores)}" if scores else "")


class TensorBoardLogger:
    """TensorBoard, or nothing.

    Raises:
        HnsegError: It is asked for and not installed.
    """

    def __init__(self, folder: Path, wanted: bool, epoch: int) -> None:
        self._writer: Any = None
        if wanted:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ModuleNotFoundError as error:
                raise HnsegError(
                    'train.tensorboard is on and TensorBoard is not installed: pip install "ssimh[tensorboard]"'
                ) from error
            self._writer = SummaryWriter(str(folder), purge_step=epoch + 1)

    def write(self, row: dict[str, Any]) -> None:
        """One epoch."""
        if self._writer is not None:
            for name in COLUMNS[1:]:
                if row[name] is not None:
                    self._writer.add_scalar(name, row[name], row["epoch"])
            self._writer.flush()

    def close(self) -> None:
        """End the event file."""
        if self._writer is not None:
            self._writer.close()
