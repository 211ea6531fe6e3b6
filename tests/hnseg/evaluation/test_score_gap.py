"""The gap of two sets of cases: second minus first, with an interval from two cases up, undefined where a side is."""

from __future__ import annotations

import pytest

from hnseg.evaluation.cohort_scores import summarize
from hnseg.evaluation.rules import Rules
from hnseg.evaluation.score_gap import measure_gaps
from hnseg.evaluation.score_specs import headline
from tests.hnseg.evaluation.test_compare import cohort

RULES = Rules()
SPECS = headline(RULES)


def test_the_gap_is_second_minus_first_and_its_interval_holds_it():
    first, second = cohort(12, 0.9), cohort(9, 0.3, seed=2)
    gaps = measure_gaps(first, second, SPECS, RULES, resamples=200)
    before, after = summarize(first, RULES), summarize(second, RULES)
    for gap in gaps:
        assert gap.difference == pytest.approx(after[gap.spec.key] - before[gap.spec.key])
        low, high = gap.interval
        assert low < gap.difference < high
    back = measure_gaps(second, first, SPECS, RULES, resamples=200)
    assert [gap.difference for gap in back] == [-gap.difference for gap in gaps]


def test_the_interval_widens_with_fewer_cases_and_ends_with_one():
    few, many = cohort(4, 0.5), cohort(40, 0.5)
    widths = []
    for other in (many, few):
        low, high = measure_gaps(many, other, SPECS[:1], RULES, resamples=200)[0].interval
        widths.append(high - low)
    assert widths[0] < widths[1]
    assert all(gap.interval is None for gap in measure_gaps(many, few[:1], SPECS, RULES))
    assert all(gap.difference is None for gap in measure_gaps(many, [], SPECS, RULES))
