"""A case from its files onto its crop grid: options, registration, and what the record says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from hnseg.check.check_case import check_case
from hnseg.cli.commands import app
from hnseg.cohort.cases import Case, discover_cases
from hnseg.images.image_io import write_image
from hnseg.preprocessing.crop_case import crop_case
from hnseg.preprocessing.harmonization import NoHarmonization
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.prepare_case import preprocess_case
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import load_config

COARSE = PrepareConfig(spacing_mm=5.0)
SHIFT_MM = (9.0, -7.0, 6.0)


@pytest.fixture(scope="module")
def shifted(phantom, tmp_path_factory) -> tuple[Case, Case]:
    """A phantom on disk with its PET where it belongs, and the same with the PET's header off by 12.9 mm."""
    folder = tmp_path_factory.mktemp("shifted")
    case = phantom(index=2)
    moved = replace(case.pet_grid, origin_mm=tuple(np.add(case.pet_grid.origin_mm, SHIFT_MM)))
    write_image(folder / "ct.nii.gz", case.ct, case.ct_grid)
    write_image(folder / "label.nii.gz", case.label, case.ct_grid)
    write_image(folder / "pet.nii.gz", case.pet, case.pet_grid)
    write_image(folder / "moved.nii.gz", case.pet, moved)
    right = Case("ALFA-002", folder / "ct.nii.gz", folder / "pet.nii.gz", folder / "label.nii.gz")
    return right, replace(right, pet=folder / "moved.nii.gz")


def test_registration_brings_a_displaced_pet_back(shifted):
    right, wrong = shifted
    truth = crop_case(right, COARSE)
    assert truth.alignment is not None
    assert not truth.alignment.corrected
    reported = crop_case(wrong, COARSE)
    assert reported.alignment is not None
    np.testing.assert_allclose(reported.alignment.shift_mm, SHIFT_MM, atol=2.0)
    assert not reported.alignment.corrected  # measured, not moved
    rigid = COARSE.model_copy(update={"registration": "rigid"})
    corrected = crop_case(wrong, rigid)
    assert corrected.alignment is not None
    assert corrected.alignment.corrected
    np.testing.assert_allclose(corrected.crop.grid.origin_mm, truth.crop.grid.origin_mm, atol=4.5)  # one coarse voxel
    middle = (np.asarray(corrected.pet_grid.size) - 1) / 2
    where = [grid.to_physical(middle) for grid in (corrected.pet_grid, truth.pet_grid)]
    np.testing.assert_allclose(*where, atol=2.0)
    untouched = crop_case(right, rigid)
    np.testing.assert_array_equal(untouched.pet_suv, truth.pet_suv)  # aligned images are left alone


def test_the_record_holds_how_far_pet_lay_off(shifted):
    _, wrong = shifted
    config = COARSE.model_copy(update={"registration": "rigid", "harmonization": "none"})
    record = preprocess_case(wrong, config, NoHarmonization()).record
    assert record.alignment.corrected
    assert record.alignment.displacement_mm == pytest.approx(np.linalg.norm(SHIFT_MM), abs=2)
    off = config.model_copy(update={"registration": "off"})
    assert preprocess_case(wrong, off, NoHarmonization()).record.alignment is None


def test_check_names_a_displaced_pet_and_only_that(shifted):
    right, wrong = shifted
    codes = [[f.code for f in check_case(case, COARSE, pictures=False).findings] for case in (right, wrong)]
    assert "misaligned" not in codes[0]
    assert "misaligned" in codes[1]
    off = COARSE.model_copy(update={"registration": "off"})
    assert "misaligned" not in [f.code for f in check_case(wrong, off, pictures=False).findings]


def test_the_command_line_sets_crop_and_registration(shifted, tmp_path):
    root = tmp_path / "cohort.csv"
    _, wrong = shifted
    root.write_text(f"id,ct,pet,label\n{wrong.id},{wrong.ct},{wrong.pet},{wrong.label}\n")
    settings = ("crop=nvauto", "registration=rigid", "interpolation=cubic")
    options = ["--data", str(root), "--preset", "demo", *(f"--set=prepare.{setting}" for setting in settings)]
    for command in (["init", str(tmp_path / "work"), *options], ["check", str(tmp_path / "work")]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    prepare = load_config(tmp_path / "work").prepare
    assert (prepare.crop, prepare.registration, prepare.interpolation) == ("nvauto", "rigid", "cubic")
    assert prepare.spacing_mm > 4  # the preset's other settings stand


def test_every_option_gives_a_valid_case(shifted):
    right, _ = shifted
    usual = crop_case(right, COARSE)
    assert usual.label is not None
    cubic = crop_case(right, COARSE.model_copy(update={"interpolation": "cubic", "label_interpolation": "linear"}))
    assert cubic.label is not None
    assert cubic.pet_suv.min() >= 0
    assert (cubic.ct_hu[~cubic.scanned] == COARSE.valid_hu[0]).all()
    np.testing.assert_array_equal(cubic.scanned, usual.scanned)
    assert set(np.unique(cubic.label)) == set(np.unique(usual.label))
    assert 0.5 < (cubic.label > 0).sum() / (usual.label > 0).sum() < 1.5
    assert np.abs(cubic.ct_hu - usual.ct_hu).mean() < 30
    suv = preprocess_case(right, COARSE.model_copy(update={"pet_scale": "suv", "sigmoid": False}), NoHarmonization())
    np.testing.assert_allclose(suv.images[FINAL][1], usual.pet_suv, rtol=1e-3, atol=1e-4)
    assert (suv.images[FINAL][0].min(), suv.images[FINAL][0].max()) == (0, 1)


def test_what_was_not_scanned_is_marked(make_case):
    (case,) = discover_cases(make_case())
    cropped = crop_case(case, COARSE)
    assert 0 < cropped.scanned.mean() < 1
    assert (cropped.ct_hu[~cropped.scanned] == -1024).all()
    assert cropped.ct_hu.dtype == cropped.pet_suv.dtype == np.float32
