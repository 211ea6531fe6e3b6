"""The generated cohort: determinism, geometry, plausible values, files."""

from __future__ import annotations

import csv
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from hnseg.errors import CohortError, InUseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_grid, read_image
from hnseg.phantom import DEFAULT_CENTERS, Case, Center, generate_case, generate_cohort
from hnseg.phantom.anatomy import build_anatomy
from hnseg.phantom.case import _streams
from hnseg.phantom.lesions import GTVN_RANGE_ML, GTVP_RANGE_ML, Lesion, sample_lesions
from hnseg.phantom.render import inside
from hnseg.phantom.subject import sample_subject
from tests.hnseg.phantoms import SharedPhantom
from tests.hnseg.processes import end_and_check, start

COARSE_MM = 8.0
ALFA, BETA, GAMA, DELTA = DEFAULT_CENTERS


@pytest.fixture(scope="module")
def cases(phantom: SharedPhantom) -> list[Case]:
    """One case of each center."""
    return [phantom(center) for center in DEFAULT_CENTERS]


@pytest.fixture(scope="module")
def lesions() -> list[list[Lesion]]:
    """The lesions of many people, without images."""
    drawn = []
    for index in range(1, 31):
        rng = _streams(7, ALFA, index)
        drawn.append(sample_lesions(build_anatomy(sample_subject(rng["subject"]), rng["anatomy"]), rng["lesions"]))
    return drawn


def typical(image: np.ndarray, case: Case, name: str, *, pet: bool = False) -> float:
    """Median over the voxels of a part: neighbors painted over its rim do not count."""
    part = next(part for part in case.parts if part.name == name)
    grid = case.pet_grid if pet else case.ct_grid
    mask = inside(grid, part.shape)
    return float(np.median(image[mask]))


def files_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_case_is_deterministic() -> None:
    one, two = (generate_case(GAMA, 2, seed=5, pixel_mm=COARSE_MM) for _ in range(2))
    np.testing.assert_array_equal(one.ct, two.ct)
    np.testing.assert_array_equal(one.pet, two.pet)
    np.testing.assert_array_equal(one.label, two.label)
    assert one.clinical == two.clinical


def test_seed_center_and_index_each_change_the_person() -> None:
    volumes = {
        tuple(round(lesion.volume_ml, 6) for lesion in case.lesions)
        for case in (
            generate_case(ALFA, 1, seed=0, pixel_mm=8.0),
            generate_case(ALFA, 1, seed=1, pixel_mm=8.0),
            generate_case(ALFA, 2, seed=0, pixel_mm=8.0),
            generate_case(BETA, 1, seed=0, pixel_mm=8.0),
        )
    }
    assert len(volumes) == 4


def test_resolution_does_not_change_the_person() -> None:
    coarse, fine = (generate_case(ALFA, 1, seed=0, pixel_mm=mm) for mm in (6.0, 3.0))
    assert [lesion.site for lesion in coarse.lesions] == [lesion.site for lesion in fine.lesions]
    for value in (1, 2):
        volumes = [(case.label == value).sum() * case.ct_grid.voxel_ml for case in (coarse, fine)]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.25)


def test_grids(cases: list[Case]) -> None:
    for case in cases:
        assert case.ct.dtype == np.int16
        assert case.pet.dtype == np.float32
        assert case.label.dtype == np.uint8
        assert case.label.shape == case.ct.shape == case.ct_grid.shape
        assert case.pet.shape == case.pet_grid.shape
        assert case.ct_grid.spacing_mm != case.pet_grid.spacing_mm or case.ct_grid.size != case.pet_grid.size
        offset = (np.asarray(case.pet_grid.origin_mm) - case.ct_grid.origin_mm) / case.ct_grid.spacing_mm
        assert np.abs(offset - np.rint(offset)).max() > 0.01
    extents = [case.ct_grid.size[2] * case.ct_grid.spacing_mm[2] for case in cases]
    assert max(extents) > 1.5 * min(extents)


def test_native_grids_are_those_of_the_center() -> None:
    small = replace(ALFA, ct_matrix=96, ct_pixel_mm=5.2, ct_slice_mm=9.0, pet_pixel_mm=7.0, pet_slice_mm=8.0)
    case = generate_case(small, 1, pixel_mm=None)
    assert case.ct_grid.size[:2] == (96, 96)
    assert case.ct_grid.spacing_mm == (5.2, 5.2, 9.0)
    assert case.pet_grid.spacing_mm == (7.0, 7.0, 8.0)


def test_tissues_have_plausible_values(cases: list[Case]) -> None:
    for case in cases:
        assert case.ct.min() >= -1024
        assert case.ct.max() <= 3071
        assert case.pet.min() >= 0
        assert case.pet.max() < 60
        ct, pet = case.ct, case.pet
        assert 20 < typical(ct, case, "tongue") < 110
        assert 10 < typical(ct, case, "cerebrum-left") < 60
        assert 150 < typical(ct, case, "C4") < 1000
        assert typical(ct, case, "lung-left") < -600
        assert typical(ct, case, "trachea") < -500
        assert 3.5 < typical(pet, case, "cerebrum-left", pet=True) < 12
        assert 0.8 < typical(pet, case, "jugular-left", pet=True) < 4.0
        assert 0.3 < typical(pet, case, "tongue", pet=True) < 4.0
        assert typical(pet, case, "lung-left", pet=True) < 1.0
        corner = ct[:, :8, :8]
        assert corner.mean() < -980


def test_uptake_alone_does_not_find_the_tumors(cases: list[Case]) -> None:
    # Most of what is hotter than SUV 4 is brain and other normal tissue.
    for case in cases:
        hot = case.pet > 4
        tumor = np.zeros_like(hot)
        for lesion in case.lesions:
            tumor |= inside(case.pet_grid, lesion.contour)
        assert (hot & ~tumor).sum() > 5 * (hot & tumor).sum() > 0


def test_lesions_are_hot_and_in_soft_tissue(cases: list[Case]) -> None:
    for case in cases:
        assert case.lesions
        for lesion in case.lesions:
            assert case.pet[inside(case.pet_grid, lesion.contour)].max() > 2.0
            hu = case.ct[inside(case.ct_grid, lesion.contour)]
            assert -60 < np.median(hu) < 130


def test_labels_are_the_contours(cases: list[Case]) -> None:
    for case in cases:
        assert set(np.unique(case.label)) == {0, *(lesion.label for lesion in case.lesions)}
        for value in (1, 2):
            truth = sum(lesion.volume_ml for lesion in case.lesions if lesion.label == value)
            assert (case.label == value).sum() * case.ct_grid.voxel_ml == pytest.approx(truth, rel=0.25, abs=0.3)


def test_lesion_statistics(lesions: list[list[Lesion]]) -> None:
    primaries = [lesion for case in lesions for lesion in case if lesion.label == 1]
    nodes = [lesion for case in lesions for lesion in case if lesion.label == 2]
    assert all(case for case in lesions), "a case has at least one lesion"
    assert all(GTVP_RANGE_ML[0] <= lesion.volume_ml <= GTVP_RANGE_ML[1] for lesion in primaries)
    assert all(GTVN_RANGE_ML[0] <= lesion.volume_ml <= GTVN_RANGE_ML[1] for lesion in nodes)
    assert 5 < np.median([lesion.volume_ml for lesion in primaries]) < 16
    assert 1.2 < np.median([lesion.volume_ml for lesion in nodes]) < 6
    counts = np.array([[sum(lesion.label == k for lesion in case) for k in (1, 2)] for case in lesions])
    assert set(counts[:, 0]) == {0, 1}
    assert counts[:, 1].max() <= 4
    for column in (0, 1):  # expected 0.11 and 0.14
        assert 0.01 < (counts[:, column] == 0).mean() < 0.35
    sites = {lesion.site.rsplit("-", 1)[0] for case in lesions for lesion in case}
    assert {"tonsil", "tongue-base", "level-II", "level-III"} <= sites


def test_lesions_keep_apart(lesions: list[list[Lesion]]) -> None:
    for case in lesions[:8]:
        for k, one in enumerate(case):
            for other in case[:k]:
                box = np.minimum(one.contour.box_mm[0], other.contour.box_mm[0])
                size = np.ceil((np.maximum(one.contour.box_mm[1], other.contour.box_mm[1]) - box) / 2).astype(int)
                grid = Grid(tuple(size), (2.0, 2.0, 2.0), tuple(box))
                near = ndimage.binary_dilation(inside(grid, one.contour))
                assert not (near & inside(grid, other.contour)).any()


def test_centers_differ_in_calibration() -> None:
    quiet = {"ct_noise_hu": 0.0, "pet_noise": 0.0, "contrast_probability": 0.0}
    base = replace(ALFA, **quiet)
    shifted = replace(base, ct_offset_hu=12.0, ct_gain=1.01, pet_gain=1.1)
    one, two = (generate_case(center, 1, pixel_mm=COARSE_MM) for center in (base, shifted))
    tissue = (one.ct > -200) & (one.ct < 200)
    difference = two.ct[tissue].astype(float) - one.ct[tissue]
    # (HU + 1000) · 1.01 − 1000 + 12: between +20 and +24 HU for soft tissue.
    assert 18 < np.median(difference) < 26
    brain = inside(one.pet_grid, next(p.shape for p in one.parts if p.name == "cerebrum-left"))
    np.testing.assert_allclose(two.pet[brain].mean() / one.pet[brain].mean(), 1.1, rtol=0.01)


def test_cohort_layout_and_resumption(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    small = {"centers": (ALFA, GAMA), "pixel_mm": COARSE_MM, "seed": 3}
    folders = generate_cohort(tmp_path / "a", cases_per_center=(2, 1), progress=lambda *k: seen.append(k), **small)
    assert [folder.name for folder in folders] == ["ALFA-001", "ALFA-002", "GAMA-001"]
    assert seen == [(1, 3, "ALFA-001"), (2, 3, "ALFA-002"), (3, 3, "GAMA-001")]
    for folder in folders:
        names = {f"{folder.name}__CT.nii.gz", f"{folder.name}__PT.nii.gz", f"{folder.name}.nii.gz"}
        assert {p.name for p in folder.iterdir()} == names
        ct_grid = read_grid(folder / f"{folder.name}__CT.nii.gz", folder.name)
        assert read_grid(folder / f"{folder.name}.nii.gz", folder.name).matches(ct_grid)
        pet, pet_grid = read_image(folder / f"{folder.name}__PT.nii.gz", folder.name)
        assert not pet_grid.matches(ct_grid)
        assert pet.min() >= 0
    with (tmp_path / "a" / "Task 1" / "HECKTOR_2025_Training_Task_1.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["PatientID"] for row in rows] == [folder.name for folder in folders]
    assert list(rows[0])[1:] == [
        "Age",
        "Gender",
        "Tobacco Consumption",
        "Alcohol Consumption",
        "Performance Status",
        "Treatment",
        "M-stage",
    ]
    before = files_of(tmp_path / "a")
    stamp = (folders[0] / "ALFA-001__CT.nii.gz").stat().st_mtime_ns
    for path in folders[2].iterdir():
        path.unlink()
    folders[2].rmdir()  # as if the run had been interrupted
    seen.clear()
    generate_cohort(tmp_path / "a", cases_per_center=(2, 1), progress=lambda *k: seen.append(k), **small)
    assert seen == [(3, 3, "GAMA-001")]
    assert files_of(tmp_path / "a") == before
    assert (folders[0] / "ALFA-001__CT.nii.gz").stat().st_mtime_ns == stamp


def test_files_do_not_depend_on_jobs_or_on_the_number_of_cases(tmp_path: Path, forked_workers: None) -> None:
    small = {"centers": (BETA, DELTA), "pixel_mm": 7.0, "seed": 1}
    generate_cohort(tmp_path / "one", cases_per_center=1, jobs=1, **small)
    generate_cohort(tmp_path / "two", cases_per_center=2, jobs=2, **small)
    few, many = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    images = [name for name in few if name.endswith(".nii.gz")]
    assert len(images) == 6
    assert all(few[name] == many[name] for name in images)


def test_another_cohort_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "cohort"
    generate_cohort(root, cases_per_center=2, centers=(ALFA,), pixel_mm=8.0)
    with pytest.raises(CohortError, match=r"cohort.*\bseed\b"):
        generate_cohort(root, cases_per_center=2, centers=(ALFA,), pixel_mm=8.0, seed=1)
    with pytest.raises(CohortError, match=r"ALFA-002"):
        generate_cohort(root, cases_per_center=1, centers=(ALFA,), pixel_mm=8.0)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(CohortError, match=r"other"):
        generate_cohort(other, cases_per_center=1, centers=(ALFA,), pixel_mm=8.0)
    assert [p.name for p in other.iterdir()] == ["notes.txt"]


GENERATE = """
import pathlib, sys
from hnseg.phantom import DEFAULT_CENTERS, generate_cohort
generate_cohort(pathlib.Path(sys.argv[1]), cases_per_center=1, centers=DEFAULT_CENTERS[:2], pixel_mm=4.0, jobs=2)
"""


def test_workers_end_with_a_killed_run_and_it_is_continued(tmp_path: Path) -> None:
    root = tmp_path / "cohort"
    process = start(["-c", GENERATE, root])
    end_and_check(process, lambda: any((root / ".partial").glob("*")), signal.SIGKILL)
    assert any(path.name.startswith(".") for path in root.iterdir())
    generate_cohort(root, cases_per_center=1, centers=(ALFA, BETA), pixel_mm=4.0)
    assert {path.name for path in root.iterdir()} == {"phantom.json", "Task 1"}


def test_a_second_run_in_one_folder_is_refused(tmp_path: Path) -> None:
    """It used to remove what the first one was writing."""
    root = tmp_path / "cohort"

    def generate_again(done: int, total: int, case_id: str) -> None:
        with pytest.raises(InUseError):
            generate_cohort(root, cases_per_center=1, centers=(ALFA,), pixel_mm=8.0)

    generate_cohort(root, cases_per_center=1, centers=(ALFA,), pixel_mm=8.0, progress=generate_again)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "notes.txt").write_text("mine")
    with pytest.raises(CohortError):
        generate_cohort(tmp_path, cases_per_center=1, centers=(ALFA,), pixel_mm=8.0)
    assert (tmp_path / ".partial" / "notes.txt").read_text() == "mine"


def test_bad_parameters_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[1, 2\].*\b4\b"):
        generate_cohort(tmp_path / "x", cases_per_center=(1, 2))
    with pytest.raises(ValueError, match="jobs"):
        generate_cohort(tmp_path / "x", jobs=0)
    with pytest.raises(ValueError, match="pixel_mm"):
        generate_case(pixel_mm=0.0)
    with pytest.raises(ValueError, match="A-B"):
        Center("A-B")
    assert not (tmp_path / "x").exists()
