"""Names of the versions in which a prepared case is kept: ``final``, and ``fold_0``, … where folds differ."""

from __future__ import annotations

FINAL = "final"  # for test cases and new scans


def fold_version(fold: int) -> str:
    """Name of the version that the training and validation of a fold use.

    >>> fold_version(0)
    'fold_0'
    """
    return f"fold_{fold}"
