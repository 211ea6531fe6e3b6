"""The harmonizer's files state what they were fitted on; another split, file or setting fits them again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import ssimh
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import load_splits, save_splits
from hnseg.errors import CaseError, WorkDirError
from hnseg.images.image_io import read_image, write_image
from hnseg.preprocessing.harmonizer_store import fit_harmonizer, load_harmonizer
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.preprocessing.prepared_case import open_case
from hnseg.preprocessing.prepared_cohort import open_cohort
from hnseg.workdir import change_config
from tests.facts import names


def swap_reference(work):
    """A new split in which the reference becomes a test case and a former test case the reference."""
    splits = load_splits(work)
    old, new = splits.reference, splits.test[0]
    save_splits(replace(splits, reference=new, test=(old, *splits.test[1:])), work)
    return old, new


def set_harmonization(work, method):
    change_config(work, {"prepare.harmonization": method})


def test_a_new_split_replaces_the_reference_everywhere(run, no_pictures):
    before = ssimh.ReferenceSpectrum.load(run / "reference.npz").content_hash
    old, new = swap_reference(run)
    with pytest.raises(WorkDirError) as caught:
        load_harmonizer(run)
    assert names(str(caught.value), run / "reference.npz")
    assert names(str(caught.value), "(case, files.ct")
    with pytest.raises(WorkDirError):
        open_cohort(run)
    assert prepare_cohort(run) == []
    reference = ssimh.ReferenceSpectrum.load(run / "reference.npz")
    assert reference.content_hash != before
    assert json.loads((run / "reference.json").read_text())["made_from"]["case"] == new
    harmonizer = load_harmonizer(run).digest
    for case in load_check(run).cases:
        record = open_case(run / "prepared" / case.id).record
        assert record.harmonization.reference == new
        assert record.made_from["harmonizer"] == harmonizer == f"{new}:{reference.content_hash}"
    own = open_case(run / "prepared" / new).record.harmonization.soft_tissue_mean_abs_hu
    other = open_case(run / "prepared" / old).record.harmonization.soft_tissue_mean_abs_hu
    assert own < 0.05 < other  # the old reference, a test case now, is harmonized like any other


def test_changed_files_of_the_reference_fit_it_again(run, tmp_path):
    case = next(case.as_case() for case in load_check(run).cases if case.id == load_splits(run).reference)
    own = shutil.copytree(case.ct.parent, tmp_path / "own")  # the cohort is read by other tests at the same time
    content = (run / "check.json").read_text()
    (run / "check.json").write_text(content.replace(str(case.ct.parent), str(own)))
    before = load_harmonizer(run).digest
    values, grid = read_image(case.ct, case.id)
    write_image(own / case.ct.name, values + 5, grid)
    with pytest.raises(WorkDirError) as caught:
        load_harmonizer(run)
    assert "files.ct" in str(caught.value)
    assert fit_harmonizer(run).digest != before


def test_a_damaged_reference_is_refused_and_fitted_again(run):
    before = load_harmonizer(run).digest
    (run / "reference.npz").write_bytes(b"damaged")
    with pytest.raises(WorkDirError) as caught:
        load_harmonizer(run)
    assert "outputs.reference" in str(caught.value)
    assert fit_harmonizer(run).digest == before
    (run / "reference.json").write_text('{"made_from": 3')
    with pytest.raises(WorkDirError):
        load_harmonizer(run)
    assert fit_harmonizer(run).digest == before


def test_a_new_split_fits_the_matched_reference_again(run):
    set_harmonization(run, "histogram-match")
    fit_harmonizer(run)
    before = np.load(run / "reference_ct.npy")
    _, new = swap_reference(run)
    assert fit_harmonizer(run).digest.startswith(f"{new}:")
    assert not np.array_equal(np.load(run / "reference_ct.npy"), before)


@pytest.fixture(scope="module")
def _fitted(prepared_run, tmp_path_factory):
    work = tmp_path_factory.mktemp("fitted") / "work"
    shutil.copytree(prepared_run, work)
    set_harmonization(work, "spectrum-align")
    fit_harmonizer(work)
    return work


@pytest.fixture
def aligned(_fitted, tmp_path):
    """A run of one's own with fitted rows of its training cases."""
    return shutil.copytree(_fitted, tmp_path / "work")


def test_sites_hold_rows_of_training_cases_alone(aligned):
    old, new = swap_reference(aligned)
    with pytest.raises(WorkDirError) as caught:
        load_harmonizer(aligned)
    assert new in str(caught.value)
    fit_harmonizer(aligned)
    names = {path.stem for path in (aligned / "sites").iterdir()}
    assert names == set(load_splits(aligned).all_train_ids())
    assert old not in names


@pytest.mark.parametrize("content", ['{"row": 3}', "[]", "{", '{"made_from": {}, "outputs": {}, "row": [1, 2]}'])
def test_a_damaged_row_is_fitted_again(aligned, content):
    before = load_harmonizer(aligned).digest
    path = aligned / "sites" / f"{load_splits(aligned).folds[0][0]}.json"
    path.write_text(content)
    with pytest.raises(WorkDirError) as caught:
        load_harmonizer(aligned)
    assert path.name in str(caught.value)
    assert fit_harmonizer(aligned).digest == before


def test_cases_that_vanish_or_come_are_named(run):
    content = json.loads((run / "check.json").read_text())
    lost = content["cases"].pop()["id"]
    (run / "check.json").write_text(json.dumps(content))
    splits = load_splits(run)
    for read in (prepare_cohort, open_cohort, load_harmonizer):
        with pytest.raises(WorkDirError, match=lost):
            read(run)
    rest = {"test": tuple(i for i in splits.test if i != lost)}
    rest["folds"] = tuple(tuple(i for i in fold if i != lost) for fold in splits.folds)
    content["cases"].append({**content["cases"][0], "id": "NEW-001"})
    (run / "check.json").write_text(json.dumps(content))
    save_splits(replace(splits, **rest), run)
    with pytest.raises(WorkDirError, match=r"NEW-001"):
        open_cohort(run)


def test_prepared_cases_are_opened_only_if_they_are_current(run):
    cohort = open_cohort(run)
    case_id = cohort.splits.folds[0][0]
    assert cohort.open_case(case_id).id == case_id
    path = run / "prepared" / case_id / "case.json"
    record = json.loads(path.read_text())
    for part, change in (
        ("harmonizer", {"harmonizer": "other"}),
        ("settings.spacing_mm", {"settings": {**record["made_from"]["settings"], "spacing_mm": 1.0}}),
        ("computation", {"computation": 0}),
        ("files.pet", {"files": {**record["made_from"]["files"], "pet": None}}),
    ):
        path.write_text(json.dumps({**record, "made_from": {**record["made_from"], **change}}))
        with pytest.raises(CaseError) as caught:
            cohort.open_case(case_id)
        assert (caught.value.case_id, part in caught.value.reason) == (case_id, True)
    path.unlink()
    with pytest.raises(CaseError) as caught:
        cohort.open_cases([case_id])
    assert caught.value.case_id == case_id


@pytest.mark.parametrize("change", [{"crop": 1}, {"ct_grid": {}}, {"harmonization": None}, {"id": 3}, {"extra": 1}])
def test_a_record_of_another_shape_names_its_field_and_is_prepared_again(run, no_pictures, change):
    path = run / "prepared" / load_splits(run).test[0] / "case.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(WorkDirError) as caught:
        open_case(path.parent)
    assert str(path) in str(caught.value)
    assert next(iter(change)) in str(caught.value)
    assert prepare_cohort(run) == []
    assert open_case(path.parent).id == path.parent.name


def test_a_case_that_can_no_longer_be_prepared_is_left_out_and_its_old_form_is_gone(run, no_pictures, caplog):
    splits = load_splits(run)
    bad = next(case for case in load_check(run).cases if case.id == splits.folds[0][0])
    text = (run / "check.json").read_text()
    (run / "check.json").write_text(text.replace(bad.pet, bad.pet.replace("__PT", "__GONE")))
    assert [failure.case_id for failure in prepare_cohort(run)] == [bad.id]
    cohort = open_cohort(run)
    with pytest.raises(CaseError) as caught:
        cohort.open_case(bad.id)
    assert caught.value.case_id == bad.id
    assert cohort.failure(bad.id) is not None
    assert [case.id for case in cohort.open_cases(splits.folds[0])] == [i for i in splits.folds[0] if i != bad.id]
    assert bad.id in caplog.text
    (run / "check.json").write_text(text)
    assert prepare_cohort(run) == []
    assert open_cohort(run).open_case(bad.id).id == bad.id
