"""The same scans in three layouts, in SUV and in Bq/ml, become the same prepared cases."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hnseg.check.check_cohort import check_cohort
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.images.image_io import read_image, write_image
from hnseg.preprocessing.harmonization import NoHarmonization
from hnseg.preprocessing.prepare_case import preparation_key, prepare_case
from hnseg.preprocessing.prepare_cohort import is_current
from hnseg.preprocessing.prepared_case import open_case
from hnseg.settings.prepare import PrepareConfig

COARSE = PrepareConfig(spacing_mm=6.25, harmonization="none")
FACTOR = 2.5e-4


def hecktor(root: Path, home: Path) -> Path:
    return root


def nnunet(root: Path, home: Path) -> Path:
    (case,) = discover_cases(root)
    for folder, suffix, path in (
        ("imagesTr", "_0000", case.ct),
        ("imagesTr", "_0001", case.pet),
        ("labelsTr", "", case.label),
    ):
        (home / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, home / folder / f"{case.id}{suffix}.nii.gz")
    return home


def table(root: Path, home: Path) -> Path:
    """Every file is called the same: only its folder says what it holds."""
    (case,) = discover_cases(root)
    for folder, path in (("ct", case.ct), ("pet", case.pet), ("label", case.label)):
        (home / folder).mkdir(parents=True)
        shutil.copy(path, home / folder / "image.nii.gz")
    (home / "cases.csv").write_text(f"id,ct,pet,label,center\n{case.id}," + ",".join(
        f"{folder}/image.nii.gz" for folder in ("ct", "pet", "label")) + ",Lyon\n")  # fmt: skip
    return home / "cases.csv"


def in_bqml(root: Path, home: Path) -> Path:
    (case,) = discover_cases(root)
    pet, grid = read_image(case.pet, case.id)
    write_image(case.pet, pet / np.float32(FACTOR), grid)
    (root / "suv_conversion_tags.csv").write_text(f"pid,units,bqml_to_suvbw_factor\n{case.id},BQML,{FACTOR}\n")
    return root


def prepared(root: Path, home: Path):
    check_cohort(root, COARSE, work=home)
    (case,) = load_check(home).cases
    folder = home / "prepared" / case.id
    prepare_case(case.as_case(), COARSE, folder, NoHarmonization())
    return case.as_case(), open_case(folder)


@pytest.mark.parametrize("layout", [hecktor, nnunet, table, in_bqml])
def test_layout_and_unit_make_no_difference(make_case, tmp_path, layout):
    _, expected = prepared(make_case(root=tmp_path / "plain"), tmp_path / "expected")
    case, made = prepared(layout(make_case(root=tmp_path / "given"), tmp_path / "laid"), tmp_path / "work")
    np.testing.assert_allclose(made.image[:], expected.image[:], atol=1e-3)
    np.testing.assert_array_equal(made.label[:], expected.label[:])
    assert made.record.suv_factor == (FACTOR if layout is in_bqml else 1.0)
    assert case.center == ("Lyon" if layout is table else "ONE")
    preparation = preparation_key(COARSE, NoHarmonization())
    folder = tmp_path / "work" / "prepared" / case.id
    assert is_current(case, folder, preparation)
    assert not is_current(replace(case, suv_factor=3e-4), folder, preparation)  # another factor: prepare it again
