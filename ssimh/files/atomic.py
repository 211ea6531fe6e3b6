"""Atomic writing: files and folders appear whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".writing-"
_PROBE_BYTES = 2**20


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path of a temporary file beside ``path``, with its suffixes; takes its place when the block ends well.

    Raises:
        FileNotFoundError: The folder of ``path`` does not exist.
        OSError: Writing fails; its ``filename`` is ``path``.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target}: the folder {target.parent} does not exist.")
    suffix = "".join(target.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with name_in_errors(target, temporary):
            yield temporary
        # mkstemp makes files private; a result has the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder``, which takes its name when the block ends well.

    Args:
        folder: New or empty; its parents are made.

    Raises:
        OSError: ``folder`` holds something, or writing fails.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        made = Path(scratch, folder.name)  # the scratch folder itself is private
        made.mkdir()
        yield made
        if folder.exists():
            folder.rmdir()  # empty; other systems than POSIX replace no folder
        made.rename(folder)


@contextmanager
def name_in_errors(path: Path, *others: Path) -> Iterator[None]:
    """Give an error of writing, as on a full disk, the name of the file; the system leaves it out.

    Args:
        path: File or folder that is written.
        others: Names that ``path`` has while it is written.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # NumPy's, when less was written than it had
            raise OSError(errno.EIO, str(error), str(path)) from error
        if error.filename in (None, *map(str, others)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def raise_what_stops_writing(path: Path) -> None:
    """Append to a temporary file that a library could not write, which raises the system's own error.

    Raises:
        OSError: The disk is full, a quota or a limit is reached, or the file cannot be written for another reason.
    """
    if path.is_file():
        with path.open("ab") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())


def is_leftover(path: Path) -> bool:
    """Whether this is a temporary file of :func:`atomic_write`, which a killed process leaves behind."""
    return path.name.startswith(_PREFIX)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder that no other process writes to now."""
    for path in folder.glob(f"{_PREFIX}*"):
        if path.is_file():
            path.unlink(missing_ok=True)
