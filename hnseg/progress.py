"""Progress reporting for long-running stages: a bar on a terminal, a line per step elsewhere, with the time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressCallback(Protocol):
    """Called by a stage after every step with the steps done, their total, and what was done."""

    def __call__(self, done: int, total: int, what: str) -> None: ...


def no_progress(done: int, total: int, what: str) -> None:
    """Report nothing."""


def limit_rate(progress: ProgressCallback, interval_s: float = 1.0) -> ProgressCallback:
    """Report the last step, and of the others at most one in an interval: for steps of milliseconds, as files read."""
    last_s = time.monotonic()

    def report_some(done: int, total: int, what: str) -> None:
        nonlocal last_s
        if done == total or time.monotonic() - last_s >= interval_s:
            last_s = time.monotonic()
            progress(done, total, what)

    return report_some


@contextmanager
def show_progress(stage: str, console: Console) -> Iterator[ProgressCallback]:
    """Show a stage's steps on a console; ends with the stage's name and time."""
    started = time.perf_counter()
    if console.is_terminal:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(
            TextColumn("{task.description:10}"), *columns, TextColumn("{task.fields[what]}"), console=console
        ) as bars:
            bar = bars.add_task(stage, total=None, what="")

            def draw(done: int, total: int, what: str) -> None:
                bars.update(bar, completed=done, total=total, what=what)

            yield draw
        return

    first: tuple[int, float] | None = None

    def write(done: int, total: int, what: str) -> None:
        nonlocal first
        seconds = time.perf_counter() - started
        left = ""
        if first is None:
            # Steps that an earlier run has done took no time in this one.
            first = done, seconds if done else 0.0
        elif first[0] < done < total:
            left = f", {(total - done) * (seconds - first[1]) / (done - first[0]):.0f} s left"
        console.print(
            f"{stage:10} {done:>3}/{total} {seconds:7.1f} s{left}  {what}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    yield write
