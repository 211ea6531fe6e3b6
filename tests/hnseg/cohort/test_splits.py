"""Splits: complete, disjoint, stratified, reproducible; the reference is never validated or tested on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import get_args

import pytest

from hnseg.cohort.checked_cohort import CheckedCase, load_check
from hnseg.cohort.reference import BEST_CASE, NO_CASE, ReferenceChoice, choose_reference
from hnseg.cohort.splits import (
    leave_one_center_out,
    load_split_cohort,
    load_splits,
    make_splits,
    published_splits,
    save_splits,
)
from hnseg.errors import CohortError, WorkDirError
from hnseg.preprocessing.harmonizer_store import fit_harmonizer
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.prepare import Harmonization
from hnseg.settings.split import SplitConfig
from hnseg.workdir import change_config, load_config
from tests.facts import raises_naming
from tests.hnseg.cohort.split_cases import cohort, leaks, published


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


def test_centers_are_spread_evenly():
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
    with raises_naming(CohortError, 3, "5 folds", 6):
        make_splits(cohort(4, "A"), SplitConfig(folds=5, test_fraction=0.2), 0)


def test_survives_its_file(tmp_path):
    splits = make_splits(cohort(), SplitConfig(), 0)
    save_splits(splits, tmp_path)
    assert load_splits(tmp_path) == splits


def centers_of(ids) -> set[str]:
    return {case_id.split("-")[0] for case_id in ids}


def test_a_test_list_takes_the_place_of_the_fraction():
    wanted = ["A-003", "B-004", "C-000"]
    splits = make_splits(cohort(), SplitConfig(folds=5, test_fraction=0.5), 0, test=wanted)
    assert splits.test == tuple(wanted)
    assert leaks(splits) == set()
    placed = [*splits.test, *(i for fold in splits.folds for i in fold), splits.reference]
    assert sorted(placed) == sorted(case.id for case in cohort())


def test_an_unknown_test_case_is_refused():
    with raises_naming(CohortError, "A-03"):
        make_splits(cohort(), SplitConfig(), 0, test=["A-03", "B-004"])


def test_every_center_is_held_out_once_where_no_reference_is_needed():
    splits = leave_one_center_out(cohort(), SplitConfig(test_fraction=0.2), 0, reference=NO_CASE)
    assert splits.held_out == ("A", "B", "C")
    assert (splits.reference, splits.always_train, splits.notes) == (None, (), ())
    for fold, center in enumerate(splits.held_out):
        assert centers_of(splits.folds[fold]) == {center}
        assert centers_of(splits.train_ids(fold)) == set("ABC") - {center}
    assert leaks(splits) == set()
    assert len(splits.test) == 12


def test_the_references_center_is_never_held_out():
    cases = [*cohort(10), *(CheckedCase(f"B-9{i}", "B", "ct", "pet", "label", 1.0, 1.0, True, 1.0) for i in range(3))]
    splits = leave_one_center_out(cases, SplitConfig(test_fraction=0), 0, reference=BEST_CASE)
    assert splits.held_out == ("A", "C")
    assert splits.reference.startswith("B-")
    assert centers_of(splits.always_train) == {"B"}
    for fold, center in enumerate(splits.held_out):
        training = splits.train_ids(fold)
        assert centers_of(splits.folds[fold]) == {center}
        assert {case.id for case in cases if case.center != center} == set(training)
    assert "B is the center of the reference" in splits.notes[0]


NAMED = ReferenceChoice(case_id="B-013")  # neither the best in view nor of the largest center


@pytest.mark.parametrize("fraction", [0, 0.2, 0.9])
def test_a_named_reference_trains_in_every_fold(fraction):
    config = SplitConfig(folds=3, test_fraction=fraction)
    splits = make_splits(cohort(), config, 0, reference=NAMED)
    assert splits.reference == "B-013"
    assert leaks(splits) == set()
    assert len(splits.test) == round(fraction * 60)
    assert sorted(splits.all_ids()) == sorted(case.id for case in cohort())


def test_a_named_reference_keeps_its_center_in_training():
    splits = leave_one_center_out(cohort(), SplitConfig(), 0, reference=NAMED)
    assert (splits.reference, splits.held_out) == ("B-013", ("A", "C"))
    assert leaks(splits) == set()


def test_a_named_reference_is_taken_out_of_a_published_fold():
    cases = cohort(6)
    splits = published_splits(cases, published([c.id for c in cases]), 0, reference=ReferenceChoice(case_id="C-003"))
    assert splits.reference == "C-003"
    assert all("C-003" in splits.train_ids(fold) for fold in range(3))
    assert any("C-003" in note for note in splits.notes)
    with raises_naming(CohortError, "C-003"):
        published_splits(cases, published([c.id for c in cases[:9]]), 0, reference=ReferenceChoice(case_id="C-003"))


@pytest.mark.parametrize("split", [make_splits, leave_one_center_out])
def test_a_reference_on_the_test_list_is_refused(split):
    with raises_naming(CohortError, "B-013"):
        split(cohort(), SplitConfig(), 0, reference=NAMED, test=["A-001", "B-013"])
    with raises_naming(CohortError, "B-013"):
        ids = [case.id for case in cohort()]
        published_splits(cohort(), published(ids), 0, reference=NAMED, test=["B-013"])


def test_without_a_reference_every_labeled_case_is_validated_once():
    splits = make_splits(cohort(), SplitConfig(test_fraction=0), 0, reference=NO_CASE)
    assert (splits.reference, splits.test) == (None, ())
    assert sorted(i for fold in splits.folds for i in fold) == sorted(case.id for case in cohort())
    few = cohort(5, "A")
    assert len(make_splits(few, SplitConfig(test_fraction=0), 0, reference=NO_CASE).folds) == 5
    with raises_naming(CohortError, 5, 6):
        make_splits(few, SplitConfig(test_fraction=0), 0)


@pytest.mark.parametrize(("centers", "reference"), [("A", NO_CASE), ("AB", BEST_CASE)])
def test_too_few_centers(centers, reference):
    with raises_naming(CohortError, f"{len(centers)} center(s)", ", ".join(centers), 3 if reference.needed else 2):
        leave_one_center_out(cohort(5, centers), SplitConfig(), 0, reference=reference)


@pytest.mark.parametrize("splitter", ["stratified", "centers", "published"])
def test_every_kind_survives_its_file(tmp_path, splitter):
    cases = cohort(6)
    made = {
        "stratified": lambda: make_splits(cases, SplitConfig(), 0),
        "centers": lambda: leave_one_center_out(cases, SplitConfig(), 0, reference=BEST_CASE),
        "published": lambda: published_splits(cases, published([c.id for c in cases]), 0, reference=NO_CASE),
    }[splitter]()
    save_splits(made, tmp_path)
    assert load_splits(tmp_path) == made
    assert made.kind == splitter


def test_a_damaged_or_leaking_file_is_refused(tmp_path):
    save_splits(make_splits(cohort(), SplitConfig(), 0), tmp_path)
    path = tmp_path / "splits.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "test": [*content["test"], content["folds"][0][0]]}))
    with raises_naming(WorkDirError, content["folds"][0][0], path=path):
        load_splits(tmp_path)
    path.write_text(json.dumps({"seed": 0}))
    with raises_naming(WorkDirError, "test:", "`hnseg split`", path=path):
        load_splits(tmp_path)
    path.write_text("{")
    with raises_naming(WorkDirError, "JSON", "`hnseg split`", path=path):
        load_splits(tmp_path)


def test_the_runs_number_of_folds_is_that_of_its_split(run):
    assert len(load_splits(run).folds) == load_config(run).split.folds == 2
    splits = leave_one_center_out(cohort(4, "ABCD"), SplitConfig(), 0, reference=NO_CASE)
    save_splits(splits, run)
    assert load_config(run).split.folds == 4


@pytest.mark.parametrize("harmonization", ["none", "spectrum-align"])
def test_a_run_without_a_reference_can_be_prepared(run, no_pictures, harmonization):
    """Every center is held out once; a center that a fold has never seen is aligned scan by scan, and says so."""
    config = change_config(run, {"prepare.harmonization": harmonization, "split.test_fraction": 0.0})
    found = load_check(run)
    reference = choose_reference(config.prepare, found, run)
    splits = leave_one_center_out(found.cases, config.split, config.seed, reference=reference)
    save_splits(splits, run)
    assert prepare_cohort(run) == []
    held_out = open_case(run / "prepared" / splits.folds[0][0]).record.harmonization
    if harmonization == "spectrum-align":
        assert "no training case of center ALFA" in held_out.folds["fold_0"].fallback
        assert held_out.folds["fold_0"].target == "BETA"


@pytest.mark.parametrize("harmonization", get_args(Harmonization))
def test_only_harmonizations_to_a_reference_need_one(run, harmonization):
    change_config(run, {"prepare.harmonization": harmonization})
    splits = load_splits(run)
    save_splits(replace(splits, reference=None, always_train=(splits.reference,)), run)
    (run / "reference.npz").unlink()
    (run / "sites").mkdir()
    if load_config(run).prepare.needs_reference:
        with raises_naming(WorkDirError, "reference"):
            fit_harmonizer(run)
        save_splits(splits, run)
    fit_harmonizer(run)  # the reference alone was missing


@pytest.mark.parametrize(("name", "value"), [("split.folds", 3), ("split.test_fraction", 0.4)])
def test_settings_of_the_split_cannot_be_edited_after_it(prepared_run, tmp_path, name, value):
    for file in ("config.yaml", "run.json", "check.json", "splits.json"):
        shutil.copy(prepared_run / file, tmp_path)
    kept = load_split_cohort(tmp_path)
    change_config(tmp_path, {"seed": 9})  # trains differently on the same folds
    assert load_split_cohort(tmp_path) == kept
    change_config(tmp_path, {name: value})
    with raises_naming(WorkDirError, name, "splits.json", path=tmp_path / "config.yaml"):
        load_split_cohort(tmp_path)
    save_splits(replace(kept.splits, settings=None), tmp_path)  # published folds: dealt by nobody
    assert load_split_cohort(tmp_path).splits.folds == kept.splits.folds


def test_the_number_of_folds_of_a_split_by_center_is_that_of_the_centers(prepared_run, tmp_path):
    for file in ("config.yaml", "run.json", "check.json", "splits.json"):
        shutil.copy(prepared_run / file, tmp_path)
    save_splits(replace(load_splits(tmp_path), kind="centers"), tmp_path)
    change_config(tmp_path, {"split.folds": 7})
    assert load_split_cohort(tmp_path).splits.kind == "centers"
