"""The log of a training: one row per epoch, as CSV, as a line of text, and for TensorBoard."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from hnseg.errors import HnsegError, WorkDirError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SCORE_LABELS = {"val_gtvp_dice": "GTVp", "val_gtvn_dice": "GTVn", "val_gtvn_f1": "F1"}


@dataclass(frozen=True)
class EpochRow:
    """One epoch.

    Attributes:
        epoch: Number, from 1.
        loss: Mean training loss.
        learning_rate: Of the last step.
        seconds: Time of the epoch, with validation.
        patches_per_second: Of training, over all processes.
        wait_share: Part of the training time that was spent waiting for patches.
        memory_gb: Peak memory so far in 10⁹ bytes: of the GPU, or of the process on a CPU.
        val_loss: Loss of the main output on the validation cases; None, as all scores, without a validation.
        val_gtvp_dice: Mean Dice of GTVp.
        val_gtvn_dice: Aggregated Dice of GTVn.
        val_gtvn_f1: Aggregated F1 score of GTVn.
        val_score: Weighted mean of the three.
        kept_epoch: The epoch whose weights ``best.pt`` holds after this one, by ``train.monitor``.
        stopped_early: 1 in the last row of a fold that stopped before its epochs were done, for want of a better
            validation; else None.
    """

    epoch: int
    loss: float
    learning_rate: float
    seconds: float
    patches_per_second: float
    wait_share: float
    memory_gb: float
    val_loss: float | None = None
    val_gtvp_dice: float | None = None
    val_gtvn_dice: float | None = None
    val_gtvn_f1: float | None = None
    val_score: float | None = None
    kept_epoch: int | None = None
    stopped_early: int | None = None


COLUMNS = tuple(field.name for field in fields(EpochRow))
WHOLE = ("epoch", "kept_epoch", "stopped_early")  # columns of whole numbers
History = list[EpochRow]


def as_csv(history: History) -> str:
    """The whole log; a value that an epoch does not have is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in asdict(row).items()} for row in history)
    return text.getvalue()


def read_log(work: Path, fold: int) -> History:
    """A fold's finished epochs; empty before the first one.

    Raises:
        WorkDirError: The file is damaged.
    """
    path = work / "models" / f"fold_{fold}" / "log.csv"
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_parse(row) for row in csv.DictReader(file)]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise WorkDirError(f"{path} is damaged ({error}): remove it, the fold's next epoch writes it again") from error


def _parse(row: dict[str, str]) -> EpochRow:
    values = {name: float(value) if value else None for name, value in row.items()}
    whole = {name: None if (value := values.pop(name)) is None else int(value) for name in WHOLE}
    if whole["epoch"] is None:
        raise ValueError("a row without an epoch")
    return EpochRow(**whole, **values)  # type: ignore[arg-type]  # a TypeError for another set of columns


def format_epoch(fold: int, row: EpochRow) -> str:
    """An epoch in one line."""
    parts = [
        f"fold {fold} epoch {row.epoch}",
        f"loss {row.loss:.3f}",
        f"learning rate {row.learning_rate:.1e}",
        f"{row.patches_per_second:.2g} patches/s",
        f"waits {row.wait_share:.0%}",
        f"{row.memory_gb:.1f} GB",
    ]
    named = [(label, getattr(row, name)) for name, label in SCORE_LABELS.items()]
    scores = [f"{label} {value:.3f}" for label, value in named if value is not None]
    if row.val_loss is not None:
        parts.append(f"validation loss {row.val_loss:.3f}" + (f", Dice {', '.join(scores)}" if scores else ""))
        parts.append(f"keeps epoch {row.kept_epoch}")
    if row.stopped_early:
        parts.append(f"stops early: no validation since epoch {row.kept_epoch} was better")
    return "  ".join(parts)


class TensorBoardLogger:
    """Writes the log for TensorBoard, or nothing.

    Args:
        folder: Folder of the event files.
        enabled: False: nothing is written.
        epochs_done: Later epochs in the folder, of a run that was interrupted, are hidden.

    Raises:
        HnsegError: It is enabled and TensorBoard is not installed.
    """

    def __init__(self, folder: Path, enabled: bool, epochs_done: int) -> None:
        self._writer: SummaryWriter | None = None
        if enabled:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ModuleNotFoundError as error:
                raise HnsegError(
                    'train.tensorboard is on and TensorBoard is not installed: pip install "ssimh[tensorboard]"'
                ) from error
            self._writer = SummaryWriter(str(folder), purge_step=epochs_done + 1)

    def write(self, row: EpochRow) -> None:
        """Write one epoch."""
        if self._writer is not None:
            for name, value in asdict(row).items():
                if name != "epoch" and value is not None:
                    self._writer.add_scalar(name, value, row.epoch)
            self._writer.flush()

    def close(self) -> None:
        """End the event file."""
        if self._writer is not None:
            self._writer.close()
