"""Memory of a device: limits of the machine, and errors that say it ran out."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch

from hnseg.models.memory import _cgroup_bytes, free_memory_bytes, is_out_of_memory, peak_memory_bytes


def test_free_memory_obeys_the_limits(tmp_path):
    assert 0 < free_memory_bytes(torch.device("cpu")) < 2**50
    assert _cgroup_bytes(tmp_path) == []
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert _cgroup_bytes(tmp_path) == []
    (tmp_path / "memory.max").write_text("1000\n")
    assert _cgroup_bytes(tmp_path) == [900]


def test_the_peak_is_in_bytes():
    """At least an array that was just there; no more than Linux's count in KiB says."""
    array = np.ones(50_000_000, np.uint8)
    assert array.sum() == 50_000_000
    peak = peak_memory_bytes(torch.device("cpu"))
    assert 50_000_000 < peak <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_say_that_memory_ran_out(error, expected):
    assert is_out_of_memory(error) is expected
