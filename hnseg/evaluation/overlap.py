"""Overlap scores as pure functions of masks and counts.

A score without a value (0/0) is ``None``: never a silent 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hnseg.evaluation.rules import Score


def dice(pred: NDArray[np.bool_], truth: NDArray[np.bool_], *, both_empty: float = 1.0) -> float:
    """Dice coefficient ``2|A∩B| / (|A|+|B|)`` of two masks of one shape.

    Args:
        pred, truth (ndarray of bool): Of one shape.
        both_empty: Value where neither mask has a voxel. One empty mask gives 0.

    Raises:
        ValueError: Shapes that differ.

    >>> dice(np.array([True, True, False]), np.array([False, True, False]))
    0.6666666666666666
    >>> dice(np.zeros(3, bool), np.zeros(3, bool))
    1.0
    """
    if pred.shape != truth.shape:
        raise ValueError(f"prediction of shape {pred.shape} and truth of shape {truth.shape} differ")
    total = int(np.count_nonzero(pred)) + int(np.count_nonzero(truth))
    if total == 0:
        return both_empty
    return 2 * int(np.count_nonzero(pred & truth)) / total


def aggregated_dice(intersections: Sequence[float], volumes: Sequence[float]) -> Score:
    """Aggregated Dice ``2 Σ|A∩B| / Σ(|A|+|B|)`` over a cohort (Kumar et al. 2017, as HECKTOR 2022).

    Args:
        intersections, volumes (sequence of float ≥ 0, one per case): ``|A∩B|`` and ``|A|+|B|``, both in voxels or both
            in ml.

    Returns:
        float in [0, 1], or None: None when no case has a voxel of the class in either mask.

    >>> aggregated_dice([1.0, 0.0], [4.0, 6.0])
    0.2
    >>> aggregated_dice([0.0], [0.0]) is None
    True
    """
    if len(intersections) != len(volumes):
        raise ValueError(f"{len(intersections)} intersections and {len(volumes)} volumes")
    total = float(np.sum(volumes))
    return 2 * float(np.sum(intersections)) / total if total > 0 else None


def f1_score(tp: int, fp: int, fn: int) -> Score:
    """F1 = 2TP / (2TP + FP + FN) from counts; None when all are 0 (nothing to find, nothing predicted).

    >>> f1_score(3, 1, 1), f1_score(0, 2, 0), f1_score(0, 0, 0)
    (0.75, 0.0, None)
    """
    if min(tp, fp, fn) < 0:
        raise ValueError(f"counts must be ≥ 0; got TP {tp}, FP {fp}, FN {fn}")
    denominator = 2 * tp + fp + fn
    return 2 * tp / denominator if denominator else None
