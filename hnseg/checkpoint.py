"""Checkpoints: written whole or not at all, read without running code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hnseg.errors import WorkDirError
from ssimh.files import replacing

FORMAT = 1


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain Python values to ``path`` through a temporary name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch.save({"format": FORMAT, **content}, temporary)


def load_checkpoint(path: Path, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; pickled code is refused (``weights_only``).

    Raises
    ------
    WorkDirError
        Missing, truncated, foreign, or of another format version.
    """
    if not path.is_file():
        raise WorkDirError(f"{path} is missing: run `hnseg train` first")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        raise WorkDirError(f"{path} is not a readable checkpoint ({type(error).__name__}); remove it") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise WorkDirError(f"{path} is not a checkpoint of format {FORMAT}")
    return content
