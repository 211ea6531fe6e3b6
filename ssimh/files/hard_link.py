"""Hard links: one file on disk under two names, which takes no space twice.

A program that writes a new file and renames it, as :func:`ssimh.files.atomic.atomic_write` does, leaves the other name
with the old content.
"""

from __future__ import annotations

import os
from pathlib import Path


def link_file(source: Path, target: Path) -> None:
    """Let ``target`` be the same file on disk as ``source``; a file that is there is replaced, whole or not at all.

    Raises:
        OSError: The two are on different file systems, or theirs has no hard links.
    """
    if is_linked(source, target):
        return  # renaming a file to another name of its own does nothing
    scratch = target.with_name(f".writing-{target.name}")
    scratch.unlink(missing_ok=True)
    os.link(source, scratch)
    os.replace(scratch, target)


def is_linked(a: Path, b: Path) -> bool:
    """Whether two names are those of one file on disk."""
    return a.is_file() and b.is_file() and a.samefile(b)
