"""Each trap does what its name says, and nothing else."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hnseg.errors import CaseError
from hnseg.images.image_io import read_grid, read_image
from hnseg.phantom import DEFAULT_CENTERS, TRAPS, Case, generate_case, generate_cohort
from hnseg.phantom.render import inside
from tests.facts import raises_naming

PIXEL_MM = 6.0
ALFA = DEFAULT_CENTERS[0]


def trapped(name: str) -> Case:
    return generate_case(ALFA, 1, seed=0, pixel_mm=PIXEL_MM, trap=name)


@pytest.fixture(scope="module")
def plain() -> Case:
    return generate_case(ALFA, 1, seed=0, pixel_mm=PIXEL_MM)


def label_center_mm(case: Case, value: int) -> np.ndarray:
    z, y, x = np.nonzero(case.label == value)
    return case.ct_grid.to_physical(np.stack([x, y, z], axis=1)).mean(axis=0)


def test_flipped_direction(plain: Case) -> None:
    case = trapped("flipped-direction")
    for grid in (case.ct_grid, case.pet_grid):
        assert grid.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    # The same physical box, and the array turned in its plane.
    np.testing.assert_allclose(case.ct_grid.bounds_mm(), plain.ct_grid.bounds_mm(), atol=1e-6)
    np.testing.assert_array_equal(case.label[:, ::-1, ::-1], plain.label)
    difference = np.abs(case.ct[:, ::-1, ::-1].astype(float) - plain.ct)
    assert np.median(difference) < 30  # noise differs


def test_oblique_direction(plain: Case) -> None:
    case = trapped("oblique-direction")
    assert np.count_nonzero(np.round(case.ct_grid.matrix, 6)) == 9
    np.testing.assert_allclose(case.ct_grid.matrix @ case.ct_grid.matrix.T, np.eye(3), atol=1e-9)
    assert case.pet_grid == plain.pet_grid
    for value in (1, 2):
        np.testing.assert_allclose(label_center_mm(case, value), label_center_mm(plain, value), atol=2.5)
    brain = next(part.shape for part in case.parts if part.name == "cerebrum-left")
    assert 0 < case.ct[inside(case.ct_grid, brain)].mean() < 90


def test_whole_body_ct() -> None:
    case = trapped("whole-body-ct")
    assert case.ct_grid.size[2] * case.ct_grid.spacing_mm[2] >= 1300
    below = case.ct[: case.ct.shape[0] // 3]
    assert (below > -200).mean() > 0.05, "legs"
    assert case.pet[: case.pet.shape[0] // 2].max() > 8, "bladder"


def test_pet_bqml(plain: Case) -> None:
    case = trapped("pet-bqml")
    assert case.suv_per_bqml is not None
    assert 2.0e-4 < case.suv_per_bqml < 7.0e-4
    np.testing.assert_allclose(case.pet * case.suv_per_bqml, plain.pet, rtol=1e-5, atol=1e-5)
    assert case.pet.max() > 5000


def test_disjoint_boxes(plain: Case) -> None:
    case = trapped("disjoint-boxes")
    ct_upper, pet_lower = case.ct_grid.bounds_mm()[1], case.pet_grid.bounds_mm()[0]
    assert np.any(pet_lower > ct_upper)
    np.testing.assert_array_equal(case.pet, plain.pet)


def test_label_traps(plain: Case) -> None:
    assert not trapped("empty-label").label.any()
    wrong = trapped("wrong-label-value").label
    assert 7 in wrong
    np.testing.assert_array_equal(wrong > 0, plain.label > 0)


def test_file_traps(tmp_path: Path) -> None:
    wanted = ["missing-pet", "unreadable-ct", "pet-bqml"]
    folders = generate_cohort(tmp_path / "c", cases_per_center=4, centers=(ALFA,), pixel_mm=8.0, traps=wanted)
    names = [{p.name.replace(folder.name, "") for p in folder.iterdir()} for folder in folders]
    everything = {"__CT.nii.gz", "__PT.nii.gz", ".nii.gz"}
    assert names == [{"__CT.nii.gz", ".nii.gz"}, everything, everything, everything]
    with pytest.raises(CaseError, match=r"__CT\.nii\.gz"):
        read_grid(folders[1] / "ALFA-002__CT.nii.gz", "ALFA-002")
    with (tmp_path / "c" / "Task 1" / "suv_conversion_tags.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["pid"], row["units"]) for row in rows] == [("ALFA-003", "BQML")]
    pet, _ = read_image(folders[2] / "ALFA-003__PT.nii.gz", "ALFA-003")
    expected = generate_case(ALFA, 3, pixel_mm=8.0).pet
    np.testing.assert_allclose(pet * float(rows[0]["bqml_to_suvbw_factor"]), expected, rtol=1e-5, atol=1e-5)


def test_traps_are_checked(tmp_path: Path) -> None:
    with raises_naming(ValueError, "'flip'", "flipped-direction"):
        generate_case(trap="flip")
    for traps in ({"ALFA-009": "empty-label"}, "empty-label", ["empty-label"] * 3, {"ALFA-001": "nonsense"}):
        with pytest.raises(ValueError, match="trap"):
            generate_cohort(tmp_path / "x", cases_per_center=1, centers=(ALFA,), traps=traps)
    assert not (tmp_path / "x").exists()
    assert all(" " not in name for name in TRAPS)
