"""Published lists of cases: folds in nnU-Net's form, and lists of test cases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnseg.errors import CohortError


@dataclass(frozen=True)
class PublishedFold:
    """Training and validation part of one fold."""

    train: tuple[str, ...]
    val: tuple[str, ...]


def read_folds(path: Path) -> list[PublishedFold]:
    """Read a ``splits_final.json``: a list of ``{"train": [IDs], "val": [IDs]}``.

    Raises:
        CohortError: No such file, not of that form, or a case is in two validation parts or in both parts of a fold.
    """
    if not path.is_file():
        raise CohortError(f"the list of folds {path} does not exist")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CohortError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, list) or len(content) < 2 or not all(_is_fold(entry) for entry in content):
        raise CohortError(
            f'{path} must hold a list of two or more {{"train": [IDs], "val": [IDs]}}, as nnU-Net writes it'
        )
    folds = [PublishedFold(tuple(entry["train"]), tuple(entry["val"])) for entry in content]
    seen: dict[str, int] = {}
    for k, fold in enumerate(folds):
        both = sorted(set(fold.train) & set(fold.val))
        if both:
            raise CohortError(f"{path}: {both[0]} is in both parts of fold {k}: it would be validated after training")
        for case_id in fold.val:
            if case_id in seen:
                raise CohortError(f"{path}: {case_id} is in the validation parts of folds {seen[case_id]} and {k}")
            seen[case_id] = k
    return folds


def _is_fold(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(part), list) and all(isinstance(case_id, str) for case_id in entry[part])
        for part in ("train", "val")
    )


def read_ids(path: Path) -> list[str]:
    """Read case IDs from a text file, one per line; empty lines and comments after ``#`` are ignored.

    Raises:
        CohortError: No such file, or it names no case.
    """
    if not path.is_file():
        raise CohortError(f"the list of cases {path} does not exist")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise CohortError(f"{path} is not a text file: {error}") from error
    ids = [name for line in lines if (name := line.split("#", 1)[0].strip())]
    if not ids:
        raise CohortError(f"{path} names no case; expected is one ID a line")
    return ids
