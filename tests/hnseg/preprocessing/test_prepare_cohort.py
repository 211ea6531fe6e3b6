"""Prepare: what is stored, what harmonization did, what a second run does, and what a bad case leaves behind."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import ssimh
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import load_splits
from hnseg.errors import CaseError, WorkDirError
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import AXIAL, NoHarmonization, SwapToReference
from hnseg.preprocessing.harmonizer_store import load_harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.normalize import normalize_ct
from hnseg.preprocessing.prepare_case import preparation_key, prepare_case
from hnseg.preprocessing.prepare_cohort import is_current, prepare_cohort
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import load_config

COARSE = PrepareConfig(spacing_mm=6.25)


def test_a_prepared_case_holds_what_the_network_needs(prepared_run):
    case = open_case(prepared_run / "prepared" / load_splits(prepared_run).reference)
    assert case.image.shape == (2, 50, 32, 32)
    assert case.image.dtype == np.float16
    image, label = case.image[:], case.label[:]
    assert 0.5 <= image[0].min() < image[0].max() <= 0.7314  # sigmoid of [0, 1]
    assert 0 < image[1].min() < 0.5 < image[1].max() <= 1
    for value in (1, 2):
        np.testing.assert_array_equal(case.lesion_index(value), np.flatnonzero(label == value))
    assert case.record.label_outside_box_ml == 0.0
    assert not case.record.crop.fallback
    names = {"ct": f"{case.id}__CT.nii.gz", "pet": f"{case.id}__PT.nii.gz", "label": f"{case.id}.nii.gz"}
    assert {kind: file["name"] for kind, file in case.record.made_from["files"].items()} == names
    assert (prepared_run / "prepared" / case.id / "qc.png").stat().st_size > 10_000


def test_the_reference_is_not_changed_and_every_other_case_gets_its_spectrum(prepared_run):
    config = COARSE
    splits = load_splits(prepared_run)
    reference = ssimh.ReferenceSpectrum.load(prepared_run / "reference.npz")
    records = {c.id: open_case(prepared_run / "prepared" / c.id).record for c in load_check(prepared_run).cases}
    assert records[splits.reference].harmonization.soft_tissue_mean_abs_hu < 0.05
    assert all(r.harmonization.reference == splits.reference for r in records.values())
    other = next(c for c in load_check(prepared_run).cases if c.id == splits.test[0])
    cropped = crop_case(other.as_case(), config)
    unclipped = ssimh.swap_spectrum(cropped.ct_hu, reference, threshold=3, axes=AXIAL)
    got = ssimh.low_frequency(unclipped, threshold=3, axes=AXIAL)
    wanted = ssimh.low_frequency(
        crop_case(next(c for c in load_check(prepared_run).cases if c.id == splits.reference).as_case(), config).ct_hu,
        threshold=3,
        axes=AXIAL,
    )
    np.testing.assert_allclose(got, wanted, atol=0.05)
    versions = load_harmonizer(prepared_run).harmonize(cropped.ct_hu, cropped.scanned, other.id, other.center)
    assert set(versions) == {FINAL}
    assert records[other.id].harmonization == versions[FINAL].record
    stored = open_case(prepared_run / "prepared" / other.id).image[0]
    np.testing.assert_allclose(stored, normalize_ct(versions[FINAL].ct_hu, config.ct_window_hu), atol=5e-4)


def test_what_was_not_scanned_stays_empty(make_case):
    (case,) = discover_cases(make_case())
    cropped = crop_case(case, COARSE)
    assert 0 < cropped.scanned.mean() < 1
    noise = np.random.default_rng(0).normal(0, 300, cropped.ct_hu.shape).astype(np.float32)
    swap = SwapToReference(COARSE, ssimh.ReferenceSpectrum.from_image(noise, threshold=3, axes=AXIAL), "REF-001")
    after = swap.harmonize(cropped.ct_hu, cropped.scanned, case.id, case.center)[FINAL].ct_hu
    assert (after[~cropped.scanned] == COARSE.valid_hu[0]).all()
    assert (after[cropped.scanned] != COARSE.valid_hu[0]).any()


def test_no_harmonization_changes_nothing(make_case):
    (case,) = discover_cases(make_case())
    cropped = crop_case(case, COARSE)
    made = NoHarmonization().harmonize(cropped.ct_hu, cropped.scanned, case.id, case.center)[FINAL]
    np.testing.assert_array_equal(made.ct_hu, cropped.ct_hu)
    assert (made.record.method, made.record.soft_tissue_mean_abs_hu) == ("none", 0.0)


def test_a_second_run_touches_nothing_and_a_changed_file_is_prepared_again(run):
    times = {path: path.stat().st_mtime_ns for path in (run / "prepared").glob("*/case.json")}
    assert prepare_cohort(run) == []
    assert {path: path.stat().st_mtime_ns for path in times} == times
    case = load_check(run).cases[0].as_case()
    folder, config = run / "prepared" / case.id, load_config(run).prepare
    preparation = preparation_key(config, load_harmonizer(run))
    assert is_current(case, folder, preparation)
    assert not is_current(case, folder, {**preparation, "computation": 0})
    stat = case.ct.stat()
    os.utime(case.ct, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert is_current(case, folder, preparation)  # same bytes, other date
    os.utime(case.ct, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_bad_case_leaves_nothing_behind_and_the_others_go_on(run, no_pictures):
    reference = load_splits(run).reference
    bad, *others = sorted(load_check(run).cases, key=lambda case: case.id == reference)
    content = (run / "check.json").read_text()
    (run / "check.json").write_text(content.replace(bad.pet, bad.pet.replace("__PT", "__GONE")))
    for folder in (run / "prepared").iterdir():
        (folder / "case.json").unlink()  # as if nothing had been prepared
    failures = prepare_cohort(run)
    gone = Path(bad.pet.replace("__PT", "__GONE"))
    assert [(failure.case_id, failure.path) for failure in failures] == [(bad.id, gone)]
    assert all(open_case(run / "prepared" / other.id) for other in others)
    with pytest.raises(WorkDirError):
        open_case(run / "prepared" / bad.id)
    assert [path.name for path in (run / "prepared" / bad.id).iterdir()] == ["failed.json"]
    assert not [path for path in (run / "prepared").iterdir() if path.name.startswith(".")]


def test_a_crash_while_writing_leaves_nothing(make_case, tmp_path, monkeypatch):
    (case,) = discover_cases(make_case())

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hnseg.preprocessing.prepare_case.draw_qc", full_disk)
    with pytest.raises(OSError) as caught:  # noqa: PT011  the number of the error decides
        prepare_case(case, COARSE, tmp_path / "prepared" / case.id, NoHarmonization())
    assert caught.value.errno == 28
    assert list((tmp_path / "prepared").iterdir()) == []


def test_errors_survive_worker_processes():
    import pickle

    error = CaseError("ONE-001", "broken", None)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
