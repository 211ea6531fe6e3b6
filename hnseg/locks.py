"""Locks of a work directory, a fold, a share of a cohort and a case: one run writes each at a time.

A lock is a file ``.<name>.lock`` in the folder that is written to, there only while it is held. What can be done side
by side has locks of its own: each fold, and each share of the cases (``--shard``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hnseg.errors import InUseError
from ssimh.files.lock import LockedError, hold_lock


@contextmanager
def hold(folder: Path, name: str, purpose: str, *, wait: bool = False) -> Iterator[None]:
    """Be the only process that writes one thing in a folder.

    Args:
        folder: It must exist.
        name: What is written, e.g. ``fold_0``.
        purpose: What this process does, for the message of the other one.
        wait: Wait for the other process instead of raising.

    Raises:
        InUseError: Another process writes it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(folder / f".{name}.lock", purpose, wait=wait))
        except LockedError as error:
            raise InUseError(str(error)) from error
        yield


def share_name(verb: str, shard: tuple[int, int]) -> str:
    """Name of the lock of a share of the cases.

    >>> share_name("prepare", (1, 1)), share_name("prepare", (2, 8))
    ('prepare', 'prepare-2-of-8')
    """
    number, count = shard
    return verb if count == 1 else f"{verb}-{number}-of-{count}"


def is_lock(path: Path) -> bool:
    """Whether this is a lock file, which a killed process may leave behind."""
    return path.name.startswith(".") and path.name.endswith(".lock")
