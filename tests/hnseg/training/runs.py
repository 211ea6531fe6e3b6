"""Work directories as the tests of training change and read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hnseg.models.checkpoint import load_checkpoint
from hnseg.workdir import read_json, write_json


def change(work: Path, **settings: object) -> None:
    """Other training settings for a run that has not been trained."""
    content = read_json(work / "run.json", "check")
    content["config"]["train"] |= settings
    write_json(work / "run.json", content)


def last(work: Path, fold: int = 0) -> dict[str, Any]:
    """The checkpoint from which a fold continues."""
    return load_checkpoint(work / "models" / f"fold_{fold}" / "last.pt")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are the same, bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
