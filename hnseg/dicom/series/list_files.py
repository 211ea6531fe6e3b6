"""Every file below a folder, each folder once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hnseg.errors import CohortError


def list_files(root: str | os.PathLike[str]) -> Iterator[Path]:
    """Files below a folder, or a file itself, in the order of their names.

    Links to folders are followed; a folder that was seen before, by whatever path, is not entered again, so that links
    in a circle end. Pipes and devices are left out. A link without a target and a folder that may not be listed are
    named as if they were files: who reads them finds out why.

    Args:
        root: Folder or file.

    Raises:
        CohortError: There is nothing at ``root``.
    """
    start = Path(root)
    if start.is_file():
        yield start
        return
    if not start.is_dir():
        raise CohortError("no DICOM: the folder given does not exist")
    seen: set[tuple[int, int]] = set()
    folders = [start]
    while folders:
        folder = folders.pop()
        try:
            identity = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield folder
            continue
        if (identity.st_dev, identity.st_ino) in seen:
            continue
        seen.add((identity.st_dev, identity.st_ino))
        folders += [Path(entry.path) for entry in reversed(entries) if os.path.isdir(entry.path)]
        yield from (Path(entry.path) for entry in entries if os.path.isfile(entry.path) or is_broken_link(entry))


def is_broken_link(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link without a target."""
    return entry.is_symlink() and not os.path.exists(entry.path)
