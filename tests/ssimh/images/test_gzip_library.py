"""Compressed files by ``isal`` and by Python's gzip: the same values, and the same files refused."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from ssimh.images import gzip_library
from ssimh.images.image_file import ImageFileError, read_image_file

NOISE = np.random.default_rng(0).normal(0, 300, (6, 16, 16))
VALUES = NOISE.astype(np.int16)


@pytest.fixture(params=["isal", "gzip"])
def library(request, monkeypatch):
    """Each of the two unpacks."""
    if request.param == "isal" and not gzip_library.has_isal():
        pytest.skip("isal is not installed")
    if request.param == "gzip":
        monkeypatch.setattr(gzip_library, "igzip", None)
    return request.param


def nifti(path, values=VALUES, slope=None):
    """Bytes of an uncompressed NIfTI file."""
    image = sitk.GetImageFromArray(values)
    sitk.WriteImage(image, str(path))
    raw = bytearray(path.read_bytes())
    path.unlink()
    if slope is not None:
        struct.pack_into("<2f", raw, 112, *slope)
    return bytes(raw)


@pytest.mark.parametrize("slope", [None, (0.37, -3.3), (1e-3, 0.0), (2.0, 1e4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_values_are_those_of_itk(tmp_path, library, dtype, slope):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti(tmp_path / "b.nii", np.abs(NOISE).clip(0, 250).astype(dtype), slope)))
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    values, header = read_image_file(path)
    assert values.dtype == header.dtype == expected.dtype
    assert values.flags.writeable
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.gipl.gz", "a.hdr"])
def test_other_formats_with_gzip(tmp_path, library, name):
    """Their voxels begin elsewhere, in another file, or have another byte order."""
    sitk.WriteImage(sitk.GetImageFromArray(VALUES), str(tmp_path / name), True)
    np.testing.assert_array_equal(read_image_file(tmp_path / name)[0], VALUES)


def outcome(path, raw):
    """What the reader makes of these bytes: ``"refused"`` or the values."""
    path.write_bytes(raw)
    try:
        return read_image_file(path)[0].tolist()
    except ImageFileError:
        return "refused"


def test_every_flipped_bit_of_the_voxels_the_checksum_and_the_length_is_noticed(tmp_path, library):
    """One bit at each of 100 places: refused, or, where the code is redundant, the same values."""
    sound = gzip.compress(nifti(tmp_path / "b.nii"))
    path = tmp_path / "a.nii.gz"
    values = outcome(path, sound)
    assert values == VALUES.tolist()
    rng = np.random.default_rng(1)
    found = []
    for place in [*rng.integers(400, len(sound), 92), *range(len(sound) - 8, len(sound))]:
        flipped = bytearray(sound)
        flipped[place] ^= 1 << int(rng.integers(8))
        found.append(outcome(path, bytes(flipped)))
    assert all(one in ("refused", values) for one in found)
    assert found.count("refused") >= 97
    assert found[-8:] == ["refused"] * 8


def test_cut_files_and_what_follows_the_end(tmp_path, library):
    raw = nifti(tmp_path / "b.nii")
    sound = gzip.compress(raw)
    path = tmp_path / "a.nii.gz"
    values = outcome(path, sound)
    for length in (len(sound) - 1, len(sound) - 4, len(sound) - 8, len(sound) - 9, len(sound) // 2, 400, 11, 1):
        assert outcome(path, sound[:length]) == "refused"
    for more in (b"x", b"garbage", b"\0\0x", b"\x1f\x8b", gzip.compress(b"more"), gzip.compress(b"")[:-1]):
        assert outcome(path, sound + more) == "refused"
    # Zeros fill a block of a tape, and two parts are one file: as gzip itself has it.
    assert outcome(path, sound + bytes(512)) == values
    assert outcome(path, gzip.compress(raw[:1000]) + gzip.compress(raw[1000:])) == values


def test_a_part_with_a_wrong_checksum_is_refused(tmp_path, library):
    """Not only that of the last part is verified."""
    raw = nifti(tmp_path / "b.nii")
    first = bytearray(gzip.compress(raw[:1000]))
    path = tmp_path / "a.nii.gz"
    for place in (-8, -4):
        wrong = bytearray(first)
        wrong[place] ^= 1
        assert outcome(path, bytes(wrong) + gzip.compress(raw[1000:])) == "refused"


def test_values_beyond_the_type_after_the_slope_are_refused(tmp_path, library):
    raw = nifti(tmp_path / "b.nii", np.full((2, 3, 4), 3e38, np.float32), (3e38, 0.0))
    assert outcome(tmp_path / "a.nii.gz", gzip.compress(raw)) == "refused"
