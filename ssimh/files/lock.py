"""One writer at a time: a lock that a dead process does not hold."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class LockedError(RuntimeError):
    """Another process writes here; the message says which one."""


@contextmanager
def hold_lock(path: str | os.PathLike[str], purpose: str) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs.

    The operating system gives the lock back when the process ends, whatever ends it. The file stays: removing it would
    let two processes lock two files of one name.

    Args:
        path: lock file; its folder must exist.
        purpose: what is being done, for the message that the second process gets.

    Raises:
        LockedError: another process holds it.
    """
    file = Path(path)
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        holder = _describe_holder(_holder_file(file))
        raise LockedError(f"{file.parent} is in use{holder}; wait until it ends") from error
    description = _holder_file(file)
    try:
        content = {"pid": os.getpid(), "host": platform.node(), "purpose": purpose, "since": time.strftime("%F %T")}
        description.write_text(json.dumps(content), encoding="utf-8")
        yield
    finally:
        description.unlink(missing_ok=True)
        lock.release()


def _holder_file(lock: Path) -> Path:
    """Where the holder describes itself: beside the lock, since Windows lets nobody read a locked file."""
    return lock.with_name(f"{lock.name}.holder")


def _describe_holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f" by process {holder['pid']} on {holder['host']} ({holder['purpose']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # it has just taken the lock and not yet written who it is
