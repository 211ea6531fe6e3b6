"""Training of several folds, on a CPU side by side in separate processes.

On a CPU, folds side by side with one thread each are faster than one fold after the other with all threads: the
convolutions of a small network are too short to share. On a GPU the folds run one after the other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from multiprocessing.context import BaseContext
from pathlib import Path

from hnseg.errors import OptionError
from hnseg.progress import ProgressCallback, no_progress
from hnseg.training.log import format_epoch, read_log
from hnseg.workdir import load_config
from ssimh.processes import end_with_parent

POLL_INTERVAL_S = 1.0


def train_folds(
    work: Path,
    folds: Sequence[int] | None = None,
    *,
    device: str = "auto",
    jobs: int = 1,
    init: Path | None = None,
    progress: ProgressCallback = no_progress,
) -> list[Path]:
    """Train folds that are not finished.

    Args:
        work: With prepared cases.
        folds: Folds, from 0; None: all of the run.
        device: See :func:`hnseg.models.device.open_device`.
        jobs: Processes on a CPU, which share its cores; a GPU trains one fold after the other. The number of threads
            decides the order of additions, so runs with different ``jobs`` agree to rounding and not bit for bit.
        init: Checkpoint whose weights new folds begin with.
        progress: Called after every epoch of any fold; and within long epochs where folds run one by one, see
            :func:`hnseg.training.loop.train_fold`.

    Returns:
        The best checkpoint of each fold.

    Raises:
        OptionError: ``init`` for a fold that has begun.
        HnsegError: As :func:`hnseg.training.loop.train_fold`, of the first fold that fails; whole epochs of the others
            are kept.
    """
    config = load_config(work)
    wanted = list(range(config.split.folds)) if folds is None else list(folds)
    total = len(wanted) * config.train.epochs
    begun = [str(fold) for fold in wanted if (work / "models" / f"fold_{fold}" / "last.pt").exists()]
    if init is not None and begun:
        raise OptionError(
            f"init {init}: fold {', '.join(begun)} has begun, and goes on from its own weights; leave --init out to "
            "continue, or choose a new fold with --fold"
        )
    jobs = min(jobs, len(wanted)) if trains_on_cpu(device) else 1
    if jobs <= 1:
        from hnseg.training.loop import train_fold

        return [
            train_fold(
                work, fold, device=device, init=init, progress=_counted(progress, k * config.train.epochs, total)
            )
            for k, fold in enumerate(wanted)
        ]
    return _train_in_processes(work, wanted, device, jobs, init, progress)


def _train_in_processes(
    work: Path, folds: Sequence[int], device: str, jobs: int, init: Path | None, progress: ProgressCallback
) -> list[Path]:
    """Train folds side by side; progress is read from their logs."""
    total = len(folds) * load_config(work).train.epochs
    threads = max(1, (os.cpu_count() or 1) // jobs)
    reported = {fold: len(read_log(work, fold)) for fold in folds}
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        jobs, mp_context=_open_context(), initializer=_begin_worker, initargs=(threads, os.getpid())
    ) as pool:
        try:
            futures = [pool.submit(_train_fold, work, fold, device, init) for fold in folds]
            pending = set(futures)
            while pending:
                done, pending = wait(pending, timeout=POLL_INTERVAL_S, return_when=FIRST_EXCEPTION)
                for fold in folds:
                    for epoch in read_log(work, fold)[reported[fold] :]:
                        reported[fold] += 1
                        progress(sum(reported.values()), total, format_epoch(fold, epoch))
                if any(future.exception() for future in done):
                    pool.shutdown(cancel_futures=True)
        except BaseException:  # Ctrl-C: the pool would wait until its workers have trained to the end
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            raise
        return [future.result() for future in futures if not future.cancelled()]


def _open_context() -> BaseContext:
    """How folds get their processes: forked from a server that has loaded torch and MONAI once for all of them.

    A forked child of a process with threads can hang; the server has none. Windows has no fork. The command that waits
    for the folds loads neither torch nor MONAI, which takes as long as it does in the server.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hnseg.training.loop"])
    return context


def _begin_worker(threads: int, parent_pid: int) -> None:
    """Set up a process that trains folds; only its parent answers Ctrl-C, and ends it."""
    end_with_parent(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(threads)


def _train_fold(work: Path, fold: int, device: str, init: Path | None) -> Path:
    from hnseg.training.loop import train_fold

    return train_fold(work, fold, device=device, init=init)


def trains_on_cpu(device: str) -> bool:
    """Whether folds are trained on the CPU, several at once if asked for."""
    if device != "auto":
        return device == "cpu"
    import torch

    return not torch.cuda.is_available()


def _counted(progress: ProgressCallback, before: int, whole: int) -> ProgressCallback:
    """Progress of one fold as a part of all."""

    def report(done: int, total: int, what: str) -> None:
        progress(before + done, whole, what)

    return report
