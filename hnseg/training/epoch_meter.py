"""Loss and speed of an epoch while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from hnseg.errors import HnsegError
from hnseg.models.memory import peak_memory_bytes
from hnseg.parallel import GB
from hnseg.training.log import EpochRow
from hnseg.training.state import TrainingState


class EpochMeter:
    """Collects the losses of an epoch, and measures throughput and the time spent waiting for batches.

    Args:
        state: The training.
        epoch: Epoch, from 0.
    """

    def __init__(self, state: TrainingState, epoch: int) -> None:
        self._state = state
        self._epoch = epoch
        self._started = time.perf_counter()
        self._wait_s = 0.0
        self._learning_rate = 0.0
        self._losses: list[torch.Tensor] = []
        self._cases: list[list[str]] = []

    def batches(self) -> Iterator[dict[str, torch.Tensor]]:
        """The epoch's batches; the time until each of them is there counts as waiting."""
        batches = iter(self._state.loader)
        while True:
            before = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            self._wait_s += time.perf_counter() - before
            yield batch

    def add_step(self, batch: dict[str, torch.Tensor], loss: torch.Tensor, learning_rate: float) -> None:
        """Count a step; does not wait for its loss."""
        self._losses.append(loss)
        self._cases.append([self._state.patches.cases[int(number)].id for number in batch["case"]])
        self._learning_rate = learning_rate

    def check_losses(self) -> None:
        """Wait for the losses so far.

        Raises:
            HnsegError: One is NaN or infinite; the message names the cases of its patches.
        """
        values = torch.stack(self._losses)
        if not bool(values.isfinite().all()):
            step = int((~values.isfinite()).nonzero()[0])
            raise HnsegError(
                f"fold {self._state.fold}, epoch {self._epoch + 1}: the loss is {float(values[step])} on patches of "
                f"{', '.join(self._cases[step])}; the last good checkpoint is kept: lower the learning rate, look at "
                "these cases"
            )

    def mean_loss(self) -> torch.Tensor:
        """Mean loss of the steps of this process."""
        return torch.stack(self._losses).mean()

    def row(self, loss: torch.Tensor) -> EpochRow:
        """The epoch so far as a row of the log, without scores.

        Args:
            loss: Mean loss.
        """
        seconds = time.perf_counter() - self._started
        patches = min(len(self._losses) * self._state.config.train.batch_size, len(self._state.sampler))
        return EpochRow(
            epoch=self._epoch + 1,
            loss=float(loss),
            learning_rate=self._learning_rate,
            seconds=round(seconds, 3),
            patches_per_second=round(patches * self._state.fabric.world_size / seconds, 4),
            wait_share=round(self._wait_s / seconds, 4),
            memory_gb=peak_memory_gb(self._state),
        )


def peak_memory_gb(state: TrainingState) -> float:
    """Peak memory of the training so far, in 10⁹ bytes."""
    return round(peak_memory_bytes(state.fabric.device) / GB, 2)
