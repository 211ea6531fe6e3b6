"""Image files: geometry survives, broken files are named, nothing is half-written."""

from __future__ import annotations

import gzip
import os
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_grid, read_image, write_image
from ssimh.files.nifti_integrity import orientation_doubt, read_header

FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((5, 4, 3), (0.977, 0.977, 3.27), (-120.5, 33.25, -700.0), FLIPPED)
RAMP = np.arange(60, dtype=np.int16).reshape(GRID.shape) - 30


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd"])
def test_round_trip_keeps_values_and_grid(tmp_path, name):
    write_image(tmp_path / name, RAMP, GRID)
    array, grid = read_image(tmp_path / name, "ONE-001")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, RAMP)
    assert grid.matches(GRID)
    assert read_grid(tmp_path / name, "ONE-001") == grid
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_files_own_dtype_is_held_once_and_outlives_the_reader(tmp_path):
    values = np.random.default_rng(0).integers(-1000, 2000, (60, 64, 64)).astype(np.int16)
    write_image(tmp_path / "a.nii", values, Grid((64, 64, 60), (1, 1, 1), (0, 0, 0)))
    array, _ = read_image(tmp_path / "a.nii", "ONE-001", dtype=None)
    assert array.dtype == np.int16
    others = [read_image(tmp_path / "a.nii", "ONE-001", dtype=None)[0] + 1 for _ in range(5)]  # reuse what is freed
    np.testing.assert_array_equal(array, values)
    array[0, 0, 0] = 7
    assert others[0][0, 0, 0] == values[0, 0, 0] + 1


def test_a_trailing_axis_of_one_is_dropped(tmp_path):
    image = sitk.JoinSeries([sitk.GetImageFromArray(RAMP)])
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    assert read_image(tmp_path / "a.nii.gz", "ONE-001")[0].shape == RAMP.shape


def _missing(path):
    pass


def _garbage(path):
    path.write_bytes(b"not an image at all" * 20)


def _empty(path):
    path.write_bytes(b"")


def _truncated(path):
    noise = np.random.default_rng(0).integers(-1000, 1000, (40, 40, 40)).astype(np.int16)
    write_image(path, noise, Grid((40, 40, 40), (1, 1, 1), (0, 0, 0)))
    path.write_bytes(path.read_bytes()[:20000])


def _cut_in_the_middle_of_a_whole_gzip(path):
    """A gzip file that is whole, of a NIfTI file that is not: an interrupted converter makes these."""
    write_image(path, RAMP, GRID)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:400]))


def _not_gzip(path):
    write_image(path, RAMP, GRID)
    path.write_bytes(gzip.decompress(path.read_bytes())[:300])


def _four_dimensional(path):
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(RAMP)] * 2), str(path))


def _color(path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))


def _nan(path):
    array = RAMP.astype(np.float32)
    array[0, 0, 0] = np.nan
    write_image(path, array, GRID)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_missing, "does not exist"),
        (_garbage, "not a readable image"),
        (_empty, r"the file is empty \(0 bytes\)"),
        (_truncated, "damaged or end too early"),
        (_cut_in_the_middle_of_a_whole_gzip, "the header asks for 472 bytes, the file holds 400"),
        (_not_gzip, "not a readable image|is damaged"),
        (_four_dimensional, "expected a scalar 3-D image"),
        (_color, "expected a scalar 3-D image"),
        (_nan, "1 voxels are NaN or infinite"),
    ],
)
def test_a_broken_file_is_named_with_its_case(tmp_path, damage, message):
    path = tmp_path / "ONE-001__CT.nii.gz"
    damage(path)
    with pytest.raises(CaseError, match=message) as caught:
        read_image(path, "ONE-001")
    assert caught.value.case_id == "ONE-001"
    assert str(path) in str(caught.value)


def test_a_truncated_uncompressed_nifti_is_refused(tmp_path):
    write_image(tmp_path / "a.nii", RAMP, GRID)
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:-2])
    with pytest.raises(CaseError, match="the header asks for 472 bytes, the file holds 470"):
        read_image(tmp_path / "a.nii", "ONE-001")


@pytest.mark.parametrize("ending", ["nii.gz", "mha", "nrrd"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_a_flipped_bit_is_found_by_the_checksum(tmp_path, dtype, ending):
    """ITK reads on without complaint: the voxels would be wrong in silence."""
    values = np.random.default_rng(0).integers(0, 200, (64, 64, 64)).astype(dtype)
    path = tmp_path / f"a.{ending}"
    write_image(path, values, Grid((64, 64, 64), (1, 1, 1), (0, 0, 0)))
    whole = path.read_bytes()
    np.testing.assert_array_equal(read_image(path, "ONE-001")[0], values)
    for place in (len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        with pytest.raises(CaseError, match=r"damaged|data read error"):
            read_image(path, "ONE-001")


@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_a_sound_file_of_another_byte_order_is_read_a_second_time_and_passes(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_image(path, RAMP, GRID)
    raw = path.read_bytes()
    path.write_bytes(
        raw.replace(b"ByteOrderMSB = False", b"ByteOrderMSB = True").replace(b"endian: little", b"endian: big")
    )
    np.testing.assert_array_equal(read_image(path, "ONE-001", dtype=None)[0], RAMP.byteswap())


def test_uncompressed_files_have_no_checksum(tmp_path):
    for ending in ("mha", "nrrd"):
        sitk.WriteImage(sitk.GetImageFromArray(RAMP), str(tmp_path / f"a.{ending}"))
        np.testing.assert_array_equal(read_image(tmp_path / f"a.{ending}", "ONE-001")[0], RAMP)


def test_files_that_were_written_otherwise_are_read_all_the_same(tmp_path):
    """In two gzip parts, or with a slope: neither has the plain checksum, and neither is damaged."""
    path = tmp_path / "a.nii.gz"
    write_image(path, RAMP, GRID)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(bytes(raw[:400])) + gzip.compress(bytes(raw[400:])))
    np.testing.assert_array_equal(read_image(path, "ONE-001")[0], RAMP)
    struct.pack_into("<2f", raw, 112, 0.5, 3.0)
    path.write_bytes(gzip.compress(bytes(raw)))
    np.testing.assert_array_equal(read_image(path, "ONE-001")[0], RAMP * 0.5 + 3)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write_image(path, RAMP, GRID)
    before = path.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sitk, "WriteImage", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_image(path, RAMP + 1, GRID)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_array_and_grid_must_agree(tmp_path):
    with pytest.raises(ValueError, match="shape"):
        write_image(tmp_path / "a.nii.gz", RAMP.T, GRID)


def with_header(path, **fields):
    """Write the ramp as ``path`` (.nii) with bytes of its NIfTI-1 header replaced: offset, format, values."""
    write_image(path, RAMP, GRID)
    raw = bytearray(path.read_bytes())
    for offset, kind, values in fields.values():
        struct.pack_into(kind, raw, offset, *values)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("bad", [0.0, -2.0, float("nan"), float("inf")])
def test_a_spacing_that_itk_would_mend_in_silence_is_refused(tmp_path, bad):
    path = with_header(tmp_path / "a.nii", pixdim=(84, "<f", (bad,)))
    with pytest.raises(CaseError, match=rf"spacing 0\.977, {bad:g}, 3\.27 mm; each must be a positive number"):
        read_grid(path, "ONE-001")


def test_a_sheared_or_singular_header_is_refused(tmp_path):
    sheared = with_header(
        tmp_path / "a.nii", codes=(252, "<2h", (0, 1)), sform=(280, "<12f", (1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0))
    )
    for path, matrix in ((sheared, None), (tmp_path / "b.mha", "1 0 0 0.5 1 0 0 0 1"), (tmp_path / "c.mha", "0 " * 9)):
        if matrix:
            header = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            header += f"TransformMatrix = {matrix}\nOffset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 5 4 3\n"
            header += "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
            path.write_bytes(header.encode() + RAMP.tobytes())
        with pytest.raises(CaseError, match="axes are sheared or singular; they must be perpendicular"):
            read_grid(path, "ONE-001")


def test_a_turned_and_flipped_header_is_not_taken_for_sheared(tmp_path):
    turn = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, -1]])
    grid = Grid((5, 4, 3), (0.977, 0.977, 3.27), (-120.5, 33.25, -700.0), tuple(turn.ravel()))
    for name in ("a.nii.gz", "a.mha"):
        write_image(tmp_path / name, RAMP, grid)
        assert read_grid(tmp_path / name, "ONE-001").matches(grid)
        assert name == "a.mha" or orientation_doubt(read_header(tmp_path / name)) is None


def test_a_header_that_says_two_places_is_doubted(tmp_path):
    moved = with_header(tmp_path / "a.nii", sform=(292, "<f", (120.5 + 7.0,)))
    assert orientation_doubt(read_header(moved)) == (
        "qform and sform of the header put the image 7.0 mm apart; programs differ in which they follow"
    )
    neither = with_header(tmp_path / "b.nii", codes=(252, "<2h", (0, 0)))
    assert "neither by qform nor by sform" in orientation_doubt(read_header(neither))


def test_an_absurd_size_is_refused_before_anything_is_allocated(tmp_path):
    path = with_header(tmp_path / "a.nii", dim=(42, "<3h", (32000, 32000, 32000)))
    with pytest.raises(CaseError, match=r"header claims \(32000, 32000, 32000\) voxels, more than 2147483648"):
        read_image(path, "ONE-001")


@pytest.mark.parametrize("length", [0, -5])
def test_a_size_below_one_is_refused(tmp_path, length):
    with pytest.raises(CaseError, match="every length must be ≥ 1"):
        read_grid(with_header(tmp_path / "a.nii", dim=(42, "<h", (length,))), "ONE-001")


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    write_image(tmp_path / "a.nii.gz", RAMP, GRID)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(CaseError, match="no permission to read"):
        read_grid(tmp_path / "a.nii.gz", "ONE-001")
