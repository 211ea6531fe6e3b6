"""A DICOM series is read whole and as its slices lie, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from ssimh.images.image_file import ImageFileError, read_image_file
from ssimh.images.scan import read_scan

SERIES = "1.2.826.0.1.3680043.2.1125.1"
SPACING_MM = 3.0


def write_series(folder, count=6, tilt_mm=0.0, modality="CT", values=None):
    """Axial slices of 8 × 7 pixels, each shifted along y by ``tilt_mm`` more than the one before."""
    folder.mkdir()
    values = np.arange(count * 56, dtype=np.int16).reshape(count, 7, 8) if values is None else values
    for number in range(count):
        image = sitk.GetImageFromArray(values[number])
        image.SetSpacing((1.0, 1.0))
        tags = {
            "0008|0060": modality,
            "0020|000e": SERIES,
            "0020|000d": f"{SERIES}.1",
            "0008|0018": f"{SERIES}.2.{number + 1}",
            "0020|0013": str(number + 1),
            "0020|0032": f"-4\\{number * tilt_mm}\\{number * SPACING_MM}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": str(SPACING_MM),
        }
        for key, text in tags.items():
            image.SetMetaData(key, text)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{number:03d}.dcm"))
        writer.Execute(image)
    return folder


def refused(folder, *facts):
    with pytest.raises(ImageFileError) as caught:
        read_image_file(folder)
    assert caught.value.path == folder
    return all(str(fact) in caught.value.reason for fact in facts)


def test_a_series_is_one_image(tmp_path):
    values, header = read_image_file(write_series(tmp_path / "ct"))
    np.testing.assert_array_equal(values.ravel(), np.arange(6 * 56))
    assert (header.size, header.spacing_mm) == ((8, 7, 6), (1.0, 1.0, SPACING_MM))
    assert read_scan(tmp_path / "ct").unit == "HU"


def test_a_missing_slice_is_refused(tmp_path):
    folder = write_series(tmp_path / "ct")
    (folder / "002.dcm").unlink()
    assert refused(folder, "of 5")


@pytest.mark.parametrize("name", ["002.dcm", "005.dcm"])
def test_a_damaged_slice_is_not_left_out(tmp_path, name):
    folder = write_series(tmp_path / "ct")
    (folder / name).write_bytes((folder / name).read_bytes()[:-10])
    assert refused(folder, name)


def test_a_tilted_gantry_is_refused(tmp_path):
    assert refused(write_series(tmp_path / "ct", tilt_mm=0.5))


def test_two_series_and_none_are_refused(tmp_path):
    folder = write_series(tmp_path / "ct")
    other = write_series(tmp_path / "other", modality="PT")
    for path in sorted(other.iterdir()):
        image = sitk.ReadImage(str(path))
        image.SetMetaData("0020|000e", f"{SERIES}.9")
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"other{path.name}"))
        writer.Execute(image)
    assert refused(folder, 2)
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty", 0)
