"""Memory of a device: free, needed, and the errors that mean too little.

Sizes that a person reads or gives are in GB, 10⁹ bytes: :data:`hnseg.parallel.GB`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

_PHRASES = ("out of memory", "allocate memory")  # of the RuntimeErrors that torch raises for want of memory


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory")), is_out_of_memory(KeyError("x"))
    (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _PHRASES)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory that was needed so far: of a GPU, or of this process on a CPU; 0 where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024  # Linux counts in KiB


def free_memory_bytes(device: torch.device) -> int:
    """Memory that this process may still take on a device.

    On a CPU the smallest of what the machine has available, what the control group (a container's limit) leaves, and
    what ``ulimit -v`` leaves, as far as the system tells.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    limits = [_available_bytes(), *_cgroup_bytes(Path("/sys/fs/cgroup")), *_address_space_bytes()]
    return max(0, min(limits))


def _available_bytes() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _cgroup_bytes(root: Path) -> list[int]:
    """What the control group's limit leaves, version 2 or 1; empty without a limit."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            values = [(root / name).read_text(encoding="ascii").strip() for name in (limit, used)]
        except OSError:
            continue
        return [int(values[0]) - int(values[1])] if values[0].isdigit() else []
    return []


def _address_space_bytes() -> list[int]:
    """What ``ulimit -v`` leaves; empty without a limit."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return []
        return [limit - int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()]
    except (ImportError, OSError):  # Windows, or no /proc
        return []
