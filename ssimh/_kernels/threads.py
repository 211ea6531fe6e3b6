"""Number of threads of a call."""

from __future__ import annotations

import os
import sys


def worker_count(workers: int | None) -> int:
    """Number of threads: the given one, else what the process may use.

    Torch's own setting counts where torch is loaded, since a data-loader worker runs with one thread.

    Raises:
        ValueError: not an integer of at least 1.
    """
    if workers is not None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers must be an integer of at least 1, or None; given {workers!r}.")
        return workers
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    setting = os.environ.get("OMP_NUM_THREADS", "")
    if setting.isdigit() and int(setting) > 0:
        allowed = min(allowed, int(setting))
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        allowed = min(allowed, torch.get_num_threads())
    return max(1, allowed)
