"""The semi-real cohort: lesions lie where they may, volumes and grids are as said, a seed decides the voxels."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from hnseg.cohort.cases import discover_cases
from hnseg.errors import CohortError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, write_image
from tests.facts import raises_naming

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import semireal_anatomy as sa
import semireal_cohort as sc
import semireal_lesions as sl

CT_GRID = Grid((56, 56, 64), (4.0, 4.0, 3.0), (0.0, 0.0, 0.0))
NAME = "C-001"


def tube(center_yx: tuple[float, float], radius_mm: float, low_mm: float, high_mm: float) -> np.ndarray:
    """Upright cylinder on the CT's grid."""
    z, y, x = np.ogrid[:64, :56, :56]
    inside = ((y * 4 - center_yx[0]) ** 2 + (x * 4 - center_yx[1]) ** 2) <= radius_mm**2
    return inside & (z * 3 >= low_mm) & (z * 3 < high_mm)


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    """Stored CT (HU + 1024, 0 outside) and structures: a neck with airway and spine, and a skull around a brain."""
    hu = np.full(CT_GRID.shape, -1024, np.int16)
    hu[tube((110, 110), 80, 0, 192)] = 40
    hu[tube((110, 110), 76, 130, 192)] = 900
    hu[tube((110, 110), 66, 135, 192)] = 35
    hu[tube((130, 110), 14, 0, 135)] = 400
    hu[tube((130, 110), 8, 0, 135)] = 30
    hu[tube((95, 110), 8, 0, 130)] = -1000
    label = np.zeros(CT_GRID.shape, np.uint8)
    label[tube((100, 110), 60, 30, 115)] = sa.PTV56
    label[tube((95, 110), 30, 45, 115)] = sa.PTV70
    label[tube((130, 110), 7, 0, 132)] = sa.CORD
    label[tube((130, 110), 14, 136, 160)] = sa.BRAINSTEM
    stored = np.where(hu <= -1024, 0, hu + 1024).astype(np.int16)
    return stored, label


@pytest.fixture(scope="module")
def data(scan: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_image(root / "openkbp_ct" / "C" / f"{NAME}_ct.nii.gz", scan[0], CT_GRID)
    write_image(root / "openkbp_ct" / "C" / f"{NAME}_label.nii.gz", scan[1], CT_GRID)
    return root


@pytest.fixture(scope="module")
def anatomy(scan: tuple[np.ndarray, np.ndarray]) -> sa.Anatomy:
    return sa.Anatomy.of((scan[0] - 1024).astype(np.int16), scan[1], CT_GRID)


def test_the_brain_is_what_the_skull_holds(anatomy: sa.Anatomy) -> None:
    truth = np.pi * 66**2 * (192 - 135) / 1000
    assert anatomy.brain.sum() * sl.VOXEL_ML == pytest.approx(
        truth, rel=0.15
    )  # the CT's voxels of 4 mm blur its rim into bone
    assert not (anatomy.brain & (anatomy.hu > 300)).any()


def test_glands_lie_in_soft_tissue_beside_the_airway(anatomy: sa.Anatomy) -> None:
    left, right = anatomy.parts["tonsil_left"], anatomy.parts["tonsil_right"]
    middle = [np.argwhere(mask).mean(axis=0) for mask in (left, right)]
    assert middle[0][2] > anatomy.axis[:, 1].mean() > middle[1][2]  # x grows to the patient's left
    for mask in anatomy.parts.values():
        assert not (mask & anatomy.airway).any()
        assert not (mask & ~anatomy.body).any()


@pytest.mark.parametrize("seed", range(6))
def test_lesions_stay_in_their_targets_and_apart(anatomy: sa.Anatomy, seed: int) -> None:
    primary, *nodes = sl.sample_lesions(anatomy, np.random.default_rng(seed))
    assert primary.label == sl.GTVP
    assert not (primary.mask & ~anatomy.drawn(sa.PTV70)).any()
    assert sl.GTVP_RANGE_ML[0] <= primary.volume_ml <= sl.GTVP_RANGE_ML[1]
    for node in nodes:
        assert node.label == sl.GTVN
        assert not (node.mask & ~anatomy.drawn(sa.PTV56, sa.PTV63)).any()
        assert sl.GTVN_RANGE_ML[0] <= node.volume_ml <= sl.GTVN_RANGE_ML[1]
    for number, lesion in enumerate((primary, *nodes)):
        assert sl.SUV_RANGE[0] <= lesion.suv <= sl.SUV_RANGE[1]
        assert not (lesion.mask & (anatomy.airway | anatomy.drawn(*sa.ORGANS))).any()
        away = ndimage.distance_transform_edt(~lesion.mask, sampling=sa.STEP_MM)
        for other in (primary, *nodes)[number + 1 :]:
            assert away[other.mask].min() >= sl.GAP_MM


def test_no_room_for_a_primary_is_an_error(anatomy: sa.Anatomy) -> None:
    bare = sa.Anatomy(anatomy.grid, anatomy.hu, np.where(anatomy.structures == sa.PTV70, 0, anatomy.structures))
    with pytest.raises(RuntimeError, match="PTV70"):
        sl.sample_lesions(bare, np.random.default_rng(0))


def test_a_case_has_hecktor_layout_and_is_decided_by_the_seed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSIMH_REALDATA", str(data))
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        sc.build_cohort(tmp_path / name, seed=seed)
    (case,) = discover_cases(tmp_path / "one")
    assert (case.id, case.center) == (NAME, "C")
    ct, grid = read_image(case.ct, case.id)
    pet, pet_grid = read_image(case.pet, case.id)
    label, label_grid = read_image(case.label, case.id, dtype=np.uint8)
    assert grid.matches(label_grid)
    assert not grid.matches(pet_grid)
    assert ct.min() == -1024
    assert (ct[label > 0] > -200).mean() > 0.95
    records = json.loads((case.ct.parent / "lesions.json").read_text())["lesions"]
    for value in (1, 2):
        drawn = sum(lesion["drawn_ml"] for lesion in records if lesion["label"] == value)
        assert (label == value).sum() * grid.voxel_ml == pytest.approx(drawn, abs=0.1)
        assert drawn == pytest.approx(sum(x["ml"] for x in records if x["label"] == value), rel=0.25, abs=0.3)
    again = read_image(tmp_path / "same" / "Task 1" / NAME / f"{NAME}__PT.nii.gz", NAME)[0]
    other = read_image(tmp_path / "other" / "Task 1" / NAME / f"{NAME}__PT.nii.gz", NAME)[0]
    assert np.array_equal(pet, again)
    assert pet.shape != other.shape or not np.array_equal(pet, other)


def test_a_cohort_resumes_and_refuses_another_seed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSIMH_REALDATA", str(data))
    (folder,) = sc.build_cohort(tmp_path / "c")
    before = (folder / "lesions.json").stat().st_mtime_ns
    sc.build_cohort(tmp_path / "c")
    assert (folder / "lesions.json").stat().st_mtime_ns == before
    with raises_naming(CohortError, tmp_path / "c", "seed"):
        sc.build_cohort(tmp_path / "c", seed=1)


def test_the_scanner_keeps_the_activity() -> None:
    grid = Grid((60, 60, 60), (2.0,) * 3, (0.0, 0.0, 0.0))
    truth = np.full(grid.shape, 0.01, np.float32)
    truth[20:40, 20:40, 20:40] = 10
    quiet = replace(sc.SCANNERS["A"], pet_noise=0.0)  # noise below zero is cut, which adds activity in air
    pet, pet_grid = sc.scan_pet(truth, grid, quiet, np.random.default_rng(0))
    assert pet_grid.spacing_mm == (4.0, 4.0, 4.0)
    assert pet.sum() * pet_grid.voxel_ml == pytest.approx(truth.sum() * grid.voxel_ml, rel=0.03)


def test_without_the_real_scans_the_message_says_where_they_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSIMH_REALDATA", str(tmp_path))
    with pytest.raises(CohortError, match="SSIMH_REALDATA"):
        sc.build_cohort(tmp_path / "c")
    assert not (tmp_path / "c").exists()
