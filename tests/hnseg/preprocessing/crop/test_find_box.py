"""The crop finds the head in every phantom case, holds every lesion, and falls back visibly without a head."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hnseg.cohort.checked_cohort import load_check
from hnseg.images.geometry import Grid
from hnseg.images.resample import resample
from hnseg.phantom import DEFAULT_CENTERS
from hnseg.preprocessing.crop.find_box import brain_in_box, find_crop
from hnseg.settings.config import Config
from ssimh.images.simpleitk import load_sitk
from tests.facts import raises_naming

BOX = {"box_vox": (64, 64, 100), "spacing_mm": 3.125}


@pytest.mark.parametrize("center", DEFAULT_CENTERS, ids=lambda center: center.name)
@pytest.mark.parametrize("index", [1, 2])
def test_every_lesion_lies_in_the_box(phantom, center, index):
    case = phantom(center, index)
    crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, **BOX)
    assert not crop.fallback, crop.reason
    assert crop.confidence >= 0.8
    points = case.ct_grid.to_physical(np.argwhere(case.label > 0)[:, ::-1])
    low, high = crop.grid.bounds_mm()
    assert ((points >= low) & (points <= high)).all()


def test_box_has_the_published_size_and_stands_upright(phantom):
    case = phantom()
    crop = find_crop(
        case.ct, case.ct_grid, case.pet, case.pet_grid, **{**BOX, "box_vox": (200, 200, 310), "spacing_mm": 1.0}
    )
    low, high = crop.grid.bounds_mm()
    np.testing.assert_allclose(high - low, [200, 200, 310])
    assert crop.grid.direction == Grid((1, 1, 1), (1, 1, 1), (0, 0, 0)).direction


@pytest.mark.parametrize("trap", ["flipped-direction", "oblique-direction", "whole-body-ct"])
def test_the_box_does_not_depend_on_how_the_scan_is_stored(phantom, trap):
    boxes = []
    for name in (None, trap):
        case = phantom(trap=name)
        crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, **BOX)
        assert not crop.fallback, crop.reason
        boxes.append(crop.grid.bounds_mm()[0])
    np.testing.assert_allclose(boxes[0], boxes[1], atol=8.0)  # two coarse voxels: scans are resampled to the 4 mm grid


def test_without_a_head_the_box_stands_at_the_top_and_says_so():
    grid = Grid((60, 60, 80), (4, 4, 4), (-118, -118, 0))
    y, x = np.mgrid[-118:119:4, -118:119:4]
    body = np.broadcast_to((x - 20) ** 2 + y**2 < 80**2, grid.shape)
    ct = np.where(body, 30.0, -1000.0).astype(np.float32)
    pet = np.where(body, 1.0, 0.0).astype(np.float32)
    pet[50:70, 20:40, 25:45] = 9.0  # a hot block of 512 ml, larger than a bladder, with no skull around it
    crop = find_crop(ct, grid, pet, grid, **BOX)
    assert crop.fallback
    assert crop.confidence == 0
    assert re.search(r"no head in view: hot region of 5\d\d ml above SUV 3 with bone in 0% of the", crop.reason)
    low, high = crop.grid.bounds_mm()
    assert high[2] == pytest.approx(grid.bounds_mm()[1][2])
    assert (low[0] + high[0]) / 2 == pytest.approx(20, abs=4)


def test_center_method_asks_for_no_head(phantom):
    case = phantom()
    crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, **BOX, method="center")
    assert not crop.fallback


def test_disjoint_images_are_refused():
    grid = Grid((4, 4, 4), (1, 1, 1), (0, 0, 0))
    far = Grid((4, 4, 4), (1, 1, 1), (100, 0, 0))
    with raises_naming(ValueError, "CT", "PET", 100, 104):
        find_crop(np.zeros(grid.shape), grid, np.zeros(grid.shape), far, **BOX)


def test_brain_in_box_is_the_brain(phantom):
    case = phantom()
    crop = find_crop(case.ct, case.ct_grid, case.pet, case.pet_grid, **BOX)
    brain = brain_in_box(resample(case.pet, case.pet_grid, crop.grid, outside=0.0))
    assert 600 < brain.sum() * crop.grid.voxel_ml < 2000
    assert not brain[:40].any()  # nothing of it in the lower 125 mm
    assert not brain_in_box(np.zeros((10, 4, 4))).any()


def test_real_scans_without_a_head_fall_back(realdata_dir, tmp_path):
    from hnseg.check.check_cohort import check_cohort

    check_cohort(realdata_dir / "sts_petct", Config.from_preset("demo").prepare, work=tmp_path)
    result = load_check(tmp_path)
    assert len(result.cases) == 10
    headless = {finding.case_id for finding in result.findings if finding.code == "no-head"}
    assert headless == {case.id for case in result.cases}


@pytest.fixture(scope="module")
def whole_body_pet(realdata_dir):
    """A real PET in SUV with its grid: arms up, from the skull base to the thighs; there is no CT."""
    sitk = load_sitk()
    folder = realdata_dir / "dicom" / "STS_001_wholebody_FDG_PET_BQML" / "image"
    images = sorted(
        (sitk.ReadImage(str(path)) for path in folder.glob("*.dcm")), key=lambda image: image.GetOrigin()[2]
    )
    pet = np.concatenate([sitk.GetArrayFromImage(image) for image in images]).astype(np.float32) * 2.42903e-4
    return pet, Grid((128, 128, len(images)), (4.6875, 4.6875, 3.27), images[0].GetOrigin())


def between(pet, grid, first, last):
    """Slices [first, last)."""
    origin = tuple(grid.to_physical([0, 0, first]))
    return pet[first:last], Grid((*grid.size[:2], last - first), grid.spacing_mm, origin)


@pytest.mark.parametrize("first", [0, 60], ids=["from the thighs", "from the pelvis"])
def test_the_real_whole_body_pet_is_cropped_at_the_neck(whole_body_pet, first):
    """Heart, kidneys, bladder and a sarcoma of 365 ml are hot; of the brain only the lowest slices are in view."""
    pet, grid = between(*whole_body_pet, first, 267)
    crop = find_crop(None, None, pet, grid, box_vox=(200, 200, 310), spacing_mm=1.0)
    assert not crop.fallback
    assert (crop.confidence, crop.brain_ml) == (0.5, pytest.approx(77, abs=5))
    assert re.search(r"at the upper end of the scan in a body 1\d\d mm wide; PET alone", crop.reason)
    low, high = crop.grid.bounds_mm()
    assert high[2] == pytest.approx(grid.bounds_mm()[1][2])
    assert (low + high)[0] / 2 == pytest.approx(19, abs=8)  # the midline, read off the image
    assert -75 < (low + high)[1] / 2 < -10  # between the middle of the head and that of the neck


@pytest.mark.parametrize("last", [195, 130, 75], ids=["heart", "kidneys", "bladder and sarcoma"])
def test_what_is_hot_at_the_top_of_a_scan_is_not_always_a_brain(whole_body_pet, last):
    pet, grid = between(*whole_body_pet, 0, last)
    assert find_crop(None, None, pet, grid, box_vox=(200, 200, 310), spacing_mm=1.0).fallback
