"""Device and precision of the network, through Lightning Fabric."""

from __future__ import annotations

import logging
import os

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
