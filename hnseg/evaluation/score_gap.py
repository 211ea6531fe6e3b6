"""The gap of a score between two sets of different cases, with its interval: validation and an external cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hnseg.evaluation.case_scores import CaseScores
from hnseg.evaluation.cohort_scores import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    bootstrap_indices,
    interval,
    resampled_scores,
    summarize,
)
from hnseg.evaluation.records import Interval
from hnseg.evaluation.rules import Rules, Score
from hnseg.evaluation.score_specs import ScoreSpec


@dataclass(frozen=True)
class ScoreGap:
    """A score of the second set minus that of the first.

    Attributes:
        spec: The score.
        difference: In its unit; None where it is undefined on one side.
        interval: 95 % of the difference; None where there is none.
    """

    spec: ScoreSpec
    difference: Score
    interval: Interval | None


def measure_gaps(
    first: Sequence[CaseScores],
    second: Sequence[CaseScores],
    specs: Sequence[ScoreSpec],
    rules: Rules,
    *,
    seed: int = BOOTSTRAP_SEED,
    resamples: int = RESAMPLES,
) -> list[ScoreGap]:
    """Differences of two sets of cases that share no case.

    Intervals are percentiles of the differences between resamples of each set, drawn independently; they need at least
    two cases on both sides.

    Args:
        first, second: Cases; the gap is second minus first.
        specs: Scores to compare.
        rules: By which both were scored.
        seed: Of the resampling; the second set is drawn with the next one.
        resamples: Of each set.
    """
    before, after = summarize(first, rules), summarize(second, rules)
    drawn: dict[str, Interval | None] = {}
    if min(len(first), len(second)) >= 2:
        one = resampled_scores(first, bootstrap_indices(len(first), seed, resamples), rules)
        other = resampled_scores(second, bootstrap_indices(len(second), seed + 1, resamples), rules)
        with np.errstate(invalid="ignore"):  # both infinite
            drawn = {spec.key: interval(other[spec.key] - one[spec.key]) for spec in specs}
    gaps = []
    for spec in specs:
        values = before[spec.key], after[spec.key]
        known = values[0] is not None and values[1] is not None
        difference = values[1] - values[0] if known else None
        gaps.append(ScoreGap(spec, difference, drawn.get(spec.key) if known else None))
    return gaps
