"""A reference that is a file: which ones fit, and how a run keeps and follows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ssimh
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.splits import load_splits, save_splits
from hnseg.errors import WorkDirError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import AXIAL, FINAL
from hnseg.preprocessing.harmonizer_store import export_harmonizer, fit_harmonizer, load_harmonizer
from hnseg.preprocessing.reference_file import check_reference_file, read_reference_ct, read_reference_spectrum
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import change_config
from tests.facts import raises_naming

SMALL = PrepareConfig(spacing_mm=20.0, box_mm=(200, 220, 160), swap_threshold=2)
MATCH = SMALL.model_copy(update={"harmonization": "histogram-match"})
GRID = Grid((10, 11, 8), (20.0, 20.0, 20.0), (5.0, 6.0, 7.0))


def scan(seed=0):
    rng = np.random.default_rng(seed)
    hu = np.where(rng.random(GRID.shape) > 0.5, 40.0, -1000.0) + rng.normal(0, 10, GRID.shape)
    return np.maximum(hu, -1024).astype(np.float32)


def save_spectrum(path, hu=None, **settings):
    defaults = {"threshold": 3, "axes": AXIAL, "spacing_mm": (20.0,) * 3, "unit": "HU"}
    ssimh.ReferenceSpectrum.from_image(scan() if hu is None else hu, **{**defaults, **settings}).save(path)
    return path


def test_a_spectrum_and_a_ct_on_the_crop_grid_are_read(tmp_path):
    hu = scan()
    write_image(tmp_path / "ct.nii.gz", hu, GRID)
    from_ct = read_reference_spectrum(tmp_path / "ct.nii.gz", SMALL)
    assert from_ct.threshold == 2
    stored = read_reference_spectrum(save_spectrum(tmp_path / "mean.npz"), SMALL)
    np.testing.assert_allclose(stored.coefficients[:, :2, :2], from_ct.coefficients, atol=1e-2)
    np.testing.assert_allclose(read_reference_ct(tmp_path / "ct.nii.gz", MATCH), hu, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"threshold": 1}, ["swap_threshold", 1, 2]),
        ({"axes": (-3, -2, -1)}, ["axes"]),
        ({"spacing_mm": (10.0,) * 3}, [10]),
        ({"unit": "HU + 1024"}, ["HU + 1024"]),
        ({"hu": scan()[1:]}, ["(7, 11, 10)", "(8, 11, 10)"]),
    ],
)
def test_a_spectrum_that_does_not_fit_is_refused(tmp_path, settings, facts):
    path = save_spectrum(tmp_path / "mean.npz", **settings)
    with raises_naming(WorkDirError, "prepare.reference", *facts, path=path):
        check_reference_file(path, SMALL)


@pytest.mark.parametrize("config", [SMALL, MATCH])
def test_a_ct_that_does_not_fit_and_what_cannot_be_read_are_refused(tmp_path, config):
    hu = scan()
    for name, values, grid in (
        ("shape", hu[1:], replace(GRID, size=(10, 11, 7))),
        ("spacing", hu, replace(GRID, spacing_mm=(20.0, 20.0, 18.0))),
        ("turned", hu, replace(GRID, direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))),
        ("offset", hu + 1024, GRID),
    ):
        write_image(tmp_path / f"{name}.nii.gz", values, grid)
        with raises_naming(WorkDirError, "prepare.reference", path=tmp_path / f"{name}.nii.gz"):
            check_reference_file(tmp_path / f"{name}.nii.gz", config)
    for name in ("no.npz", "no.nii.gz", "bad.npz", "bad.nii.gz"):
        if name.startswith("bad"):
            (tmp_path / name).write_bytes(b"damaged")
        with raises_naming(WorkDirError, path=tmp_path / name):
            check_reference_file(tmp_path / name, config)


def test_a_run_follows_its_reference_file(run, tmp_path):
    """The same reference as a file gives the same CT; a changed file is fitted again; an export has no path."""
    cases = {case.id: case for case in load_check(run).cases}
    splits, path = load_splits(run), tmp_path / "atlas.npz"
    (run / "reference.npz").rename(path)
    save_splits(replace(splits, reference=None, always_train=(splits.reference,)), run)
    change_config(run, {"prepare.reference": str(path)})
    with raises_naming(WorkDirError, "reference.npz"):
        load_harmonizer(run)
    harmonizer = fit_harmonizer(run)
    cropped = crop_case(cases[splits.test[0]].as_case(), harmonizer.config)
    made = harmonizer.harmonize(cropped.ct_hu, cropped.scanned, None, "")[FINAL]
    assert made.record.reference == "atlas.npz"
    assert np.isfinite(made.ct_hu).all()
    (tmp_path / "export").mkdir()
    for name in ("run.json", "config.yaml", "check.json", "splits.json"):
        (tmp_path / "export" / name).write_bytes((run / name).read_bytes())
    export_harmonizer(run, tmp_path / "export")
    change_config(tmp_path / "export", {"prepare.reference": "atlas.npz"})
    assert load_harmonizer(tmp_path / "export").digest == harmonizer.digest
    assert str(tmp_path) not in (tmp_path / "export" / "reference.json").read_text()
    ssimh.ReferenceSpectrum.from_image(cropped.ct_hu + 5, threshold=4, axes=AXIAL).save(path)
    with raises_naming(WorkDirError, "reference.npz", "(file differ"):
        load_harmonizer(run)
    assert fit_harmonizer(run).digest != harmonizer.digest
    path.unlink()
    load_harmonizer(run)  # it has a copy
    with raises_naming(WorkDirError, path):
        fit_harmonizer(run)


@pytest.mark.parametrize("part", ["test", "fold"])
def test_a_reference_that_does_not_train_in_every_fold_is_refused(run, part):
    splits = load_splits(run)
    name = splits.test[0] if part == "test" else splits.folds[1][0]
    change_config(run, {"prepare.reference": name})
    with raises_naming(WorkDirError, name, "test" if part == "test" else "fold 1", "hnseg split"):
        fit_harmonizer(run)
    fold, test = ((splits.reference, *ids) for ids in (splits.folds[1], splits.test))
    changes = {"test": test} if part == "test" else {"folds": (splits.folds[0], fold)}
    changed = replace(splits, reference=name, **changes)
    save_splits(
        replace(changed, test=_without(changed.test, name), folds=[_without(f, name) for f in changed.folds]), run
    )
    assert fit_harmonizer(run).digest.startswith(f"{name}:")


def _without(ids, name):
    return tuple(case_id for case_id in ids if case_id != name)
