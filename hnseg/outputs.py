"""Check of outputs before any work: they replace neither an input nor a foreign file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from hnseg.errors import OutputPathError
from ssimh.files.output_guard import OutputError, check_output, is_same_file


def check_output_file(
    path: Path,
    *,
    inputs: Iterable[Path] = (),
    suffixes: tuple[str, ...] = (),
    is_ours: Callable[[Path], bool] | None = None,
) -> None:
    """Refuse an output file that would replace something; arguments as :func:`ssimh.files.output_guard.check_output`.

    Raises:
        OutputPathError: Another ending, one of the inputs, a folder, or a file that hnseg did not write.
    """
    try:
        check_output(path, inputs=inputs, suffixes=suffixes, is_ours=is_ours)
    except OutputError as error:
        raise OutputPathError(str(error)) from error


def is_json_with(path: Path, keys: Iterable[str]) -> bool:
    """Whether a file is a JSON object that has all of these keys."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and set(keys) <= content.keys()


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies below it, also through links or on a file system that ignores case."""
    return any(is_same_file(parent, folder) for parent in (path, *Path(os.path.abspath(path)).parents))
