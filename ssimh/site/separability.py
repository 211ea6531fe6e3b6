"""Separability of hospitals by a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist


@dataclass(frozen=True)
class Separability:
    """Result of :func:`site_separability`.

    Args:
        knn_accuracy: balanced accuracy (mean of the sites' recalls), 0 … 1, under cross-validation.
        chance: balanced accuracy of guessing, 1 / number of sites.
        mmd: unbiased squared maximum mean discrepancy, mean over the pairs of sites; about 0 for equal
            distributions (it may be slightly negative), at most 2.
        mmd_pairs: the same for every pair, under ``"site a | site b"``.
        n_neighbors, folds, n_subjects, n_sites: what it was computed with.
    """

    knn_accuracy: float
    chance: float
    mmd: float
    mmd_pairs: dict[str, float]
    n_neighbors: int
    folds: int
    n_subjects: int
    n_sites: int


def site_separability(
    features: ArrayLike, sites: Sequence[Any] | NDArray[Any], *, n_neighbors: int = 5, folds: int = 5, seed: int = 0
) -> Separability:
    """How well the site can be read off the features: k-nearest neighbors and RBF-MMD.

    The two feature-level scores of the DomainATM toolbox (Guan & Liu 2023, doi 10.1016/j.neuroimage.2023.119863), with
    stratified cross-validation in place of its single 60/40 split. Features are standardized, for the neighbors with
    mean and deviation of the training part only; the MMD kernel (Gretton et al. 2012) has the median distance as width.

    Args:
        features: (subjects, features) numbers, for instance histograms, radiomics or network activations.
        sites: one label per subject.
        n_neighbors: k; ties are decided by the nearest neighbor.
        folds: parts of the cross-validation, at most the number of subjects of the smallest site.
        seed: of the shuffling.

    Returns:
        A :class:`Separability`; harmonization has worked when accuracy comes down to chance and MMD to 0.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, fewer than two sites, a site with fewer
            subjects than folds, or fewer training subjects than neighbors.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> apart = rng.normal(0, 1, (40, 3)) + np.repeat([[0.0], [9.0]], 20, axis=0)
    >>> site_separability(apart, ["A"] * 20 + ["B"] * 20).knn_accuracy
    1.0
    """
    table = np.asarray(features, dtype=np.float64)
    names, labels = np.unique(np.asarray(sites), return_inverse=True)
    if table.ndim != 2 or len(table) != len(labels) or table.shape[1] < 1:
        raise ValueError(
            "features must be (subjects, features) with one site label per subject; given "
            f"{table.shape} for {len(labels)} labels."
        )
    if not np.isfinite(table).all():
        raise ValueError(f"features hold {int((~np.isfinite(table)).sum())} NaN or infinite value(s).")
    sizes = np.bincount(labels)
    if len(names) < 2:
        raise ValueError(f"at least two sites are needed; given only {names.tolist()}.")
    if not 2 <= folds <= sizes.min():
        smallest = names[int(sizes.argmin())]
        raise ValueError(
            f"folds={folds} must be within 2 … {sizes.min()}, the number of subjects of the smallest site ({smallest})."
        )
    fold_of = _stratified_folds(labels, folds, seed)
    fewest = len(labels) - int(np.bincount(fold_of).max())
    if not 1 <= n_neighbors <= fewest:
        raise ValueError(f"n_neighbors={n_neighbors} must be within 1 … {fewest}, the smallest training part.")

    hits = np.zeros(len(labels), dtype=bool)
    for fold in range(folds):
        test = fold_of == fold
        train = ~test
        mean, deviation = _moments(table[train])
        guesses = _nearest(
            (table[train] - mean) / deviation, labels[train], (table[test] - mean) / deviation, n_neighbors
        )
        hits[test] = guesses == labels[test]
    recalls = [hits[labels == number].mean() for number in range(len(names))]
    pairs = _mmd_pairs(table, labels, [str(name) for name in names])
    return Separability(
        knn_accuracy=float(np.mean(recalls)),
        chance=1 / len(names),
        mmd=float(np.mean(list(pairs.values()))),
        mmd_pairs=pairs,
        n_neighbors=n_neighbors,
        folds=folds,
        n_subjects=len(labels),
        n_sites=len(names),
    )


def _moments(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    deviation = table.std(axis=0)
    return table.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _stratified_folds(labels: NDArray[np.intp], folds: int, seed: int) -> NDArray[np.intp]:
    rng = np.random.default_rng(seed)
    fold_of = np.empty(len(labels), dtype=np.intp)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        fold_of[members] = (np.arange(len(members)) + rng.integers(folds)) % folds
    return fold_of


def _nearest(
    train: NDArray[np.float64], labels: NDArray[np.intp], test: NDArray[np.float64], k: int
) -> NDArray[np.intp]:
    order = np.argsort(cdist(test, train), axis=1, kind="stable")[:, :k]
    guesses = np.empty(len(test), dtype=np.intp)
    for number, neighbors in enumerate(labels[order]):
        votes = np.bincount(neighbors)
        winners = np.flatnonzero(votes == votes.max())
        guesses[number] = next(label for label in neighbors if label in winners)
    return guesses


def _mmd_pairs(table: NDArray[np.float64], labels: NDArray[np.intp], names: list[str]) -> dict[str, float]:
    mean, deviation = _moments(table)
    scaled = (table - mean) / deviation
    squared = cdist(scaled, scaled, "sqeuclidean")
    between = squared[np.triu_indices(len(squared), 1)]
    width = float(np.median(between[between > 0])) if (between > 0).any() else 1.0
    kernel = np.exp(-squared / (2 * width))
    return {
        f"{names[a]} | {names[b]}": _mmd(kernel, labels == a, labels == b)
        for a, b in combinations(range(len(names)), 2)
    }


def _mmd(kernel: NDArray[np.float64], first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    def within(members: NDArray[np.bool_]) -> float:
        block = kernel[np.ix_(members, members)]
        return float((block.sum() - np.trace(block)) / (len(block) * (len(block) - 1)))

    return within(first) + within(second) - 2 * float(kernel[np.ix_(first, second)].mean())
