"""Compare two sets of scores of the same cases: differences, paired intervals and paired tests.

Both sides were scored by :mod:`hnseg.evaluation.evaluate` under the same rules. The cases are the pairs:

* the interval of a difference comes from resampling cases, the same draw for both sides (paired bootstrap);
* the p-value of a cohort score comes from exchanging the two sides case by case (paired permutation test). It holds for
  aggregated scores too, which have no value per case that a rank test could take. Every exchange is counted up to
  :data:`EXACT` cases, random ones above;
* beside it stands the Wilcoxon signed-rank test of the case's own score, for readers who expect it. It asks another
  question: it weighs every patient alike, where an aggregated score weighs by volume or by lesion.

The three scores that the challenge ranks by are tested at once, so theirs are also given corrected (Holm).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hnseg.errors import CaseError, CohortError, HnsegError, listed
from hnseg.evaluation.case_scores import CaseScores
from hnseg.evaluation.cohort_scores import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    SCORES,
    SURFACE_SCORES,
    bootstrap_indices,
    interval,
    known_median,
    resampled_scores,
    row_nanmean,
    scores_from_sums,
    sufficient_statistics,
    summarize,
    surface_values,
)
from hnseg.evaluation.overlap import Rules

PERMUTATIONS = 10_000
EXACT = 12  # cases: 4,096 exchanges
SMALLER_IS_BETTER = ("gtvp_hd95_median_mm", "gtvn_hd95_median_mm")
FAR_MM = 1e6  # stands for an infinite surface distance where only ranks count

CASE_SCORE: dict[str, Callable[[CaseScores], float | None]] = {
    "gtvp_dice_mean": lambda case: case.gtvp_dice,
    "gtvn_dice_agg": lambda case: case.gtvn_dice,
    "gtvn_f1_agg": lambda case: case.gtvn_f1,
    "gtvp_dice_agg": lambda case: case.gtvp.dice,
    "gtvp_surface_dice_mean": lambda case: case.gtvp.surface_dice,
    "gtvn_surface_dice_mean": lambda case: case.gtvn.surface_dice,
    "gtvp_hd95_median_mm": lambda case: FAR_MM if case.gtvp.exactly_one_empty else case.gtvp.hd95_mm,
    "gtvn_hd95_median_mm": lambda case: FAR_MM if case.gtvn.exactly_one_empty else case.gtvn.hd95_mm,
}


@dataclass(frozen=True)
class Scored:
    """One side of a comparison: its name, the rules it was scored by, and its cases by ID."""

    name: str
    rules: Rules
    cases: Mapping[str, CaseScores]


def read_scores(content: Mapping[str, Any], name: str, method: str = "ensemble") -> Scored:
    """The cases of a ``metrics.json``, as written for a folder or for a work directory.

    Args:
        content: The parsed file.
        name: What to call this side, and its file in messages.
        method: Which part of a work directory's file: ``ensemble``, ``validation``, ``threshold_baseline``,
            ``empty_baseline``.

    Raises:
        HnsegError: The content is not what evaluate writes, or has no such part.
    """
    part: Any = content
    if "cases" not in content:
        parts = [key for key, value in content.items() if isinstance(value, dict) and "cases" in value]
        if method not in parts:
            raise HnsegError(f"{name} has no scores of {method!r}; it has {', '.join(parts) or 'none at all'}")
        part, name = content[method], f"{name} ({method})"
    try:
        cases = [CaseScores.from_dict(row) for row in part["cases"]]
        rules = Rules(**content["rules"])
    except (KeyError, TypeError, ValueError) as error:
        raise HnsegError(
            f"{name} is not a metrics.json of this version ({error!r}): run `hnseg evaluate` again"
        ) from error
    return Scored(name, rules, {case.case_id: case for case in cases})


def read_scores_file(path: Path, method: str = "ensemble") -> Scored:
    """:func:`read_scores` of a file, or of the ``metrics.json`` in a work directory."""
    path = path / "metrics.json" if path.is_dir() else path
    if not path.is_file():
        raise HnsegError(f"{path} does not exist: run `hnseg evaluate` first")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise HnsegError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise HnsegError(f"{path} is not what `hnseg evaluate` writes")
    return read_scores(content, str(path), method)


def compare(
    a: Scored,
    b: Scored,
    *,
    common: bool = False,
    seed: int = BOOTSTRAP_SEED,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
) -> dict[str, Any]:
    """Compare two sets of scores, case by case.

    Args:
        a, b: Scored.
        common: Compare the cases that both have and name the others, instead of refusing.
        seed, resamples, permutations: Int.

    Returns:
        dict, JSON-ready: ``a``, ``b`` (names), ``n_cases``, ``left_out``, ``rules``, ``method`` and ``scores``: for
        every score ``a``, ``b``, ``difference`` (b − a), ``interval`` (95 %), ``p`` (permutation), ``p_holm`` (headline
        scores only), ``p_wilcoxon``, ``n_pairs`` (of the Wilcoxon test) and ``better`` (``"a"``, ``"b"`` or None, by
        the value alone).

    Raises:
        HnsegError: Other rules on either side, or fewer than two cases in common.
        CohortError: Other cases on either side.
        CaseError: A case whose truth differs between the sides.
    """
    ids, left_out = _pairs(a, b, common)
    pairs = [[side.cases[case_id] for case_id in ids] for side in (a, b)]
    values = [summarize(cases, a.rules) for cases in pairs]
    draws = bootstrap_indices(len(ids), seed, resamples)
    sample_a, sample_b = (resampled_scores(cases, draws, a.rules) for cases in pairs)
    swaps, exact = _exchanges(len(ids), seed, permutations)
    p = _permutation_p(pairs[0], pairs[1], swaps, exact, a.rules)
    holm = _holm({name: p[name] for name in a.rules.headline})
    rows: dict[str, Any] = {}
    for name in (*SCORES, *SURFACE_SCORES):
        first, second = (side[name] for side in values)
        difference = None if first is None or second is None else second - first
        with np.errstate(invalid="ignore"):  # both infinite
            moved = interval(sample_b[name] - sample_a[name])
        wilcoxon, n_pairs = _wilcoxon(pairs[0], pairs[1], name)
        rows[name] = {
            "a": first,
            "b": second,
            "difference": difference,
            "interval": moved if difference is not None else None,
            "p": p[name] if difference is not None else None,
            "p_holm": holm.get(name),
            "p_wilcoxon": wilcoxon,
            "n_pairs": n_pairs,
            "better": _better(name, difference),
        }
    method = {
        "seed": seed,
        "resamples": resamples,
        "exchanges": len(swaps),
        "exact": exact,
        "interval": "95 % percentile of the paired bootstrap over cases",
        "p": "two-sided paired permutation test, sides exchanged case by case",
    }
    sides = {"a": a.name, "b": b.name, "n_cases": len(ids), "left_out": left_out}
    return {**sides, "rules": a.rules.as_dict(), "method": method, "scores": rows}


def _pairs(a: Scored, b: Scored, common: bool) -> tuple[list[str], list[str]]:
    """The cases to compare and those that only one side has."""
    other = sorted(name for name, value in a.rules.as_dict().items() if b.rules.as_dict()[name] != value)
    if other:
        told = ", ".join(f"{name} {getattr(a.rules, name)} and {getattr(b.rules, name)}" for name in other)
        raise HnsegError(f"{a.name} and {b.name} were scored by other rules ({told}): evaluate both by the same ones")
    ids = [case_id for case_id in a.cases if case_id in b.cases]
    only_a, only_b = ([i for i in x.cases if i not in y.cases] for x, y in ((a, b), (b, a)))
    if (only_a or only_b) and not common:
        told = "; ".join(f"only {side.name} has {listed(ids)}" for side, ids in ((a, only_a), (b, only_b)) if ids)
        raise CohortError(f"the cases differ: {told}; --common compares those that both have")
    if len(ids) < 2:
        raise HnsegError(f"{a.name} and {b.name} have {len(ids)} case(s) in common; a comparison needs at least 2")
    for case_id in ids:
        first, second = a.cases[case_id], b.cases[case_id]
        for name in ("gtvp", "gtvn"):
            volumes = [getattr(case, name).truth_vox * case.voxel_ml for case in (first, second)]
            if not math.isclose(*volumes, rel_tol=1e-6):
                told = f"{volumes[0]:.4g} ml in {a.name}, {volumes[1]:.4g} ml in {b.name}"
                raise CaseError(case_id, f"the two sides were scored against another truth: its {name} has {told}")
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
    table_a, table_b = sufficient_statistics(a, rules), sufficient_statistics(b, rules)
    change = swaps.astype(np.float64) @ (table_b - table_a)
    new_a = scores_from_sums(table_a.sum(axis=0) + change, rules)
    new_b = scores_from_sums(table_b.sum(axis=0) - change, rules)
    old_a, old_b = (scores_from_sums(table.sum(axis=0)[None], rules) for table in (table_a, table_b))
    differences = {name: (new_b[name] - new_a[name], float((old_b[name] - old_a[name])[0])) for name in SCORES}
    for name in SURFACE_SCORES:
        first, second = surface_values(a, name), surface_values(b, name)
        middle = row_nanmean if name.endswith("mean") else known_median
        with np.errstate(invalid="ignore"):  # both infinite
            moved = middle(np.where(swaps, first, second)) - middle(np.where(swaps, second, first))
            seen = middle(second[None]) - middle(first[None])
        differences[name] = (moved, float(seen[0]))
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


def _wilcoxon(a: Sequence[CaseScores], b: Sequence[CaseScores], name: str) -> tuple[float | None, int]:
    """Signed-rank test of the cases' own scores where both sides have one; 1 where no pair differs."""
    if name not in CASE_SCORE:
        return None, 0
    score = CASE_SCORE[name]
    found = [(score(x), score(y)) for x, y in zip(a, b, strict=True)]
    differences = np.asarray([y - x for x, y in found if x is not None and y is not None])
    moved = differences[differences != 0]
    if not moved.size:
        return (1.0 if differences.size else None), int(differences.size)
    return float(stats.wilcoxon(moved).pvalue), int(differences.size)


def _better(name: str, difference: float | None) -> str | None:
    if not difference:
        return None
    return "b" if (difference < 0) == (name in SMALLER_IS_BETTER) else "a"
