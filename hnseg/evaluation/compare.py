"""Comparison of two sets of scores of the same cases: differences, paired intervals and paired tests.

Both sides were scored by :mod:`hnseg.evaluation.evaluate` under the same rules. The pairs are the cases:

* the interval of a difference comes from resampling cases, the same draw for both sides (paired bootstrap);
* the p-value of a cohort score comes from exchanging the two sides case by case (paired permutation test). It holds for
  aggregated scores too, which have no value per case that a rank test could take. Every exchange is counted up to
  :data:`EXACT` cases, random ones above;
* beside it stands the Wilcoxon signed-rank test of the case's own score, for readers who expect it. It asks another
  question: it weighs every patient alike, where an aggregated score weighs by volume or by lesion.

The three scores that the challenge ranks by are tested at once, so theirs are also given corrected (Holm).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.errors import CaseError, CohortError, HnsegError, listed
from hnseg.evaluation.case_scores import CaseScores
from hnseg.evaluation.cohort_scores import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    bootstrap_indices,
    interval,
    resampled_scores,
    row_statistic,
    scores_from_sums,
    sufficient_statistics,
    summarize,
    surface_values,
)
from hnseg.evaluation.records import RESULT_PARTS, FolderEvaluation, Interval, WorkdirEvaluation, read_metrics
from hnseg.evaluation.rules import Rules, Score
from hnseg.evaluation.score_specs import SUM_SCORES, SURFACE_SCORES, ScoreSpec, headline

PERMUTATIONS = 10_000
EXACT = 12  # cases: 4,096 exchanges
FAR_MM = 1e6  # stands for an infinite surface distance where only ranks count
COMPARED = (*SUM_SCORES, *SURFACE_SCORES)


@dataclass(frozen=True)
class Scored:
    """One side of a comparison.

    Attributes:
        name: What to call it.
        rules: By which it was scored.
        cases: By ID.
    """

    name: str
    rules: Rules
    cases: Mapping[str, CaseScores]


@dataclass(frozen=True)
class ScoreComparison:
    """One score on both sides.

    Attributes:
        a, b: Its values.
        difference: b − a; None where one is undefined.
        interval: 95 % of the difference; an infinite bound is None.
        p: Of the paired permutation test.
        p_holm: Corrected for the scores that the challenge ranks by; None for any other score.
        p_wilcoxon: Of the cases' own scores; None where a case has none.
        n_pairs: Cases in the Wilcoxon test.
        better: The better side by the value alone; None where they are equal or undefined.
    """

    a: Score
    b: Score
    difference: Score
    interval: Interval | None
    p: Score
    p_holm: Score
    p_wilcoxon: Score
    n_pairs: int
    better: Literal["a", "b"] | None


@dataclass(frozen=True)
class ComparisonMethod:
    """How a comparison was computed; ``exact``: every exchange of sides was counted."""

    seed: int
    resamples: int
    exchanges: int
    exact: bool
    interval: str = "95 % percentile of the paired bootstrap over cases"
    p: str = "two-sided paired permutation test, sides exchanged case by case"


@dataclass(frozen=True)
class ComparisonResult:
    """Two sets of scores of the same cases.

    Attributes:
        a, b: Names of the sides.
        n_cases: Cases compared.
        left_out: Cases that only one side has.
        rules: By which both sides were scored.
        method: How.
        scores: By key.
    """

    a: str
    b: str
    n_cases: int
    left_out: list[str]
    rules: Rules
    method: ComparisonMethod
    scores: dict[str, ScoreComparison]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def read_scores(result: WorkdirEvaluation | FolderEvaluation, name: str, method: str | None = None) -> Scored:
    """One side of a comparison from what evaluate found.

    Args:
        result: Of a folder of masks or of a work directory.
        name: What to call this side.
        method: Which part of a work directory's result, one of :data:`hnseg.evaluation.records.RESULT_PARTS` (None:
            ``ensemble``, or ``validation`` where a run has no test cases).

    Raises:
        HnsegError: There is no such part, or a folder of masks, which has no parts, is asked for one.
    """
    if isinstance(result, FolderEvaluation):
        if method is not None:
            raise HnsegError(f"{name} holds the scores of one folder of masks; it has no method {method!r} to choose")
        part, label = result, name
    else:
        method = method or result.main_method
        parts = [key for key in RESULT_PARTS if result[key] is not None]
        if method not in parts:
            raise HnsegError(f"{name} has no scores of {method!r}; it has {', '.join(parts)}")
        part, label = result[method], f"{name} ({method})"
    return Scored(label, result.rules, {row.case_id: row.scores() for row in part.cases})


def read_scores_file(path: Path, method: str | None = None) -> Scored:
    """:func:`read_scores` of a ``metrics.json``, or of the one in a work directory."""
    path = path / "metrics.json" if path.is_dir() else path
    return read_scores(read_metrics(path), str(path), method)


def compare(
    a: Scored,
    b: Scored,
    *,
    common: bool = False,
    seed: int = BOOTSTRAP_SEED,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
) -> ComparisonResult:
    """Compare two sets of scores, case by case.

    Args:
        a, b: The two sides; differences are b − a.
        common: Compare the cases that both have and name the others, instead of refusing.
        seed: Of the resampling.
        resamples: Of the bootstrap.
        permutations: Random exchanges where there are too many to count all.

    Raises:
        HnsegError: Other rules on either side, or fewer than two cases in common.
        CohortError: Other cases on either side.
        CaseError: A case whose truth differs between the sides.
    """
    ids, left_out = pair_cases(a, b, common=common)
    pairs = [[side.cases[case_id] for case_id in ids] for side in (a, b)]
    values = [summarize(cases, a.rules) for cases in pairs]
    draws = bootstrap_indices(len(ids), seed, resamples)
    sample_a, sample_b = (resampled_scores(cases, draws, a.rules) for cases in pairs)
    swaps, exact = _exchanges(len(ids), seed, permutations)
    p = _permutation_p(pairs[0], pairs[1], swaps, exact, a.rules)
    holm = _holm({spec.key: p[spec.key] for spec in headline(a.rules)})
    rows: dict[str, ScoreComparison] = {}
    for spec in COMPARED:
        first, second = (side[spec.key] for side in values)
        difference = None if first is None or second is None else second - first
        with np.errstate(invalid="ignore"):  # both infinite
            moved = interval(sample_b[spec.key] - sample_a[spec.key])
        wilcoxon, n_pairs = _wilcoxon(pairs[0], pairs[1], spec)
        rows[spec.key] = ScoreComparison(
            a=first,
            b=second,
            difference=difference,
            interval=moved if difference is not None else None,
            p=p[spec.key] if difference is not None else None,
            p_holm=holm.get(spec.key),
            p_wilcoxon=wilcoxon,
            n_pairs=n_pairs,
            better=_better(spec, difference),
        )
    method = ComparisonMethod(seed, resamples, len(swaps), exact)
    return ComparisonResult(a.name, b.name, len(ids), left_out, a.rules, method, rows)


def pair_cases(a: Scored, b: Scored, *, common: bool) -> tuple[list[str], list[str]]:
    """The cases to compare and those that only one side has."""
    other = sorted(name for name, value in a.rules.as_dict().items() if b.rules.as_dict()[name] != value)
    if other:
        both = ", ".join(f"{name} {getattr(a.rules, name)} and {getattr(b.rules, name)}" for name in other)
        raise HnsegError(f"{a.name} and {b.name} were scored by other rules ({both}): evaluate both by the same ones")
    ids = [case_id for case_id in a.cases if case_id in b.cases]
    only_a, only_b = ([i for i in x.cases if i not in y.cases] for x, y in ((a, b), (b, a)))
    if (only_a or only_b) and not common:
        lists = "; ".join(f"only {side.name} has {listed(ids)}" for side, ids in ((a, only_a), (b, only_b)) if ids)
        raise CohortError(f"the cases differ: {lists}; --common compares those that both have")
    if len(ids) < 2:
        raise HnsegError(f"{a.name} and {b.name} have {len(ids)} case(s) in common; a comparison needs at least 2")
    for case_id in ids:
        first, second = a.cases[case_id], b.cases[case_id]
        for lesion in LESION_CLASSES:
            volumes = [case.overlap(lesion.key).truth_vox * case.voxel_ml for case in (first, second)]
            if not math.isclose(*volumes, rel_tol=1e-6):
                both = f"{volumes[0]:.4g} ml in {a.name}, {volumes[1]:.4g} ml in {b.name}"
                raise CaseError(
                    case_id, f"the two sides were scored against another truth: its {lesion.name} has {both}"
                )
    return ids, [*only_a, *only_b]


def _exchanges(n: int, seed: int, permutations: int) -> tuple[NDArray[np.bool_], bool]:
    """Which cases are exchanged (permutations, n): all 2ⁿ ways, or random ones; and whether it is all."""
    if n <= EXACT:
        return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool), True
    return np.random.default_rng([seed, 1]).random((permutations, n)) < 0.5, False


def _permutation_p(
    a: Sequence[CaseScores], b: Sequence[CaseScores], swaps: NDArray[np.bool_], exact: bool, rules: Rules
) -> dict[str, float | None]:
    """Share of exchanges whose difference is at least as large as the one seen; None where that is undefined."""
    sums_a, sums_b = sufficient_statistics(a, rules), sufficient_statistics(b, rules)
    change = swaps.astype(np.float64) @ (sums_b - sums_a)
    new_a = scores_from_sums(sums_a.sum(axis=0) + change, rules)
    new_b = scores_from_sums(sums_b.sum(axis=0) - change, rules)
    old_a, old_b = (scores_from_sums(sums.sum(axis=0)[None], rules) for sums in (sums_a, sums_b))
    differences = {
        spec.key: (new_b[spec.key] - new_a[spec.key], float((old_b[spec.key] - old_a[spec.key])[0]))
        for spec in SUM_SCORES
    }
    for spec in SURFACE_SCORES:
        first, second = surface_values(a, spec), surface_values(b, spec)
        middle = row_statistic(spec)
        with np.errstate(invalid="ignore"):  # both infinite
            moved = middle(np.where(swaps, first, second)) - middle(np.where(swaps, second, first))
            seen = middle(second[None]) - middle(first[None])
        differences[spec.key] = (moved, float(seen[0]))
    found: dict[str, float | None] = {}
    for name, (moved_by, seen_difference) in differences.items():
        sizes = np.abs(moved_by[~np.isnan(moved_by)])
        if math.isnan(seen_difference) or not sizes.size:
            found[name] = None
            continue
        as_large = int(np.count_nonzero(sizes >= abs(seen_difference) - 1e-12))
        found[name] = as_large / sizes.size if exact else (as_large + 1) / (sizes.size + 1)
    return found


def _holm(p: Mapping[str, float | None]) -> dict[str, float | None]:
    """Holm's step-down correction of those p-values that exist."""
    known = sorted((value, name) for name, value in p.items() if value is not None)
    adjusted: dict[str, float | None] = dict.fromkeys(p)
    largest = 0.0
    for rank, (value, name) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        adjusted[name] = largest
    return adjusted


def _wilcoxon(a: Sequence[CaseScores], b: Sequence[CaseScores], spec: ScoreSpec) -> tuple[float | None, int]:
    """Signed-rank test of the cases' own scores where both sides have one; 1 where no pair differs."""
    value = spec.case_value
    if value is None:
        return None, 0
    found = [(value(x), value(y)) for x, y in zip(a, b, strict=True)]
    differences = np.asarray([min(y, FAR_MM) - min(x, FAR_MM) for x, y in found if x is not None and y is not None])
    moved = differences[differences != 0]
    if not moved.size:
        return (1.0 if differences.size else None), int(differences.size)
    return float(stats.wilcoxon(moved).pvalue), int(differences.size)


def _better(spec: ScoreSpec, difference: float | None) -> Literal["a", "b"] | None:
    if not difference or spec.higher_is_better is None:
        return None
    return "b" if (difference > 0) == spec.higher_is_better else "a"
