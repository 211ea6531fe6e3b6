"""The nearest site of each scan, with the scan left out of its own site; and the same with shuffled names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimh.site_benchmark.features import Features

SHUFFLES = 200
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NearestSite:
    """How well scans are distinguished by the nearest mean of a site.

    Args:
        accuracy: mean over the sites of the share of their scans that are named rightly, 0 … 1; None where fewer than
            two sites have two scans.
        correct: number of scans named rightly.
        judged: number of scans that could be left out of a site of at least one other.
        chance: mean of ``accuracy`` when the names of the sites are shuffled.
        chance_high: 95th percentile of the same.
        guesses: (n,) the site of each scan, None where it was not judged.
    """

    accuracy: float | None
    correct: int
    judged: int
    chance: float | None
    chance_high: float | None
    guesses: tuple[str | None, ...]


def classify(features: Features, sites: Sequence[str], *, seed: int = 0) -> NearestSite:
    """Name the site of every scan.

    Args:
        features: of the scans.
        sites: name of each scan's site.
        seed: of the shuffling.

    >>> values = np.array([[0.0], [0.2], [0.1], [5.0], [5.2], [9.0]])
    >>> found = classify(Features(values, np.ones(6, bool)), ["a", "a", "a", "b", "b", "c"])
    >>> found.accuracy, found.judged, found.guesses
    (1.0, 5, ('a', 'a', 'a', 'b', 'b', None))
    """
    used = features.measured
    names, labels = np.unique(np.asarray(sites)[used], return_inverse=True)
    guesses: list[str | None] = [None] * len(sites)
    sizes = np.bincount(labels, minlength=len(names)) if len(names) else np.zeros(0, dtype=np.intp)
    if np.count_nonzero(sizes >= 2) < 2 or features.values.shape[1] == 0:
        return NearestSite(None, 0, 0, None, None, tuple(guesses))
    values = features.values[used]
    nearest, judged = _nearest(values, labels, len(names))
    for place, guess, is_judged in zip(np.flatnonzero(used), nearest, judged, strict=True):
        if is_judged:
            guesses[int(place)] = str(names[guess])
    rng = np.random.default_rng(seed)
    shuffled = []
    for _ in range(SHUFFLES):
        mixed = rng.permutation(labels)
        shuffled.append(_balanced(*_nearest(values, mixed, len(names)), mixed))
    right = (nearest == labels) & judged
    return NearestSite(
        accuracy=_balanced(nearest, judged, labels),
        correct=int(right.sum()),
        judged=int(judged.sum()),
        chance=float(np.mean(shuffled)),
        chance_high=float(np.quantile(shuffled, 0.95)),
        guesses=tuple(guesses),
    )


def _nearest(values: FloatArray, labels: NDArray[np.intp], count: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Nearest mean of a site, the own one without the scan; and which scans have such a mean."""
    members = np.eye(count)[labels]
    sizes, sums = members.sum(axis=0), members.T @ values
    distances = np.linalg.norm(values[:, None] - (sums / np.maximum(sizes, 1)[:, None])[None], axis=2)
    own = sizes[labels] - 1
    without = (sums[labels] - values) / np.maximum(own, 1)[:, None]
    distances[np.arange(len(values)), labels] = np.linalg.norm(values - without, axis=1)
    return distances.argmin(axis=1), own > 0


def _balanced(nearest: NDArray[np.intp], judged: NDArray[np.bool_], labels: NDArray[np.intp]) -> float:
    present = np.unique(labels[judged])
    return float(np.mean([np.mean(nearest[judged & (labels == label)] == label) for label in present]))
