"""Worker processes that end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from multiprocessing.process import BaseProcess

POLL_INTERVAL_S = 0.5
_watching: set[int] = set()  # by process ID: a forked child has its own parent to watch


def end_with_parent(parent_pid: int | None = None) -> None:
    """End this process when its parent ends, whatever ends the parent (SIGKILL and a closed terminal included).

    Call it in a worker process, as the initializer of its pool; further calls do nothing, nor does a call in the
    parent itself. A thread looks twice a second whether the parent's process ID is still the same, so this works where
    an orphan gets another parent: on every system but Windows. A process from a fork server, whose parent the server
    is, watches the process that asked for it.

    Args:
        parent_pid: Process ID of the parent, as the parent states it; None: the present one. With it a parent that
            has ended before this call is noticed.
    """
    if os.getpid() in _watching or parent_pid == os.getpid():
        return
    _watching.add(os.getpid())
    requester = multiprocessing.parent_process()
    served = multiprocessing.get_start_method(allow_none=True) == "forkserver"
    if served and requester is not None and requester.pid == parent_pid:
        threading.Thread(target=_exit_after, args=(requester,), name="end-with-parent", daemon=True).start()
        return
    parent = os.getppid() if parent_pid is None else parent_pid
    threading.Thread(target=_exit_without, args=(parent,), name="end-with-parent", daemon=True).start()


def _exit_after(requester: BaseProcess) -> None:
    requester.join()
    os._exit(1)


def _exit_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_INTERVAL_S)
    os._exit(1)
