"""Masks beside scans: found by their pattern, on the scan's grid, and part of what a result is made from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ssimh.batch.mask_files import check_pattern, find_mask, leave_out_masks, read_mask
from ssimh.images.scan import ScanError, read_scan
from tests.facts import raises_naming
from tests.ssimh.cli.commands import write

PATTERN = "{folder}/{name}_mask.nii.gz"
BODY = np.zeros((4, 6, 5), np.uint8)
BODY[:, 2:5] = 1


@pytest.fixture
def scan(tmp_path):
    return read_scan(write(tmp_path / "a.nii.gz", np.ones((4, 6, 5), np.int16)))


def test_names_are_those_of_the_scan(tmp_path):
    assert find_mask(PATTERN, Path("in/a.b.nii.gz")) == Path("in/a.b_mask.nii.gz")
    (tmp_path / "1.2.840").mkdir()
    for name in ("1.2.840", "1.2.840.nrrd", "1.2.840.NII.GZ"):  # a DICOM folder, and files converted from one
        assert find_mask("masks/{name}.mha", tmp_path / name) == Path("masks/1.2.840.mha")
    assert find_mask("masks/{name}.nrrd", Path("in/series")) == Path("masks/series.nrrd")
    assert find_mask("body.nii.gz", Path("in/a.nii.gz")) == Path("body.nii.gz")
    for wrong in ("{case}.nii.gz", "{}.nii.gz", "{name.nii.gz", "{name.nii}.gz", "{name.upper}", "{name[0]}"):
        with raises_naming(ValueError, wrong, "{folder}", "{name}"):
            check_pattern(wrong)
    check_pattern(PATTERN)


def test_masks_among_the_scans_are_none(tmp_path):
    names = ("a.nii.gz", "a_mask.nii.gz", "b.nii.gz", "c_mask.nii.gz")  # there is no scan c
    scans = {Path(name): tmp_path / name for name in names}
    found = leave_out_masks(scans, lambda scan: find_mask(PATTERN, scan))
    assert [path.name for path in found] == ["a.nii.gz", "b.nii.gz", "c_mask.nii.gz"]
    assert leave_out_masks(scans, lambda scan: None) == scans
    with raises_naming(ScanError, "a.nii.gz"):
        leave_out_masks({Path("a.nii.gz"): tmp_path / "a.nii.gz"}, lambda scan: tmp_path / "a.nii.gz")


def test_a_mask_is_read_as_the_scan_lies(scan, tmp_path):
    for values in (BODY, BODY.astype(np.int16)):
        write(tmp_path / "a_mask.nii.gz", values)
        np.testing.assert_array_equal(read_mask(PATTERN, scan), BODY == 1)


@pytest.mark.parametrize(
    ("values", "place", "facts"),
    [
        (BODY.astype(np.float32), {}, ["float32"]),
        (BODY * 2, {}, ["uint8"]),
        (BODY * 0, {}, []),
        (BODY[:, 1:], {}, [(4, 5, 5), (4, 6, 5)]),
        (BODY, {"spacing": (1.0, 1.0, 2.0)}, [(2.0, 1.0, 1.0), (2.5, 1.0, 1.0)]),
        (BODY, {"direction": (1, 0, 0, 0, -1, 0, 0, 0, 1)}, []),
    ],
    ids=["floats", "not 0 and 1", "empty", "shape", "spacing", "direction"],
)
def test_masks_that_do_not_fit_are_refused_by_name(scan, tmp_path, values, place, facts):
    path = write(tmp_path / "a_mask.nii.gz", values, **place)
    with raises_naming(ScanError, path, scan.path, *facts):
        read_mask(PATTERN, scan)


def test_a_missing_mask_is_refused_by_name(scan, tmp_path):
    with raises_naming(ScanError, scan.path, tmp_path / "a_mask.nii.gz"):
        read_mask(PATTERN, scan)
    assert os.listdir(tmp_path) == ["a.nii.gz"]
