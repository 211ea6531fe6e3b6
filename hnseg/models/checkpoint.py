"""Checkpoints: written whole or not at all, read without running code."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hnseg.errors import WorkDirError
from ssimh.files.atomic import atomic_write, raise_what_stops_writing

FORMAT = 1


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain Python values to ``path`` through a temporary name.

    Raises:
        OSError: The disk is full, or the file cannot be written for another reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        try:
            torch.save({"format": FORMAT, **content}, temporary)
        except RuntimeError:  # torch's writer of zip files hides the system's own error
            raise_what_stops_writing(temporary)
            raise


def load_checkpoint(path: Path, *, device: torch.device | str = "cpu", mapped: bool = False) -> dict[str, Any]:
    """Read a checkpoint; pickled code is refused (``weights_only``).

    Args:
        path: The file.
        device: Where it is computed.
        mapped: Leave the tensors in the file until they are used; on the CPU only.

    Raises:
        WorkDirError: Missing, truncated, foreign, or of another format version.
    """
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `hnseg train` first")
    try:
        content = torch.load(path, map_location=device, weights_only=True, mmap=mapped)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        raise WorkDirError(f"{path} is not a readable checkpoint ({type(error).__name__}); remove it") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise WorkDirError(f"{path} is not a checkpoint of format {FORMAT}")
    return content


def verify_checkpoint(path: Path) -> None:
    """Read a checkpoint through once and compare it with the checksums that it carries.

    Raises:
        WorkDirError: Missing, truncated, or with a changed byte: weights like that would load, and predict nonsense.
    """
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `hnseg train` first")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise WorkDirError(f"{path} is not a readable checkpoint ({error}): copy it again or train the fold") from error
    if damaged is not None:
        raise WorkDirError(f"{path} is damaged (checksum of {damaged}): copy it again or train the fold")
