"""Work directories as the tests of training change and read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hnseg.models.checkpoint import load_checkpoint
from hnseg.training.loop import train_fold
from hnseg.workdir import change_config


def change(work: Path, **settings: object) -> None:
    """Other training settings for a run that has not been trained."""
    change_config(work, {f"train.{name}": value for name, value in settings.items()})


def train_first_fold(work: Path) -> None:
    """To be given to another process."""
    train_fold(work, 0, device="cpu")


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Train here with as many threads as another process has: their number decides the order of additions."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def last(work: Path, fold: int = 0) -> dict[str, Any]:
    """The checkpoint from which a fold continues."""
    return load_checkpoint(work / "models" / f"fold_{fold}" / "last.pt")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are the same, bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
