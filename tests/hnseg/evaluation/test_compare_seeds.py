"""Differences over several seeds: sums of a case over its repetitions, and cases as the unit of the interval."""

from __future__ import annotations

import pytest

from hnseg.errors import CaseError, HnsegError
from hnseg.evaluation.cohort_scores import summarize
from hnseg.evaluation.compare import Scored, compare
from hnseg.evaluation.compare_seeds import compare_seeds
from hnseg.evaluation.rules import Rules
from hnseg.evaluation.score_specs import SUM_SCORES
from tests.facts import raises_naming
from tests.hnseg.evaluation.test_compare import cohort, side

KEYS = [spec.key for spec in SUM_SCORES]
A, B = (side(name, cohort(8, quality, seed)) for name, quality, seed in (("a", 0.5, 1), ("b", 0.7, 2)))


def without(scored, *case_ids):
    return Scored(scored.name, scored.rules, {k: v for k, v in scored.cases.items() if k not in case_ids})


def test_one_seed_is_a_comparison():
    one, plain = compare_seeds([(A, B)], resamples=200), compare(A, B, resamples=200)
    assert (one.n_cases, one.n_seeds, one.left_out) == (8, 1, ())
    for key in KEYS:
        found, known = one.scores[key], plain.scores[key]
        assert (found.a, found.b, found.difference) == pytest.approx((known.a, known.b, known.difference))
        assert found.interval == pytest.approx(known.interval)


def test_a_seed_that_repeats_another_adds_no_certainty():
    once, twice = compare_seeds([(A, B)], resamples=200), compare_seeds([(A, B)] * 2, resamples=200)
    assert twice.n_seeds == 2
    for key in KEYS:
        assert twice.scores[key].difference == pytest.approx(once.scores[key].difference)
        assert twice.scores[key].interval == pytest.approx(once.scores[key].interval)


def test_scores_over_seeds_are_those_of_all_their_cases_together():
    other = [side(name, cohort(8, quality, seed)) for name, quality, seed in (("a", 0.4, 3), ("b", 0.9, 4))]
    result = compare_seeds([(A, B), tuple(other)], resamples=20)
    for letter, scored in (("a", (A, other[0])), ("b", (B, other[1]))):
        together = summarize([case for part in scored for case in part.cases.values()])
        for key in KEYS:
            assert getattr(result.scores[key], letter) == pytest.approx(together[key])


def test_pairs_are_the_cases_that_both_sides_have():
    result = compare_seeds([(without(A, "C-0"), without(B, "C-1")), (without(A, "C-0"), B)], resamples=20)
    assert (result.n_cases, result.left_out) == (7, ("C-0", "C-1"))
    again = compare_seeds([(without(A, "C-0", "C-1"), without(B, "C-0", "C-1")), (without(A, "C-0"), B)], resamples=20)
    assert result.scores == again.scores


def test_a_difference_is_told_in_one_cell():
    cell = str(compare_seeds([(A, B)], resamples=50).scores["gtvn_dice_agg"])
    difference, low, high = (float(part) for part in cell.replace("[", "").replace("]", "").replace(",", "").split())
    assert low <= difference <= high


def test_refusals():
    with pytest.raises(HnsegError):
        compare_seeds([])
    with pytest.raises(HnsegError):
        compare_seeds([(A, B), (Scored("a", Rules(min_lesion_ml=1.0), A.cases), B)])
    with raises_naming(HnsegError, 1):
        compare_seeds([(without(A, *[f"C-{k}" for k in range(7)]), B)])
    others = side("b", cohort(9, 0.5))
    with pytest.raises(CaseError):
        compare_seeds([(A, others)])
