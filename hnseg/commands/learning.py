"""Commands of training: train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hnseg.commands.shell import Device, Jobs, Work, app, out, reported
from hnseg.progress import shown


@app.command()
def train(
    work: Work,
    fold: Annotated[int | None, typer.Option(help="One fold; without it all of them.")] = None,
    device: Device = "auto",
    jobs: Jobs = 1,
    init: Annotated[Path | None, typer.Option(help="Checkpoint whose weights a new fold begins with.")] = None,
) -> None:
    """Train a fold, or all; continues where it stopped. On a CPU, --jobs folds at once."""
    from hnseg.train_folds import train_folds

    with reported(), shown("train", out) as progress:
        train_folds(work, None if fold is None else [fold], device=device, jobs=jobs, init=init, progress=progress)
