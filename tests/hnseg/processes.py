"""Commands in processes of their own, and what becomes of their workers when they are killed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

DEADLINE_S = 300.0
SINGLE_THREAD = {"OMP_NUM_THREADS": "1"}


def start(command: Sequence[str | Path]) -> subprocess.Popen[str]:
    """Run ``python`` with these arguments."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **SINGLE_THREAD},
    )


def fork(function: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a function in a process that has loaded hnseg, torch and MONAI: a fork of a server that loads them once.

    A process of its own, but without the ten seconds of work that a new interpreter has with these packages.
    """
    process = _open_server().Process(target=function, args=arguments)
    process.start()
    return process


def _open_server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(["hnseg.training.loop"])
    return context


class ForkedPool:
    """In place of ``joblib.Parallel``: workers from the fork server of :func:`fork`."""

    def __init__(
        self, n_jobs: int, return_as: str, initializer: Callable[..., None], initargs: tuple[object, ...]
    ) -> None:
        self._pool = ProcessPoolExecutor(n_jobs, _open_server(), initializer, initargs)
        self._ordered = return_as == "generator"

    def __call__(self, calls: Iterable[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]) -> Iterator[Any]:
        with self._pool:
            futures = [self._pool.submit(_call_pickled, cloudpickle.dumps(call)) for call in calls]
            for future in futures if self._ordered else as_completed(futures):
                yield future.result()


def _call_pickled(call: bytes) -> Any:
    """A call as joblib sends it to its workers: with functions that have no name in a module."""
    function, args, options = cloudpickle.loads(call)
    return function(*args, **options)


def run_command(errors: Path, arguments: Sequence[object], limit_bytes: int | None = None) -> None:
    """A command of ``hnseg``, for :func:`fork`.

    Args:
        errors: File for its standard error.
        arguments: Of the command.
        limit_bytes: It cannot write larger files.
    """
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 2)
    from hnseg.cli.main import main

    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    sys.argv = ["hnseg", *map(str, arguments)]
    main()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll, and fail after a generous time."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def descendants(pid: int) -> set[int]:
    """All processes that a process has started, and that these have started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    todo = [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found |= set(children)
        todo += children
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def end_and_check(process: subprocess.Popen[str], ready: Callable[[], object], number: int, *, least: int = 2) -> str:
    """Send a signal to a command in the middle of its work: its workers end; what it wrote to standard error."""
    if not Path("/proc").is_dir():
        pytest.skip("/proc is needed to find the workers")
    workers: set[int] = set()
    try:
        wait_until(lambda: process.poll() is not None or ready(), "the command does not get that far")
        assert process.poll() is None, process.communicate()[1]
        workers = descendants(process.pid)
        assert len(workers) >= least
        process.send_signal(number)
        process.wait(timeout=DEADLINE_S)
        wait_until(lambda: not any(map(is_running, workers)), "workers outlive their parent")
        return process.communicate()[1]
    finally:
        for pid in (process.pid, *workers):
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
