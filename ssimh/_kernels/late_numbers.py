"""Numbers on their way from a device, looked at when they have arrived; imported only for a caller who holds a tensor.

The host never waits for them, unless it is asked to. What has not been looked at when the process ends is looked at
then.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

Look = Callable[[float, int], None]

_LOCK = threading.Lock()
_SENT: deque[tuple[torch.Tensor, Any, Look]] = deque()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SENT.clear)  # the parent looks at them, and a child has no device


def send(number: torch.Tensor, look: Look) -> None:
    """Send a number to the host in the background.

    Args:
        number: tensor of one number on a device.
        look: called with the number once it is there, and with the ``stacklevel`` of a warning that it gives.
    """
    if not _SENT:
        atexit.unregister(look_at_all)
        atexit.register(look_at_all)
    try:
        host = torch.empty((), dtype=number.dtype, pin_memory=True)
        event = torch.Event(number.device)
        host.copy_(number, non_blocking=True)
        event.record()
    except (AttributeError, NotImplementedError, RuntimeError):  # a torch or a device without events or pinned memory
        host, event = number, None
    _SENT.append((host, event, look))


def look_at_arrived(stacklevel: int = 1) -> None:
    """Look at the numbers that are there, the oldest first; nothing waits."""
    while True:
        with _LOCK:
            if not _SENT or _SENT[0][1] is None or not _SENT[0][1].query():
                return
            host, _, look = _SENT.popleft()
        look(float(host), stacklevel + 1)


def look_at_all(stacklevel: int = 1) -> None:
    """Wait for all numbers, and look at them."""
    while True:
        with _LOCK:
            if not _SENT:
                return
            host, event, look = _SENT.popleft()
        if event is not None:
            event.synchronize()
        look(float(host), stacklevel + 1)
