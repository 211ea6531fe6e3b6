"""Scans in worker processes that end with their parent; a worker that is killed costs its own scan only."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from ssimh.batch.harmonize_scan import Failure, Job, Task, try_scan
from ssimh.batch.manifest import ScanRecord
from ssimh.processes import end_with_parent

_job: Job | None = None  # of this worker process


def harmonize_all(job: Job, tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, ScanRecord | Failure]]:
    """Outcome of every task, as each one ends.

    Args:
        job: what the tasks have in common.
        tasks: one for each scan.
        jobs: number of processes; 1 stays in this one.
    """
    if jobs <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield task, try_scan(job, task)
        return
    rest, suspects = list(tasks), list[Task]()
    while rest:
        for task, outcome in _pool(job, rest, jobs):
            if outcome is None:
                suspects.append(task)
            else:
                yield task, outcome
            rest.remove(task)
    # One of those that ran when a worker was killed is the cause; alone, each shows whether it is.
    for suspect in suspects:
        for task, outcome in _pool(job, [suspect], 1):
            yield task, outcome or Failure("BrokenProcessPool", "the worker process was killed; out of memory?")


def _pool(job: Job, tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, ScanRecord | Failure | None]]:
    """Outcomes until all tasks are done or a worker is killed; None for those that ran then."""
    # Fresh interpreters: a fork of a process with threads of ITK's can hang.
    context = multiprocessing.get_context("spawn")
    workers = min(jobs, len(tasks))
    with ProcessPoolExecutor(workers, context, _start_worker, (job, os.getpid())) as pool:
        waiting = deque(tasks)
        running: dict[Future[ScanRecord | Failure], Task] = {}
        broken = False
        while (waiting and not broken) or running:
            # As many as there are workers, so that it is known which ones ran when one is killed.
            while waiting and not broken and len(running) < workers:
                try:
                    running[pool.submit(_attempt, waiting[0])] = waiting[0]
                    waiting.popleft()
                except BrokenProcessPool:
                    broken = True
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    outcome: ScanRecord | Failure | None = future.result()
                except BrokenProcessPool:
                    broken, outcome = True, None
                yield task, outcome


def _start_worker(job: Job, parent_pid: int) -> None:
    end_with_parent(parent_pid)
    global _job
    _job = job


def _attempt(task: Task) -> ScanRecord | Failure:
    if _job is None:
        raise RuntimeError("the worker process has not been started by harmonize_all")
    return try_scan(_job, task)
