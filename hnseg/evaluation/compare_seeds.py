"""Comparison of two ways to train that were repeated with several seeds, on the same patients.

Seeds are not patients: two runs of one patient say little more about other patients than one does. So the sums of a
case are added over the seeds, and the interval comes from resampling cases, each with all its repetitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hnseg.errors import HnsegError
from hnseg.evaluation.cohort_scores import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    ScoreSums,
    bootstrap_indices,
    count_draws,
    interval,
    scores_from_sums,
    sufficient_statistics,
)
from hnseg.evaluation.compare import Scored, pair_cases
from hnseg.evaluation.records import Interval
from hnseg.evaluation.rules import Score
from hnseg.evaluation.score_specs import SUM_SCORES


@dataclass(frozen=True)
class PooledDifference:
    """One score over all seeds.

    Attributes:
        a, b: Its values.
        difference: b − a; None where one is undefined.
        interval: 95 % of the difference, over cases.
    """

    a: Score
    b: Score
    difference: Score
    interval: Interval | None

    def __str__(self) -> str:
        if self.difference is None:
            return "undefined"
        bounds = self.interval and [format(bound, "+.3f") for bound in self.interval if bound is not None]
        return f"{self.difference:+.3f}" + (f" [{', '.join(bounds)}]" if bounds else "")


@dataclass(frozen=True)
class SeedComparison:
    """Two ways, each repeated with the same seeds.

    Attributes:
        n_cases: Cases that both ways have with one seed at least.
        left_out: Cases that only one way has, sorted.
        n_seeds: Repetitions.
        scores: By key, see :data:`hnseg.evaluation.score_specs.SUM_SCORES`.
    """

    n_cases: int
    left_out: tuple[str, ...]
    n_seeds: int
    scores: dict[str, PooledDifference]


def compare_seeds(
    pairs: Sequence[tuple[Scored, Scored]], *, seed: int = BOOTSTRAP_SEED, resamples: int = RESAMPLES
) -> SeedComparison:
    """Compare two ways over several seeds, by the cases that both have.

    With one pair the differences are those of :func:`hnseg.evaluation.compare.compare`.

    Args:
        pairs: For each seed, the scores (a, b) of the two ways; differences are b − a.
        seed: Of the resampling.
        resamples: Of the bootstrap.

    Raises:
        HnsegError: No pair, other rules on either side, or fewer than two cases in common.
        CaseError: A case whose truth differs between the sides.
    """
    if not pairs:
        raise HnsegError("no pair of scores to compare")
    if len({side.rules for pair in pairs for side in pair}) > 1:
        raise HnsegError("the scores were computed by different rules: evaluate all by the same ones")
    matched = [pair_cases(a, b, common=True) for a, b in pairs]
    ids = list(dict.fromkeys(case_id for found, _ in matched for case_id in found))
    rules = pairs[0][0].rules
    sums = [_sum_over_seeds([pair[side] for pair in pairs], [found for found, _ in matched], ids) for side in (0, 1)]
    counts = count_draws(bootstrap_indices(len(ids), seed, resamples))
    values = [scores_from_sums(side.sum(axis=0), rules) for side in sums]
    samples = [scores_from_sums(counts @ side, rules) for side in sums]
    scores = {}
    for spec in SUM_SCORES:
        a, b = (None if np.isnan(side[spec.key]) else float(side[spec.key]) for side in values)
        difference = None if a is None or b is None else b - a
        bounds = None if difference is None else interval(samples[1][spec.key] - samples[0][spec.key])
        scores[spec.key] = PooledDifference(a, b, difference, bounds)
    return SeedComparison(len(ids), tuple(sorted({i for _, left in matched for i in left})), len(pairs), scores)


def _sum_over_seeds(sides: Sequence[Scored], known: Sequence[Sequence[str]], ids: Sequence[str]) -> ScoreSums:
    """The sums of each case (n,), added over the seeds that have it."""
    place = {case_id: k for k, case_id in enumerate(ids)}
    total = np.zeros((len(ids), ScoreSums.zero().values.size))
    for side, case_ids in zip(sides, known, strict=True):
        found = sufficient_statistics([side.cases[case_id] for case_id in case_ids], side.rules)
        total[[place[case_id] for case_id in case_ids]] += found.values
    return ScoreSums(total)
