"""Where the network runs and in which precision, through Lightning Fabric."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
from lightning_fabric import Fabric

from hnseg.errors import HnsegError

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def open_device(device: str = "auto", precision: str = "auto") -> Fabric:
    """A Fabric for one device, or for one device per process under ``torchrun``.

    Args:
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:<n>`` or ``mps``.
        precision: ``auto``: bf16 where the device computes in it, else fp16 on CUDA and float32 on a CPU.

    Raises:
        HnsegError: No such device here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise HnsegError(f"device {device!r}: torch {torch.__version__} sees no CUDA device here; use cpu")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise HnsegError(f"device {device!r}: choose auto, cpu, cuda, cuda:<n> or mps")
    if precision == "auto":
        precision = _best_precision(kind)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return Fabric(accelerator=kind, devices=[int(number)] if number else 1, precision=precision)
    if number:
        raise HnsegError(f"device {device!r} with {world} processes: name the kind only, each process takes its own")
    fabric = Fabric(accelerator=kind, devices=local, num_nodes=world // local, strategy="ddp", precision=precision)
    fabric.launch()
    return fabric


def is_first_process() -> bool:
    """Whether this is the one of ``torchrun``'s processes that writes files; True without ``torchrun``."""
    return os.environ.get("RANK", "0") == "0"


def _best_precision(kind: str) -> str:
    if kind == "cuda":
        # A V100 or T4 only emulates bf16, and computes in fp16 on its tensor cores.
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if kind == "cpu":
        # Measured on two such cores: a training step in bf16 takes a fifth of the time of one in float32. Without the
        # instructions bf16 is emulated and slower than float32.
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return "bf16-mixed" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "32-true"
    return "32-true"


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
