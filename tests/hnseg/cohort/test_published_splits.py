"""Published folds: taken as they are, leaks refused, what does not fit said."""

from __future__ import annotations

import pytest

from hnseg.cohort.checked_cohort import CheckedCase
from hnseg.cohort.published_splits import PublishedFold, read_folds, read_ids
from hnseg.cohort.reference import BEST_CASE, NO_CASE
from hnseg.cohort.splits import published_splits
from hnseg.errors import CohortError
from tests.facts import raises_naming
from tests.hnseg.cohort.split_cases import cohort, leaks, published


def test_published_folds_are_taken_as_they_are():
    cases = cohort(6)
    ids = [case.id for case in cases]
    splits = published_splits(cases, published([*ids, "Z-001", "Z-002"]), 0, reference=NO_CASE)
    assert splits.folds == tuple(tuple(sorted(ids[k::3])) for k in range(3))
    assert (splits.test, splits.reference) == ((), None)
    assert leaks(splits) == set()
    assert splits.notes == ("2 IDs of the list are no usable case of the cohort and left out: Z-001, Z-002",)


def test_the_reference_leaves_its_published_validation_part_and_says_so():
    cases = cohort(6)
    ids = [case.id for case in cases]
    splits = published_splits(cases, published(ids), 0, reference=BEST_CASE)
    assert splits.reference not in {i for fold in splits.folds for i in fold}
    assert all(splits.reference in splits.train_ids(fold) for fold in range(3))
    assert f"{splits.reference} is the reference and trains in every fold" in splits.notes[0]
    assert leaks(splits) == set()


def test_cases_that_no_published_fold_names_are_test_cases_and_told():
    cases = [*cohort(6), CheckedCase("X-001", "X", "ct", "pet", None, None, None, True, 1.0)]
    ids = [case.id for case in cases if case.label][:-2]
    splits = published_splits(cases, published(ids), 0, reference=NO_CASE)
    assert splits.test == ("C-004", "C-005", "X-001")
    assert "2 labeled cases are in no fold of the list; they are test cases: C-004, C-005" in splits.notes


def test_a_published_case_that_is_only_trained_on_stays_so():
    ids = [case.id for case in cohort(6)]
    folds = [PublishedFold((*fold.train, "A-000"), fold.val) for fold in published(ids[1:])]
    splits = published_splits(cohort(6), folds, 0, reference=NO_CASE, test=["B-001"])
    assert splits.always_train == ("A-000",)
    assert all("A-000" in splits.train_ids(fold) for fold in range(3))
    assert splits.test == ("B-001",)
    assert leaks(splits) == set()


def test_published_folds_that_do_not_fit_are_refused():
    ids = [case.id for case in cohort(6)]
    first, *others = published(ids)
    kept = tuple(i for i in first.train if i != "A-001")
    with raises_naming(CohortError, "fold 0", "A-001"):
        published_splits(cohort(6), [PublishedFold(kept, first.val), *others], 0, reference=NO_CASE)
    with raises_naming(CohortError, "fold 0, 1", "0 of", 2):
        published_splits(cohort(6), published(["Z-1", "Z-2"], 2), 0, reference=BEST_CASE)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("{", ["JSON"]),
        ("{}", ['{"train": [IDs], "val": [IDs]}']),
        ('[{"train": ["A"], "val": ["B"]}]', ['{"train": [IDs], "val": [IDs]}']),
        ('[{"train": ["A"]}, {"train": ["A"], "val": []}]', ['{"train": [IDs], "val": [IDs]}']),
        ('[{"train": ["A-1"], "val": ["A-1"]}, {"train": [], "val": []}]', ["A-1", "fold 0"]),
        ('[{"train": [], "val": ["A-1"]}, {"train": [], "val": ["A-1"]}]', ["A-1", "folds 0 and 1"]),
    ],
)
def test_a_wrong_list_of_folds_is_refused(tmp_path, text, facts):
    (tmp_path / "splits_final.json").write_text(text)
    with raises_naming(CohortError, *facts, path=tmp_path / "splits_final.json"):
        read_folds(tmp_path / "splits_final.json")


def test_lists_of_cases(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text("# held out\nA-001\n\n  B-002  # the second\n")
    assert read_ids(path) == ["A-001", "B-002"]
    path.write_text("# nothing\n")
    with raises_naming(CohortError, "ID", path=path):
        read_ids(path)
    with raises_naming(CohortError, path=tmp_path / "none.txt"):
        read_ids(tmp_path / "none.txt")
