"""Harmonization of a run: what each method does to a case, and that no validation or test case takes part in it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

import ssimh
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import Splits, load_splits, save_splits
from hnseg.errors import WorkDirError
from hnseg.preprocessing.harmonization import FINAL, AlignSites, MatchToReference
from hnseg.preprocessing.harmonizer_store import describe_pet_resolution, fit_harmonizer, load_harmonizer
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.config import Config
from hnseg.settings.prepare import PrepareConfig
from hnseg.training.loop import train_fold
from hnseg.workdir import change_config, load_config
from tests.hnseg.fixtures import without_pictures

SHAPE = (30, 40, 40)
ALIGN = PrepareConfig(spacing_mm=6.25, harmonization="spectrum-align")
SEEN = np.ones(SHAPE, bool)


def neck(seed: int, factor: float = 1.0) -> np.ndarray:
    """A neck of fat around muscle, of random size, on a scanner of the given gain on HU + 1000."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: SHAPE[1], : SHAPE[2]]
    radius = np.hypot((y - 20) / rng.uniform(13, 15), (x - 20) / rng.uniform(14, 17)) + np.zeros((SHAPE[0], 1, 1))
    scan = np.where(radius < rng.uniform(0.6, 0.75), 45 + rng.normal(0, 5), np.where(radius < 1, -100.0, -1000.0))
    scan = np.where(scan > -900, (scan + 1000 + rng.normal(0, 10, SHAPE)) * factor - 1000, scan)
    return scan.astype(np.float32)


def row(seed: int, factor: float = 1.0) -> ssimh.SiteSpectrum:
    return ssimh.SiteSpectrum.fit([neck(seed, factor)], orientation="SPL")


@pytest.fixture(scope="module")
def aligner() -> AlignSites:
    """Two centers, the second 4 % brighter; five cases of the first, four of the second, one of each in the test."""
    centers = {f"A-{i}": "A" for i in range(6)} | {f"B-{i}": "B" for i in range(5)}
    subjects = {i: row(int(i[2:]) + 10 * (i[0] == "B"), 1.04 if i[0] == "B" else 1.0) for i in centers}
    splits = Splits(0, ("A-5", "B-4"), (("A-1", "A-2", "B-0"), ("A-3", "A-4", "B-1", "B-2", "B-3")), "A-0")
    known = {i: site for i, site in subjects.items() if i not in splits.test}
    return AlignSites(ALIGN, splits, centers, known)


def test_a_case_moves_to_the_target_center_and_the_target_stays(aligner):
    assert [aligner.target(version) for version in (FINAL, "fold_0", "fold_1")] == ["A", "A", "A"]
    bright, plain = neck(14, 1.04), neck(14)
    moved = aligner.harmonize(bright, SEEN, "B-4", "B")
    assert set(moved) == {FINAL}  # a test case has one version
    tissue = plain > -300
    before, after = np.abs(bright - plain)[tissue].mean(), np.abs(moved[FINAL].ct_hu - plain)[tissue].mean()
    assert after < 0.4 * before
    assert moved[FINAL].record.subjects == (4, 5)
    (kept,) = aligner.harmonize(plain, SEEN, "A-5", "A").values()
    np.testing.assert_array_equal(kept.ct_hu, plain)


def test_every_fold_has_its_own_version_without_its_validation_cases(aligner):
    made = aligner.harmonize(neck(12, 1.04), SEEN, "B-2", "B")
    assert set(made) == {FINAL, "fold_0", "fold_1"}
    assert made["fold_0"].record.subjects == (3, 3)  # B-1, B-2, B-3 against
    assert made["fold_1"].record.subjects == (1, 3)  # B-0 against


@pytest.mark.parametrize("fold", [0, 1])
def test_no_validation_or_test_case_takes_part(aligner, fold):
    """Replacing every case that a fold must not know by nonsense changes nothing in the fold's version."""
    hidden = set(aligner.splits.folds[fold]) | set(aligner.splits.test)
    strange = {i: row(99, 0.93) for i in hidden}
    other = replace(aligner, subjects={**aligner.subjects, **strange})
    scan = neck(12, 1.04)
    for case_id in ("A-1", "B-0", "B-2"):
        mine, theirs = (a.harmonize(scan, SEEN, case_id, case_id[0]) for a in (aligner, other))
        np.testing.assert_array_equal(mine[f"fold_{fold}"].ct_hu, theirs[f"fold_{fold}"].ct_hu)
    assert not np.array_equal(mine[FINAL].ct_hu, theirs[FINAL].ct_hu)  # the final version of B-2 may know them
    assert aligner.digest != other.digest


def test_an_unseen_center_is_aligned_scan_by_scan_and_says_so(aligner):
    bright = neck(21, 1.06)
    (made,) = aligner.harmonize(bright, SEEN, None, "ELSEWHERE").values()
    assert made.record.source == "this scan alone"
    assert "no training case of center ELSEWHERE" in made.record.fallback
    assert made.record.subjects == (1, 5)
    tissue = bright > -300
    assert np.abs(made.ct_hu - neck(21))[tissue].mean() < np.abs(bright - neck(21))[tissue].mean()


def test_a_scan_that_cannot_be_fitted_stays_as_it_is_and_says_so(aligner):
    bone = np.full(SHAPE, -1000, np.float32)
    bone[10:20, 10:20, 10:20] = 900
    for center in ("B", "ELSEWHERE"):
        (made,) = aligner.harmonize(bone, SEEN, None, center).values()
        np.testing.assert_array_equal(made.ct_hu, bone)
        assert made.record.fallback.startswith("not harmonized: ")
    (made,) = replace(aligner, subjects={}).harmonize(bone, SEEN, None, "B").values()
    assert made.record.fallback == "not harmonized: no training case could be fitted"


def test_histogram_matching_gives_the_body_the_references_histogram():
    reference, scan = neck(1), neck(2, 1.05)
    matcher = MatchToReference(PrepareConfig(harmonization="histogram-match"), np.rint(reference).astype(np.int16), "A")
    seen = SEEN.copy()
    seen[:5] = False
    made = matcher.harmonize(scan, seen, None, "B")[FINAL]
    body = (scan > -300) & seen
    for share in (0.2, 0.8):  # fat and muscle
        assert abs(np.quantile(made.ct_hu[body], share) - np.quantile(reference[reference > -300], share)) < 12
    np.testing.assert_array_equal(made.ct_hu[~seen], scan[~seen])
    empty = matcher.harmonize(np.full(SHAPE, -1000, np.float32), seen, None, "B")[FINAL]
    assert "no voxel" in empty.record.fallback


@pytest.fixture(scope="module")
def aligned_run(prepared_run, tmp_path_factory):
    """The shared run with spectrum-align instead of the swap, PET included."""
    work = tmp_path_factory.mktemp("aligned") / "work"
    shutil.copytree(prepared_run, work, ignore=shutil.ignore_patterns("prepared", "reference.npz"))
    change_config(work, {"prepare.harmonization": "spectrum-align", "prepare.pet_resolution": "align"})
    with without_pictures():
        assert prepare_cohort(work) == []
    return work


def test_an_aligned_run_keeps_a_version_per_fold_and_trains_on_it(aligned_run):
    splits = load_splits(aligned_run)
    assert {path.stem for path in (aligned_run / "sites").iterdir()} == set(splits.all_train_ids())
    folder = aligned_run / "prepared" / splits.folds[0][0]
    final, first, second = (open_case(folder, version) for version in ("final", "fold_0", "fold_1"))
    assert set(final.record.harmonization.folds) == {"fold_0", "fold_1"}
    assert final.image.shape == first.image.shape == second.image.shape
    for record in (final.record.harmonization, *final.record.harmonization.folds.values()):
        assert record.pet is not None
        assert record.pet.target in {"ALFA", "BETA"}
    assert final.record.normalization.pet_sd_suv > 0
    assert [line.count("center") for line in describe_pet_resolution(aligned_run)] == [1, 1]
    assert open_case(aligned_run / "prepared" / splits.test[0], "fold_0").record.harmonization.folds == {}
    assert train_fold(aligned_run, 0, device="cpu").is_file()


def test_preparing_again_changes_nothing_until_a_split_changes(aligned_run, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(aligned_run, work)
    times = {path: path.stat().st_mtime_ns for path in [*work.glob("prepared/*/case.json"), *work.glob("sites/*")]}
    assert prepare_cohort(work) == []
    assert {path: path.stat().st_mtime_ns for path in times} == times
    before = load_harmonizer(work).digest
    splits = load_splits(work)
    save_splits(replace(splits, folds=(splits.folds[1], splits.folds[0])), work)
    assert fit_harmonizer(work).digest != before


def test_a_harmonizer_that_was_not_fitted_is_named(prepared_run, tmp_path):
    for method, name in (
        ("spectrum-swap", "reference.npz"),
        ("histogram-match", "reference_ct.npy"),
        ("spectrum-align", "sites"),
    ):
        work = tmp_path / method
        work.mkdir()
        for file in ("config.yaml", "run.json", "check.json", "splits.json"):
            shutil.copy(prepared_run / file, work)
        change_config(work, {"prepare.harmonization": method})
        with pytest.raises(WorkDirError, match=f"{name}.*hnseg prepare"):
            load_harmonizer(work)


@pytest.mark.parametrize("method", ["none", "histogram-match"])
def test_the_other_methods_prepare_a_run(prepared_run, tmp_path, no_pictures, method):
    shutil.copytree(prepared_run, tmp_path / "work", ignore=shutil.ignore_patterns("prepared", "reference.npz"))
    change_config(tmp_path / "work", {"prepare.harmonization": method})
    assert prepare_cohort(tmp_path / "work") == []
    records = [open_case(tmp_path / "work/prepared" / c.id).record for c in load_check(tmp_path / "work").cases]
    assert {record.harmonization.method for record in records} == {method}
    assert {record.harmonization.pet for record in records} == {None}  # PET is left alone
    assert load_config(tmp_path / "work").prepare.harmonization == method
    assert Config.from_preset("paper").prepare.harmonization == "spectrum-swap"
