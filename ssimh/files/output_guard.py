"""Check that an output replaces neither an input nor a file that the command did not write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path


class OutputError(ValueError):
    """An output path that would destroy something; the message names both files."""


def is_same_file(first: Path, second: Path) -> bool:
    """Whether two paths name one file: through links, relative parts, or a file system that ignores case.

    Paths that do not exist are compared by their resolved names, without regard to case.
    """
    try:
        if os.path.samefile(first, second):
            return True
    except OSError:
        pass
    return str(first.resolve()).casefold() == str(second.resolve()).casefold()


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder or is it, by its name or by where links lead."""
    return path.absolute().is_relative_to(folder.absolute()) or path.resolve().is_relative_to(folder.resolve())


def check_output(
    output: str | os.PathLike[str],
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    suffixes: tuple[str, ...] = (),
    is_ours: Callable[[Path], bool] | None = None,
) -> None:
    """Refuse an output file before any work is done.

    Args:
        output: file that would be written.
        inputs: files that the command reads; folders are compared as folders.
        suffixes: endings of the name that are allowed, such as ``(".npz",)``; empty for any.
        is_ours: whether an existing file was written by this command and may be replaced; without it every existing
            file may.

    Raises:
        OutputError: another ending, one of the inputs, a folder, or a file of somebody else.

    >>> check_output("scan.nii.gz", suffixes=(".npz",))
    Traceback (most recent call last):
    ...
    ssimh.files.output_guard.OutputError: scan.nii.gz: the output must end in .npz
    """
    path = Path(output)
    if suffixes and not path.name.lower().endswith(suffixes):
        raise OutputError(f"{path}: the output must end in {' or '.join(suffixes)}")
    for given in map(Path, inputs):
        if is_same_file(path, given):
            raise OutputError(f"{path} is an input ({given}); choose another output")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; the output must be a file")
    if path.exists() and is_ours is not None and not is_ours(path):
        raise OutputError(f"{path} exists and was not written by this command; remove it or choose another output")
