"""Two processes that train one fold: started as torchrun starts them, and what each of them does."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from hnseg.cli.main import main
from hnseg.models.device import open_device
from hnseg.training import validation
from hnseg.training.cases import open_cases
from hnseg.training.state import setup_fold
from hnseg.training.step import train_step
from hnseg.workdir import load_config


def launch_two(errors: Path, function: Callable[..., None], *arguments: object) -> None:
    """``torchrun --nproc-per-node 2 --standalone`` without new interpreters, for ``tests.hnseg.processes.fork``.

    Torch's launcher sets the variables of each rank and waits for both; torchrun is its command line.

    Args:
        errors: File for what the processes write to standard error.
        function: What each of them does.
        arguments: Of the function.
    """
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id="two",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="fork",
    )
    elastic_launch(config, function)(*arguments)


def save_first_gradients(work: Path, out: Path) -> None:
    """The gradients of the first step of the first fold, and how many processes made them."""
    fabric = open_device("cpu", "32-true")
    run = setup_fold(load_config(work), 0, fabric, open_cases(work, 0).training)
    gradients = []
    step = run.optimizer.step

    def watched(*args: object, **options: object) -> object:
        gradients.append([parameter.grad.clone() for parameter in run.raw.parameters()])
        return step(*args, **options)

    run.optimizer.step = watched
    train_step(run, next(iter(run.loader)), 1e-3)
    if fabric.global_rank == 0:
        torch.save({"gradients": gradients[0], "world": fabric.world_size}, out)


def train_worse_and_worse(work: Path, out: Path) -> None:
    """The same, and then ``hnseg train`` with a loss of the validation that rises, and is another in each process."""
    save_first_gradients(work, out)
    score, count = validation._score, itertools.count(int(os.environ["RANK"]))
    validation._score = lambda *what: dataclasses.replace(score(*what), loss=float(next(count)))
    sys.argv = ["hnseg", "train", str(work), "--fold", "0", "--device", "cpu"]
    main()
