"""Lock for one writer at a time, which a dead process does not hold."""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_INTERVAL_S = 0.2
_CONTENTION = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}
_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_LOG = logging.getLogger(__name__)


class LockedError(RuntimeError):
    """Another process writes here; the message says which one."""


@contextmanager
def hold_lock(path: str | os.PathLike[str], purpose: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs.

    The operating system gives the lock back when the process ends, whatever ends it. On a file system without locks
    (some network drives) a warning says so, and the block runs without one.

    Args:
        path: Lock file; its folder must exist. It holds a description of its holder, and is removed at the end.
        purpose: What is being done, for the message that the second process gets.
        wait: Wait for the other process instead of raising.

    Raises:
        LockedError: Another process holds it.
        OSError: The file cannot be made.
    """
    file = Path(path)
    handle, supported = _open_locked(file, wait)
    try:
        content = {"pid": os.getpid(), "host": platform.node(), "purpose": purpose, "since": time.strftime("%F %T")}
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(content).encode())
        yield
    finally:
        # Removed while it is held: who opened it before and gets the lock next finds another file under its name.
        # Windows removes no open file; there it stays.
        if supported and sys.platform != "win32":
            file.unlink(missing_ok=True)
        os.close(handle)
        if not supported:
            file.unlink(missing_ok=True)


def _open_locked(file: Path, wait: bool) -> tuple[int, bool]:
    """An open lock file, and whether it is locked: not where the file system knows no locks."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                _LOG.warning(
                    "%s: this file system has no locks (%s); see to it that only one process writes here",
                    file.parent,
                    error.strerror,
                )
                return handle, False
            os.close(handle)
            if error.errno not in _CONTENTION:
                raise OSError(error.errno, error.strerror, str(file)) from error
            if not wait:
                raise LockedError(f"{file.parent} is in use{_describe_holder(file)}; wait until it ends") from error
            time.sleep(POLL_INTERVAL_S)
            continue
        if _is_named(handle, file):
            return handle, True
        os.close(handle)


def _is_named(handle: int, file: Path) -> bool:
    """Whether the open file is still the one of this name, and not one that its last holder has removed."""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 2**30, os.SEEK_SET)  # beyond the description, which others read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(handle, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _describe_holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f" by process {holder['pid']} on {holder['host']} ({holder['purpose']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # it has just taken the lock and not yet written who it is
