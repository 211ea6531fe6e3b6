"""Folds of one run serve another one: only the reference subject moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.keep_folds import keep_folds
from hnseg.cohort.reference import BEST_CASE, NO_CASE, ReferenceChoice
from hnseg.cohort.splits import Splits
from hnseg.errors import CohortError
from tests.facts import raises_naming

VIEWS = {"A-1": 0.9, "A-2": 1.0, "A-3": 0.8, "B-1": 0.7, "T-1": 1.0}
CASES = [CheckedCase(name, name[0], "ct", "pet", "label", 1.0, 1.0, True, view) for name, view in VIEWS.items()]
PLAIN = Splits(0, ("T-1",), (("A-1", "A-2"), ("A-3", "B-1")), None)
ASIDE = replace(PLAIN, folds=(("A-1",), ("A-3", "B-1")), reference="A-2")


def test_no_reference_is_needed_or_it_is_the_same():
    assert keep_folds(ASIDE, CASES, NO_CASE) == ASIDE  # it goes on to train in every fold
    assert keep_folds(ASIDE, CASES, BEST_CASE) == ASIDE
    assert keep_folds(ASIDE, CASES, ReferenceChoice(case_id="A-2")) == ASIDE


def test_a_first_reference_is_the_best_in_view_of_what_trains():
    assert keep_folds(PLAIN, CASES, BEST_CASE) == ASIDE


def test_another_reference_trains_beside_the_one_before():
    moved = keep_folds(ASIDE, CASES, ReferenceChoice(case_id="B-1"))
    assert (moved.reference, moved.always_train, moved.folds) == ("B-1", ("A-2",), (("A-1",), ("A-3",)))
    assert moved.all_train_ids() == ASIDE.all_train_ids()
    back = keep_folds(moved, CASES, ReferenceChoice(case_id="A-2"))
    assert (back.reference, back.always_train, back.folds) == ("A-2", ("B-1",), moved.folds)


@pytest.mark.parametrize(
    ("splits", "case_id", "facts"),
    [
        (ASIDE, "T-1", ("T-1",)),
        (ASIDE, "A-1", ("A-1", "fold 0")),
        (replace(PLAIN, kind="centers", held_out=("A", "B")), "B-1", ("B-1", "B")),
    ],
)
def test_a_reference_that_would_leak_or_empty_a_fold_is_refused(splits, case_id, facts):
    with raises_naming(CohortError, "prepare.reference", *facts):
        keep_folds(splits, CASES, ReferenceChoice(case_id=case_id))
