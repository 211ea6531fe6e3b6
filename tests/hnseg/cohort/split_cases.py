"""Cases and published folds to split, and the leaks of a split."""

from __future__ import annotations

from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.published_splits import PublishedFold


def cohort(per_center: int = 20, centers: str = "ABC") -> list[CheckedCase]:
    return [
        CheckedCase(f"{c}-{i:03}", c, "ct", "pet", "label", float(i % 8 > 0), float(i % 5 > 0), i > 1, 1.0)
        for c in centers
        for i in range(per_center)
    ]


def leaks(splits) -> set[str]:
    """Cases that a fold trains on although it validates on them or they are test cases."""
    return {
        case_id
        for fold, held_out in enumerate(splits.folds)
        for case_id in set(splits.train_ids(fold)) & (set(held_out) | set(splits.test))
    }


def published(ids, count=3) -> list[PublishedFold]:
    vals = [tuple(ids[k::count]) for k in range(count)]
    return [PublishedFold(tuple(i for i in ids if i not in val), val) for val in vals]
