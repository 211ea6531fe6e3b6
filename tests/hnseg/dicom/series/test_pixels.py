"""Stored values and what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.decoders import base
from pydicom.uid import MPEG2MPML, HTJ2KLossless, JPEGLosslessSV1

from hnseg.dicom.series.faults import SeriesFault
from hnseg.dicom.series.pixels import decode_pixels, padding_mask, rescale_into
from tests.facts import names


@given(st.integers(-(2**15), 2**15 - 1), st.floats(1e-5, 100), st.floats(-5000, 5000))
def test_values_are_those_of_float64_to_the_last_bit_of_float32(stored, slope, intercept):
    found = np.empty((1, 1), np.float32)
    rescale_into(found, np.array([[stored]], np.int16), slope, intercept)
    assert found[0, 0] == np.float32(stored * slope + intercept)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_whole_numbers_stay_exact(dtype):
    stored = np.array([[0, 1, 100]], dtype)
    found = np.empty((1, 3), np.float32)
    rescale_into(found, stored, 1.0, -1024.0)
    np.testing.assert_array_equal(found, [[-1024, -1023, -924]])


@pytest.mark.parametrize("value", [63536, -2000])
def test_padding_may_be_stated_without_its_sign(value):
    header = Dataset()
    header.add_new("PixelPaddingValue", "US" if value > 0 else "SS", value)
    mask = padding_mask(header, np.array([[-2000, 0]], np.int16), 1.0, 0.0)
    np.testing.assert_array_equal(mask, [[True, False]])


def compressed(syntax) -> Dataset:
    """A dataset that claims to be compressed."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    return dataset


def test_a_missing_decoder_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(base.Decoder, "is_available", property(lambda self: False))
    monkeypatch.setattr(base.Decoder, "missing_dependencies", property(lambda self: ["gdcm - requires gdcm>=3.0.10"]))
    with pytest.raises(SeriesFault) as caught:
        decode_pixels(compressed(JPEGLosslessSV1), None)
    assert caught.value.tag == "TransferSyntaxUID"
    assert names(caught.value.message, 'pip install "ssimh[dicom]"')
    assert "gdcm" in caught.value.message


@pytest.mark.parametrize("syntax", [MPEG2MPML, "1.2.3.4.5"])
def test_a_transfer_syntax_that_nobody_decodes_is_refused(syntax):
    with pytest.raises(SeriesFault) as caught:
        decode_pixels(compressed(syntax), None)
    assert caught.value.tag == "TransferSyntaxUID"
    assert "1.2.3.4.5" not in caught.value.message


def test_high_throughput_jpeg_2000_names_its_package():
    with pytest.raises(SeriesFault) as caught:
        decode_pixels(compressed(HTJ2KLossless), None)
    assert "pylibjpeg-openjpeg" in caught.value.message or caught.value.tag == "PixelData"
    assert "ssimh" not in caught.value.message


def test_damaged_pixels_are_refused():
    with pytest.raises(SeriesFault) as caught:
        decode_pixels(compressed(JPEGLosslessSV1), None)
    assert caught.value.tag == "PixelData"
