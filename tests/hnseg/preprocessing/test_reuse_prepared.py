"""A run begun from another one shares its prepared cases on disk, and neither can change the other's files."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import load_splits, save_splits
from hnseg.errors import CohortError, HnsegError, OptionError, WorkDirError
from hnseg.preprocessing import reuse_prepared
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.preprocessing.reuse_prepared import begin_run_from, share_prepared
from hnseg.workdir import load_config, load_run_record
from tests.facts import raises_naming

SHARED_PARTS = ("prepared", "reference.npz", "reference.json")


def contents(work: Path) -> dict[str, tuple[int, bytes]]:
    """Inode and bytes of everything that two runs may share."""
    paths = [path for part in SHARED_PARTS for path in ([work / part] if "." in part else (work / part).rglob("*"))]
    files = {str(path.relative_to(work)): path for path in paths if path.is_file()}
    return {name: (path.stat().st_ino, path.read_bytes()) for name, path in files.items()}


def changed(work: Path, **sections):
    """Settings of a run with some values in their place, by section."""
    config = load_config(work, tuned=False)
    updates = {
        name: getattr(config, name).model_copy(update=values) if isinstance(values, dict) else values
        for name, values in sections.items()
    }
    return config.model_copy(update=updates)


@pytest.fixture
def new(tmp_path):
    return tmp_path / "new"


def test_other_settings_of_training_share_every_case_and_copy_nothing(run, new):
    before = contents(run)
    config = changed(run, train={"epochs": 7})
    shared = begin_run_from(run, new, config)
    cases = [case.id for case in load_check(run).cases]
    assert (shared.check, shared.split, shared.cases, len(shared.prepared)) == (True, True, 8, 8)
    assert str(shared).startswith("8 of 8 ")
    assert contents(new) == before  # the same inodes
    assert load_splits(new) == load_splits(run)
    assert load_config(new) == config
    assert prepare_cohort(new) == []
    assert contents(new) == before  # nothing was prepared again
    assert contents(run) == before
    assert begin_run_from(run, new, config).prepared == tuple(sorted(cases))


@pytest.mark.parametrize("first", ["old", "new"])
def test_preparing_one_run_again_leaves_the_other_untouched(run, new, first):
    begin_run_from(run, new, changed(run))
    before = contents(run)
    one, other = (run, new) if first == "old" else (new, run)
    again = [f"prepared/{case.id}/" for case in load_check(one).cases[:2]]
    for place in again:
        (one / place / "case.json").unlink()
    (one / "reference.json").unlink()
    assert prepare_cohort(one) == []
    assert contents(other) == before
    written = {name for name, found in contents(one).items() if found[0] != before[name][0]}
    assert written == {name for name in before if name.startswith((*again, "reference"))}


def test_a_changed_preparation_shares_none_and_keeps_the_folds(run, new):
    shared = begin_run_from(run, new, changed(run, prepare={"valid_hu": (-1024.0, 2000.0)}))
    assert (shared.check, shared.split, shared.prepared) == (True, True, ())
    assert load_splits(new) == load_splits(run)
    assert not (new / "prepared").exists()
    assert not (new / "reference.npz").exists()


def test_a_changed_crop_is_checked_again_on_the_same_folds(run, new):
    shared = begin_run_from(run, new, changed(run, prepare={"crop": "center"}))
    assert (shared.check, shared.split, shared.prepared) == (False, True, ())
    assert {path.name for path in new.iterdir() if path.name[0] != "."} == {"config.yaml", "run.json", "splits.json"}
    assert not (new / "check.json").exists()


def test_another_seed_deals_again_and_shares_what_fits_once_it_is_split(run, new):
    config = changed(run, seed=5)
    assert begin_run_from(run, new, config).split is False
    assert not (new / "splits.json").exists()
    old = load_splits(run)
    save_splits(replace(old, seed=5, folds=old.folds[::-1]), new)
    assert len(share_prepared(run, new)) == 8
    assert len(begin_run_from(run, new, config).prepared) == 8


def test_an_interrupted_beginning_is_repeated(run, new, monkeypatch):
    linked = []

    def link(source, folder):
        if len(linked) == 3:
            raise KeyboardInterrupt
        linked.append(folder)
        real(source, folder)

    real = reuse_prepared.link_case
    monkeypatch.setattr(reuse_prepared, "link_case", link)
    with pytest.raises(KeyboardInterrupt):
        begin_run_from(run, new, changed(run))
    monkeypatch.undo()
    assert len(list((new / "prepared").glob("*/case.json"))) == 3
    assert len(begin_run_from(run, new, changed(run)).prepared) == 8
    assert contents(new) == contents(run)


def test_a_beginning_that_stopped_between_its_first_two_files_is_repeated(run, new):
    begin_run_from(run, new, changed(run))
    (new / "run.json").unlink()
    with pytest.raises(WorkDirError):  # of other settings: what lies there is kept
        begin_run_from(run, new, changed(run, train={"epochs": 9}))
    for path in ("check.json", "check.html", "splits.json"):
        (new / path).unlink()
    shutil.rmtree(new / "prepared")
    for path in new.glob("reference.*"):
        path.unlink()
    assert len(begin_run_from(run, new, changed(run)).prepared) == 8


def test_cases_that_are_out_of_date_are_not_shared(run, new):
    ids = [case.id for case in load_check(run).cases]
    (run / "prepared" / ids[0] / "case.json").unlink()
    shutil.rmtree(run / "prepared" / ids[1] / "data.zarr")
    assert begin_run_from(run, new, changed(run)).prepared == tuple(sorted(ids[2:]))


def test_another_reference_leaves_its_fold_and_all_else_stays(run, new):
    old = load_splits(run)
    other = old.folds[0][0]
    begin_run_from(run, new, changed(run, prepare={"reference": other}))
    split = load_splits(new)
    assert split.reference == other
    assert split.always_train == (old.reference,)
    assert split.folds == (old.folds[0][1:], *old.folds[1:])
    assert (split.test, split.all_train_ids()) == (old.test, old.all_train_ids())


def test_without_a_harmonization_the_reference_goes_on_to_train(run, new):
    begin_run_from(run, new, changed(run, prepare={"harmonization": "none"}))
    assert load_splits(new) == load_splits(run)


def test_a_reference_that_is_a_test_case_is_refused(run, new):
    test = load_splits(run).test[0]
    with raises_naming(CohortError, "prepare.reference", test):
        begin_run_from(run, new, changed(run, prepare={"reference": test}))


def _itself(run, new):
    return OptionError, {"work": run}, run


def _inside(run, new):
    return OptionError, {"work": run / "variants" / "a"}, run


def _no_run(run, new):
    (run / "run.json").unlink()
    return WorkDirError, {}, "run.json"


def _older_version(run, new):
    (run / "run.json").write_text('{"version": 0}')
    return WorkDirError, {}, run / "run.json"


def _other_data(run, new):
    return OptionError, {"data_root": run}, run


def _gone_data(run, new):
    path = run / "run.json"
    path.write_text(path.read_text().replace(load_run_record(run).data_root, str(run / "nowhere")))
    return CohortError, {}, run / "nowhere"


def _fewer_cases(run, new):
    for name in ("check.json",):
        path = run / name
        path.write_text(path.read_text().replace("ALFA-001", "GONE-001"))
    return WorkDirError, {}, "GONE-001"


def _changed_file(run, new):
    record = next((run / "prepared").glob("ALFA-002/case.json"))
    text = record.read_text()
    at = text.index('"sha256": "') + 11
    record.write_text(f"{text[:at]}{'0' * 64}{text[at + 64 :]}".replace('"modified_ns": 1', '"modified_ns": 2'))
    return WorkDirError, {}, "ALFA-002"


def _another_run_there(run, new):
    begin_run_from(run, new, changed(run, train={"epochs": 9}))
    return WorkDirError, {}, "train.epochs"


def _something_else_there(run, new):
    new.mkdir()
    (new / "notes.txt").write_text("mine")
    return WorkDirError, {}, new


@pytest.mark.parametrize(
    "spoil",
    [
        *(_itself, _inside, _no_run, _older_version, _other_data, _gone_data, _fewer_cases, _changed_file),
        *(_another_run_there, _something_else_there),
    ],
)
def test_what_cannot_be_begun_from_is_refused(run, new, spoil):
    config = changed(run)
    error, arguments, fact = spoil(run, new)
    before = sorted(path for path in new.rglob("*")) if new.exists() else None
    with raises_naming(error, fact):
        begin_run_from(run, **{"work": new, "config": config, **arguments})
    assert (sorted(path for path in new.rglob("*")) if new.exists() else None) == before


def test_another_file_system_is_refused_with_the_reason(run, new, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    with raises_naming(WorkDirError, run, new):
        begin_run_from(run, new, changed(run))
    assert not list((new / "prepared").glob("*"))


def test_a_full_disk_is_no_matter_of_file_systems(run, new, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        begin_run_from(run, new, changed(run))
    assert not isinstance(caught.value, HnsegError)
