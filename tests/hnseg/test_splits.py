"""Splits: complete, disjoint, stratified, reproducible; the reference is never validated or tested on."""

from __future__ import annotations

import pytest

from hnseg.cohort import CheckedCase
from hnseg.config import SplitConfig
from hnseg.errors import CohortError
from hnseg.splits import load_splits, make_splits, save_splits


def cohort(per_centre: int = 20, centres: str = "ABC") -> list[CheckedCase]:
    return [
        CheckedCase(f"{c}-{i:03}", c, "ct", "pet", "label", float(i % 8 > 0), float(i % 5 > 0), i > 1, 1.0)
        for c in centres
        for i in range(per_centre)
    ]


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_every_case_has_one_place(seed):
    cases = cohort()
    splits = make_splits(cases, SplitConfig(folds=5, test_fraction=0.2), seed)
    placed = [*splits.test, *(i for fold in splits.folds for i in fold), splits.reference]
    assert sorted(placed) == sorted(case.id for case in cases)
    for fold, held_out in enumerate(splits.folds):
        training = set(splits.train_ids(fold))
        assert splits.reference in training
        assert not training & (set(held_out) | set(splits.test))
        assert len(training) + len(held_out) + len(splits.test) == len(cases)


def test_centres_are_spread_evenly():
    splits = make_splits(cohort(), SplitConfig(folds=5, test_fraction=0.2), 0)
    counts = [[sum(i[0] == c for i in ids) for c in "ABC"] for ids in (splits.test, *splits.folds)]
    assert counts[0] == [4, 4, 4]
    assert all(2 <= n <= 4 for fold in counts[1:] for n in fold)


def test_same_seed_same_splits_other_seed_other_splits():
    config = SplitConfig()
    assert make_splits(cohort(), config, 3) == make_splits(list(reversed(cohort())), config, 3)
    assert make_splits(cohort(), config, 3).test != make_splits(cohort(), config, 4).test


def test_the_reference_has_its_head_in_view():
    splits = make_splits(cohort(), SplitConfig(), 0)
    assert splits.reference not in {f"{c}-00{i}" for c in "ABC" for i in (0, 1)}


def test_cases_without_a_label_are_test_cases():
    cases = [*cohort(), CheckedCase("X-001", "X", "ct", "pet", None, None, None, True, 1.0)]
    assert "X-001" in make_splits(cases, SplitConfig(), 0).test


def test_too_few_cases():
    with pytest.raises(
        CohortError, match="3 labelled cases are left for training; 5 folds and a reference need at least 6"
    ):
        make_splits(cohort(4, "A"), SplitConfig(folds=5, test_fraction=0.2), 0)


def test_survives_its_file(tmp_path):
    splits = make_splits(cohort(), SplitConfig(), 0)
    save_splits(splits, tmp_path)
    assert load_splits(tmp_path) == splits
