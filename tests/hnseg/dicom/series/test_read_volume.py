"""Volumes: SimpleITK as an oracle for geometry and values, and what is refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.records import SeriesRecord
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.dicom.series.walk import find_series
from hnseg.errors import DicomError
from tests.facts import names, raises_naming
from tests.hnseg.dicom import phantoms
from tests.hnseg.dicom.phantoms import CORONAL, FEET_FIRST, OBLIQUE, SAGITTAL, make_ct, make_enhanced, make_pet, pattern

SHAPE = (12, 16, 16)


def only(folder) -> SeriesRecord:
    """The only series in a folder."""
    (series,) = find_series(folder).series
    return series


def read_with_itk(folder) -> sitk.Image:
    """The series in a folder as SimpleITK reads it."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def assert_as_itk(volume: SeriesVolume, folder) -> None:
    """The same grid and the same values."""
    image = read_with_itk(folder)
    np.testing.assert_allclose(volume.values, sitk.GetArrayFromImage(image), rtol=1e-6)
    assert volume.grid.size == image.GetSize()
    assert volume.grid.spacing_mm == pytest.approx(image.GetSpacing(), abs=1e-6)
    assert volume.grid.origin_mm == pytest.approx(image.GetOrigin(), abs=1e-6)
    assert volume.grid.direction == pytest.approx(image.GetDirection(), abs=1e-6)


@pytest.mark.parametrize("orientation", [phantoms.AXIAL, CORONAL, SAGITTAL, FEET_FIRST, OBLIQUE])
@pytest.mark.parametrize("make", [make_ct, make_pet])
def test_series_are_read_as_simpleitk_reads_them(tmp_path, make, orientation):
    written = make(tmp_path, orientation=orientation, shape=(5, 6, 7))
    volume = read_volume(only(tmp_path))
    assert_as_itk(volume, tmp_path)
    assert [header.SOPInstanceUID for header in volume.headers] == [slice_.SOPInstanceUID for slice_ in written]
    assert not any("PixelData" in header for header in volume.headers)
    assert volume.warnings == ()


def test_order_is_by_position_and_not_by_number_or_name(tmp_path):
    make_ct(tmp_path, edit=lambda dataset, z: setattr(dataset, "InstanceNumber", 7 * z % 12))
    np.testing.assert_array_equal(read_volume(only(tmp_path)).values, pattern(SHAPE) - 500)


def test_each_slice_has_its_own_slope(tmp_path):
    make_pet(tmp_path)
    np.testing.assert_allclose(read_volume(only(tmp_path)).values, 10 * pattern(SHAPE), atol=0.5)


@pytest.mark.parametrize(
    "options",
    [
        {"signed": False, "intercept": -1024.0},
        {"signed": True, "intercept": 0.0, "bits_stored": 12},
        {"signed": False, "intercept": -1024.0, "bits_stored": 12},
        {"signed": True, "intercept": 0.0, "slopes": 0.5},
    ],
)
def test_pixels_are_signed_and_as_wide_as_the_header_says(tmp_path, options):
    make_ct(tmp_path, shape=(2, 4, 4), **options)
    np.testing.assert_array_equal(read_volume(only(tmp_path)).values, pattern((2, 4, 4)) - 500)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLSLossless, JPEGLosslessSV1, JPEG2000Lossless],
    ids=lambda syntax: syntax.keyword,
)
@pytest.mark.parametrize("signed", [True, False])
def test_compressed_pixels_are_decoded(tmp_path, syntax, signed):
    make_ct(tmp_path, shape=(2, 16, 16), transfer_syntax=syntax, signed=signed)
    np.testing.assert_array_equal(read_volume(only(tmp_path)).values, pattern((2, 16, 16)) - 500)


def test_monochrome1_is_about_display_and_not_about_values(tmp_path):
    make_ct(tmp_path, tags={"PhotometricInterpretation": "MONOCHROME1"})
    np.testing.assert_array_equal(read_volume(only(tmp_path)).values, pattern(SHAPE) - 500)


def test_padding_is_air(tmp_path):
    values = pattern(SHAPE) - 500
    values[:, :2] = -3024
    make_ct(tmp_path, values=values, tags={"PixelPaddingValue": -2000})
    found = read_volume(only(tmp_path)).values
    assert (found[:, :2] == -1024).all()
    np.testing.assert_array_equal(found[:, 2:], values[:, 2:])


def test_a_range_of_padding_is_air(tmp_path):
    values = pattern(SHAPE) - 500
    values[:, 0], values[:, 1] = -3024, -3020
    make_ct(tmp_path, values=values, tags={"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990})
    assert (read_volume(only(tmp_path)).values[:, :2] == -1024).all()


def test_padding_among_tissue_is_left_and_mentioned(tmp_path):
    make_ct(tmp_path, tags={"PixelPaddingValue": 1024})
    volume = read_volume(only(tmp_path))
    np.testing.assert_array_equal(volume.values, pattern(SHAPE) - 500)
    (warning,) = volume.warnings
    assert names(warning, "0 HU")


@pytest.mark.parametrize(
    ("make", "tags", "tag"),
    [
        (make_ct, {"RescaleSlope": None}, "RescaleSlope"),
        (make_pet, {"RescaleSlope": None}, "RescaleSlope"),
        (make_ct, {"RescaleIntercept": None}, "RescaleIntercept"),
        (make_pet, {"RescaleSlope": "0"}, "RescaleSlope"),
        (make_pet, {"RescaleSlope": "-1"}, "RescaleSlope"),
        (make_pet, {"RescaleSlope": "1e99"}, "RescaleSlope"),
        (make_ct, {"RescaleType": "OD"}, "RescaleType"),
        (make_ct, {"HighBit": 11}, "HighBit"),
        (make_ct, {"Rows": 15}, "PixelData"),
    ],
)
def test_values_without_a_meaning_are_refused(tmp_path, make, tags, tag):
    make(tmp_path, shape=(3, 16, 16), tags=tags)
    series = only(tmp_path)
    with raises_naming(DicomError, tag, series.label) as caught:
        read_volume(series)
    assert caught.value.tag == tag


def test_a_slope_of_0_in_one_slice_is_refused(tmp_path):
    make_pet(tmp_path, slopes=[0.0 if z == 7 else 1.0 for z in range(12)])
    with raises_naming(DicomError, "RescaleSlope", 0):
        read_volume(only(tmp_path))


def test_an_unspecified_unit_of_a_ct_is_mentioned(tmp_path):
    make_ct(tmp_path, tags={"RescaleType": "US"})
    (warning,) = read_volume(only(tmp_path)).warnings
    assert names(warning, "RescaleType")


def test_the_same_slice_twice_is_used_once(tmp_path):
    make_ct(tmp_path, repeated=(3, 5))
    volume = read_volume(only(tmp_path))
    np.testing.assert_array_equal(volume.values, pattern(SHAPE) - 500)
    (warning,) = volume.warnings
    assert names(warning, 2)
    assert len(volume.headers) == 12


def test_different_slices_at_one_position_are_refused(tmp_path):
    def brighten(dataset, z):
        if dataset.InstanceNumber > 12:
            dataset.RescaleIntercept = "-1000"

    make_ct(tmp_path, repeated=(3,), edit=brighten)
    with raises_naming(DicomError, "ImagePositionPatient"):
        read_volume(only(tmp_path))


def test_a_missing_slice_is_refused_with_its_neighbors(tmp_path):
    make_ct(tmp_path, missing=(5,))
    series = only(tmp_path)
    with raises_naming(DicomError, series.label, "-4.50", "1.50", "ImagePositionPatient"):
        read_volume(series)


def test_what_is_no_image_is_refused(tmp_path):
    make_ct(tmp_path, tags={"SOPClassUID": pydicom.uid.RTStructureSetStorage}, shape=(1, 2, 2))
    with raises_naming(DicomError, "SOPClassUID"):
        read_volume(only(tmp_path))


def test_a_file_that_changes_after_the_walk_is_noticed(tmp_path):
    make_ct(tmp_path)
    series = only(tmp_path)
    first, second = series.files[:2]
    first.write_bytes(second.read_bytes())
    with raises_naming(DicomError, "SOPInstanceUID"):
        read_volume(series)
    first.unlink()
    with raises_naming(DicomError, series.label):
        read_volume(series)


def test_a_tilted_series_is_put_upright_by_shifts_within_its_planes(tmp_path):
    phantom = phantoms.Phantom(tilt_deg=20.0)
    y, x = np.mgrid[:16, :16]
    points = np.stack([phantom.position_mm(z) + (x[..., None] * 2 * phantom.axes[0]) for z in range(12)])
    points = points + y[..., None] * 2 * phantom.axes[1]
    field = np.array([3.0, -2.0, 5.0])  # linear in space, so that linear interpolation is exact
    make_ct(tmp_path, tilt_deg=20.0, values=points @ field, slopes=0.02, intercept=-300.0)
    series = only(tmp_path)
    volume = read_volume(series)
    expected = np.moveaxis(np.indices(volume.grid.shape)[::-1], 0, -1)
    expected = volume.grid.to_physical(expected) @ field
    inside = volume.values > -1000
    assert inside.mean() > 0.5
    interior = inside & np.roll(inside, 1, axis=1) & np.roll(inside, -1, axis=1)
    assert np.abs((volume.values - expected)[interior]).max() < 0.03
    assert (volume.values[~inside] == -1024).any()
    (warning,) = volume.warnings
    assert names(warning, "20.0°")
    with raises_naming(DicomError, "20.0°"):
        read_volume(series, tilt="refuse")


@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.parametrize("orientation", [phantoms.AXIAL, OBLIQUE])
def test_frames_of_an_enhanced_image_are_slices(tmp_path, modality, orientation):
    order = (3, 0, 11, 7, 1, 2, 10, 4, 6, 5, 9, 8)
    slopes = [0.5 + 0.5 * (z % 2) for z in range(12)]
    make_enhanced(tmp_path / "enhanced", modality, order=order, slopes=slopes, orientation=orientation)
    volume = read_volume(only(tmp_path))
    np.testing.assert_allclose(volume.values, pattern(SHAPE), atol=0.5)
    phantom = phantoms.Phantom(orientation=orientation)
    assert volume.grid.origin_mm == pytest.approx(phantom.origin_mm)
    assert [header.InstanceNumber for header in volume.headers] == [order.index(z) + 1 for z in range(12)]
    np.testing.assert_allclose([float(header.RescaleSlope) for header in volume.headers], slopes)
    assert all(int(header.ActualFrameDuration) == 120000 for header in volume.headers)


def test_a_compressed_enhanced_image_is_decoded(tmp_path):
    make_enhanced(tmp_path / "enhanced", transfer_syntax=RLELossless)
    np.testing.assert_array_equal(read_volume(only(tmp_path)).values, pattern(SHAPE))


def test_messages_name_no_uid_and_no_path(tmp_path):
    written = make_pet(tmp_path / "SECRET", missing=(5,), tags={"PatientName": "SECRET"})
    with pytest.raises(DicomError) as caught:
        read_volume(only(tmp_path))
    series = only(tmp_path)
    for text in (str(caught.value), repr(series)):
        assert "SECRET" not in text
        assert not any(str(value) in text for value in (written[0].SeriesInstanceUID, written[0].StudyInstanceUID))
