"""Files appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".writing-"


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path of a temporary file beside ``path``, with its suffixes; takes its place when the block ends well.

    Raises:
        FileNotFoundError: the folder of ``path`` does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target}: the folder {target.parent} does not exist.")
    suffix = "".join(target.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a result has the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether this is a temporary file of :func:`atomic_write`, which a killed process leaves behind."""
    return path.name.startswith(_PREFIX)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder that no other process writes to now."""
    for path in folder.glob(f"{_PREFIX}*"):
        if path.is_file():
            path.unlink(missing_ok=True)
