"""Masks of cases come from contours and from segments alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hnseg.dicom.convert import convert_dicom
from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.walk import find_series
from hnseg.dicom.structures.write_seg import write_segmentation
from hnseg.images.image_io import read_image
from tests.hnseg.dicom import studies


def read_label(out: Path) -> np.ndarray:
    return read_image(out / "Task 1" / "case-001" / "case-001.nii.gz", "x", dtype=None)[0]


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    mask = np.zeros(studies.SHAPE, np.uint8)
    mask[studies.LESION] = 1
    mask[7, 2:4, 5:9] = 2
    return mask


def write_seg(folder: Path, mask: np.ndarray, form: str, name: str) -> None:
    (record,) = [record for record in find_series(folder / "ct").series if record.modality == "CT"]
    volume = read_volume(record)
    write_segmentation(mask, volume.grid, volume.headers, folder / name, form=form)


@pytest.mark.parametrize("form", ["binary", "labelmap"])
def test_a_segmentation_object_becomes_its_mask(tmp_path, mask, form):
    studies.make_study(tmp_path / "in", structures=())
    write_seg(tmp_path / "in", mask, form, "seg")
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert report.failures == ()
    np.testing.assert_array_equal(read_label(tmp_path / "out"), mask)
    assert [row["label"] for row in report.states[0].record["label"]["structures"]] == [1, 2]


def test_series_with_one_label_each_are_united_and_with_the_same_label_refused(tmp_path, mask):
    """GTVp as contours, GTVn as contours of another file; then a segmentation that holds both."""
    written = studies.make_study(tmp_path / "in", structures=("GTVp",))
    studies.write_contours(tmp_path / "in" / "other", written["ct"], ["-", "GTVn"])
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert report.failures == ()
    label = read_label(tmp_path / "out")
    z, y, x = studies.LESION
    assert (label[z, y, x] == 1).all()
    assert ((label == 2).sum(), (label == 1).sum()) == (30, 60)
    write_seg(tmp_path / "in", mask, "binary", "seg")
    (failure,) = convert_dicom(tmp_path / "in", tmp_path / "out").failures
    assert "GTVp" in failure.reason
    assert failure.reason.count("--structure-series") == 2


def test_contours_on_the_pet_come_second(tmp_path):
    written = studies.make_study(tmp_path / "in", structures=("GTVp",))
    studies.write_contours(tmp_path / "in" / "pet-contours", written["pet"], ["GTVn"])
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert set(np.unique(read_label(tmp_path / "out"))) == {0, 1}
    assert report.states[0].record["label"]["files"] == [1]
    rows = json.loads((tmp_path / "out" / "dicom.json").read_text())["series"]
    assert [row["used_as"] for row in rows] == [None, "ct", "pet", "structures"]
    assert "RTSTRUCT series 4" in rows[0]["why"]
    shutil.rmtree(tmp_path / "in" / "rt")
    report = convert_dicom(tmp_path / "in", tmp_path / "out")
    assert set(np.unique(read_label(tmp_path / "out"))) == {0, 2}
