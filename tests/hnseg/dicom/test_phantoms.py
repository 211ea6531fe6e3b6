"""The generated series are what they say: SimpleITK and pydicom read the values and positions that went in."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.hnseg.dicom import phantoms

SYNTAXES = (
    *(ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
    *(RLELossless, JPEGLSLossless, JPEGLosslessSV1, JPEG2000Lossless),
)


def test_simpleitk_reads_what_was_written(tmp_path):
    phantoms.make_ct(tmp_path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), phantoms.pattern((12, 16, 16)) - 500)
    assert image.GetSpacing() == pytest.approx((2.0, 2.0, 3.0))
    assert image.GetOrigin() == pytest.approx((-15.0, -15.0, -16.5))


def test_slopes_differ_from_slice_to_slice(tmp_path):
    slices = phantoms.make_pet(tmp_path)
    values = np.stack([slice_.pixel_array * float(slice_.RescaleSlope) for slice_ in slices])
    np.testing.assert_allclose(values, 10 * phantoms.pattern((12, 16, 16)), atol=0.5)
    assert len({float(slice_.RescaleSlope) for slice_ in slices}) == 3


def test_tilted_images_lean_and_their_positions_do_not():
    phantom = phantoms.Phantom(tilt_deg=30.0)
    np.testing.assert_allclose(phantom.axes[1], [0, np.sqrt(0.75), 0.5])
    np.testing.assert_allclose(phantom.position_mm(1) - phantom.position_mm(0), [0, 0, 3])


def test_names_of_files_do_not_follow_positions(tmp_path):
    phantoms.make_ct(tmp_path)
    heights = [float(pydicom.dcmread(path).ImagePositionPatient[2]) for path in sorted(tmp_path.iterdir())]
    assert heights != sorted(heights)
    assert len(heights) == 12


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_every_transfer_syntax_holds_the_same_pixels(tmp_path, syntax):
    (written,) = phantoms.make_ct(tmp_path, shape=(1, 16, 16), transfer_syntax=syntax)
    (path,) = tmp_path.iterdir()
    found = pydicom.dcmread(path)
    assert found.file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(found.pixel_array, phantoms.pattern((1, 16, 16))[0] + 524)
    assert found.SOPInstanceUID == written.SOPInstanceUID


def test_frames_of_an_enhanced_image_are_in_the_order_asked_for(tmp_path):
    phantoms.make_enhanced(tmp_path / "file", order=(2, 0, 1), shape=(3, 4, 4))
    found = pydicom.dcmread(tmp_path / "file")
    np.testing.assert_array_equal(found.pixel_array, phantoms.pattern((3, 4, 4))[[2, 0, 1]])
