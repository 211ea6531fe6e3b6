"""Real series: as SimpleITK reads them, and as others converted them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.records import SeriesIndex
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.dicom.series.walk import find_series
from hnseg.images.geometry import Grid
from ssimh.images.scan import read_scan

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def index(realdata_dir) -> SeriesIndex:
    return find_series(realdata_dir / "dicom")


def test_six_series_are_found(index):
    assert [series.label for series in index.series] == [
        "PET series 1 (128 × 128 × 267)",
        "RTSTRUCT series 2",
        "CT series 3 (161 × 143 × 48)",
        "RTSTRUCT series 4",
        "PET series 5 (30 × 27 × 48)",
        "RTSTRUCT series 6",
    ]
    assert all(series.why_unusable is None and series.notes == () for series in index.series)
    assert index.series[0].patient_key != index.series[2].patient_key == index.series[4].patient_key
    assert [series.units for series in index.series if series.modality == "PT"] == ["BQML", "GML"]


def as_itk(volume: SeriesVolume, folder: Path) -> None:
    """The same grid and values as SimpleITK's."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    np.testing.assert_allclose(volume.values, sitk.GetArrayFromImage(image), rtol=1e-6)
    size, spacing = image.GetSize(), image.GetSpacing()
    assert volume.grid.matches(Grid(size, spacing, image.GetOrigin(), image.GetDirection()), tolerance_mm=1e-6)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_volumes_are_those_of_simpleitk(index, number):
    series = index.series[number - 1]
    volume = read_volume(series)
    as_itk(volume, series.files[0].parent)
    assert volume.warnings == ()
    assert len(volume.headers) == len(series.slices)


def test_the_whole_body_pet_has_the_stated_size(index):
    grid = index.series[0].grid
    assert grid.size == (128, 128, 267)
    assert grid.spacing_mm == pytest.approx((4.6875, 4.6875, 3.27))


def test_the_ct_is_the_one_that_others_converted(index, realdata_dir):
    ours = read_volume(index.series[2])
    theirs = read_scan(realdata_dir / "sts_petct" / "Task 1" / "STAN-002" / "STAN-002__CT.nii.gz")
    header = theirs.header
    grid = Grid(header.size, header.spacing_mm, header.origin_mm, header.direction)
    assert ours.grid.matches(grid)
    np.testing.assert_array_equal(ours.values, theirs.values)
