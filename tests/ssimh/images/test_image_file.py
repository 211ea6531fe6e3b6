"""The strict reader: what a file states is read as it is; what is damaged or contradictory is refused by name."""

from __future__ import annotations

import gzip
import os
import pickle
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from ssimh.images.image_file import ImageFileError, read_image_file, read_image_header
from ssimh.images.nifti_header import orientation_doubt, read_nifti_header

RAMP = np.arange(60, dtype=np.int16).reshape(3, 4, 5) - 30
SPACING, ORIGIN = (0.75, 0.75, 3.25), (-120.5, 33.25, -700.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
NAN, INF = float("nan"), float("inf")


def write(path, values=RAMP, compress=True):
    image = sitk.GetImageFromArray(values)
    if values.ndim == 3:
        image.SetSpacing(SPACING)
        image.SetOrigin(ORIGIN)
        image.SetDirection(FLIPPED)
    sitk.WriteImage(image, str(path), compress)
    return path


def with_fields(path, *fields, values=RAMP):
    """A NIfTI-1 file with fields of its header replaced: offset, format, values."""
    raw = bytearray(write(path.with_name("sound.nii"), values).read_bytes())
    path.with_name("sound.nii").unlink()
    for offset, form, *new in fields:
        struct.pack_into(form, raw, offset, *new)
    path.write_bytes(gzip.compress(bytes(raw)) if path.name.endswith(".gz") else raw)
    return path


def refused(path, *facts):
    """Whether the reader refuses a file, naming it and these facts."""
    with pytest.raises(ImageFileError) as caught:
        read_image_file(path)
    assert caught.value.path == path
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return all(str(fact) in caught.value.reason for fact in facts)


# --- sound files ------------------------------------------------------------------------------------------------------

NAMES = ["a.nii", "a.nii.gz", "a.hdr", "a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.gipl", "a.gipl.gz"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("compress", [True, False])
def test_values_and_header_are_the_files(tmp_path, name, dtype, compress):
    values = np.abs(RAMP).astype(dtype)
    write(tmp_path / name, values, compress)
    read, header = read_image_file(tmp_path / name)
    np.testing.assert_array_equal(read, values)
    assert (read.dtype, header.dtype, header.memory_bytes) == (dtype, dtype, values.nbytes)
    assert (header.path, header.size, header.shape) == (tmp_path / name, (5, 4, 3), (3, 4, 5))
    np.testing.assert_allclose(header.spacing_mm, SPACING, rtol=1e-6)
    if "gipl" not in name:  # GIPL keeps no direction
        np.testing.assert_allclose(header.origin_mm, ORIGIN, rtol=1e-6)
        np.testing.assert_allclose(header.direction, FLIPPED, atol=1e-6)
    assert read_image_header(tmp_path / name) == header


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd", "a.tif", "a.png"])
def test_two_dimensional_images(tmp_path, name):
    read, header = read_image_file(write(tmp_path / name, np.abs(RAMP[0]).astype(np.uint8)))
    assert (read.shape, header.size, len(header.direction)) == ((4, 5), (5, 4), 4)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_another_byte_order(tmp_path, name):
    raw = write(tmp_path / name).read_bytes()
    raw = raw.replace(b"ByteOrderMSB = False", b"ByteOrderMSB = True").replace(b"endian: little", b"endian: big")
    (tmp_path / name).write_bytes(raw)
    np.testing.assert_array_equal(read_image_file(tmp_path / name)[0], RAMP.byteswap())


def test_gzip_in_two_parts_and_with_a_slope(tmp_path):
    """Neither has the plain checksum, and neither is damaged."""
    path = write(tmp_path / "a.nii.gz")
    raw = bytearray(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(bytes(raw[:400])) + gzip.compress(bytes(raw[400:])))
    np.testing.assert_array_equal(read_image_file(path)[0], RAMP)
    struct.pack_into("<2f", raw, 112, 0.5, 3.0)
    path.write_bytes(gzip.compress(bytes(raw)))
    values, header = read_image_file(path)
    np.testing.assert_array_equal(values, RAMP * 0.5 + 3)
    assert values.dtype == header.dtype


def test_a_compressed_file_beside_an_uncompressed_one_of_its_name(tmp_path):
    """ITK reads the header of one and the voxels of the other."""
    write(tmp_path / "a.nii.gz")
    write(tmp_path / "b.nii", RAMP + 7)
    (tmp_path / "b.nii").rename(tmp_path / "a.nii")
    np.testing.assert_array_equal(read_image_file(tmp_path / "a.nii.gz")[0], RAMP)
    np.testing.assert_array_equal(read_image_file(tmp_path / "a.nii")[0], RAMP + 7)


@pytest.mark.parametrize(("code", "factor"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
def test_units_of_length_are_brought_to_millimeters(tmp_path, code, factor):
    header = read_image_header(with_fields(tmp_path / "a.nii", (123, "<B", code)))
    np.testing.assert_allclose(header.spacing_mm, np.multiply(SPACING, factor), rtol=1e-6)
    np.testing.assert_allclose(header.origin_mm, np.multiply(ORIGIN, factor), rtol=1e-6)


def test_a_turned_and_flipped_header_is_not_taken_for_sheared(tmp_path):
    turn = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, -1]])
    image = sitk.GetImageFromArray(RAMP)
    image.SetDirection(turn.ravel().tolist())
    for name in ("a.nii", "a.nii.gz", "a.mha", "a.nrrd"):
        sitk.WriteImage(image, str(tmp_path / name))
        np.testing.assert_allclose(read_image_header(tmp_path / name).direction, turn.ravel(), atol=1e-5)
    assert orientation_doubt(read_nifti_header(tmp_path / "a.nii.gz")) is None


def test_nrrd_of_another_space_is_brought_to_lps(tmp_path):
    raw = write(tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(raw.replace(b"left-posterior-superior", b"right-anterior-superior"))
    header = read_image_header(tmp_path / "a.nrrd")
    np.testing.assert_allclose(header.origin_mm, (120.5, -33.25, -700.0))
    np.testing.assert_allclose(header.direction, np.eye(3).ravel())


def test_an_error_survives_pickling(tmp_path):
    error = pickle.loads(pickle.dumps(ImageFileError(tmp_path, "reason")))
    assert (error.path, error.reason) == (tmp_path, "reason")


# --- files that cannot be read ----------------------------------------------------------------------------------------


def test_missing_empty_folder_and_permission(tmp_path, monkeypatch):
    assert refused(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii").write_bytes(b"")
    assert refused(tmp_path / "b.nii", "0 bytes")
    (tmp_path / "folder").mkdir()
    assert refused(tmp_path / "folder", 0)
    with pytest.raises(ImageFileError):
        read_image_header(tmp_path / "folder")
    write(tmp_path / "c.nii")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    assert refused(tmp_path / "c.nii", "permission")


def test_formats_that_cannot_be_verified_are_refused(tmp_path):
    for name in ("a.vtk", "a.mrc"):
        assert refused(write(tmp_path / name))
    (tmp_path / "a.txt").write_text("no image" * 99)
    assert refused(tmp_path / "a.txt")


@pytest.mark.parametrize("name", NAMES)
def test_color_time_and_complex_are_refused(tmp_path, name):
    color = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    images = [color]
    if "gipl" not in name:
        images += [sitk.JoinSeries([sitk.GetImageFromArray(RAMP)] * 2)]
        images += [sitk.GetImageFromArray(RAMP.astype(np.complex64))] if "nii" in name else []
    for image in images:
        try:
            sitk.WriteImage(image, str(tmp_path / name))
        except RuntimeError:
            continue  # the format cannot hold it
        assert refused(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compress", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path, name, compress):
    noise = np.random.default_rng(0).integers(0, 200, (16, 16, 16)).astype(np.int16)
    write(tmp_path / name, noise, compress)
    data = {"a.hdr": "a.img", "a.mhd": "a.zraw" if compress else "a.raw"}.get(name, name)
    if name == "a.nhdr":
        data = "a.raw.gz" if compress else "a.raw"
    whole = (tmp_path / data).read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, len(whole) // 10, 1):
        (tmp_path / data).write_bytes(whole[:length])
        assert refused(tmp_path / name)
    (tmp_path / data).unlink()
    assert refused(tmp_path / name)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_slice_cut_in_half_is_refused(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(np.uint8)
    whole = write(tmp_path / name, noise).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert refused(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_a_flipped_bit_is_found_by_the_checksum(tmp_path, dtype, name):
    """ITK reads on without complaint: the voxels would be wrong in silence."""
    values = np.random.default_rng(0).integers(0, 200, (64, 64, 64)).astype(dtype)
    path = write(tmp_path / name, values)
    whole = path.read_bytes()
    np.testing.assert_array_equal(read_image_file(path)[0], values)
    for place in (len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        assert refused(path)


@pytest.mark.parametrize("name", NAMES[:2] + NAMES[3:4] + NAMES[5:6])
@pytest.mark.parametrize("compress", [True, False])
def test_more_than_the_header_asks_for_is_refused(tmp_path, name, compress):
    path = write(tmp_path / name, compress=compress)
    path.write_bytes(path.read_bytes() + b"garbage")
    assert refused(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd"])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("compress", [True, False])
def test_values_that_are_not_finite_are_counted(tmp_path, name, bad, compress):
    values = RAMP.astype(np.float32)
    values[0, 0, :2] = bad
    assert refused(write(tmp_path / name, values, compress), "2 voxels")


# --- headers that contradict the format, the file or themselves -------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ([(84, "<f", 0.0)], ["0.75, 0, 3.25"]),
        ([(84, "<f", -2.0)], ["0.75, -2, 3.25"]),
        ([(84, "<f", NAN)], ["0.75, nan, 3.25"]),
        ([(84, "<f", INF)], ["0.75, inf, 3.25"]),
        ([(42, "<h", 0)], [(0, 4, 3)]),
        ([(42, "<h", -5)], [(-5, 4, 3)]),
        ([(40, "<h", 0)], [0]),
        ([(40, "<h", 8)], [8]),
        ([(42, "<3h", 32000, 32000, 32000)], [(32000, 32000, 32000)]),
        ([(42, "<h", 6)], [352 + 6 * 4 * 3 * 2, 472]),
        ([(42, "<h", 4)], [352 + 4 * 4 * 3 * 2]),
        ([(70, "<h", 3)], [3]),
        ([(70, "<h", 32)], [32]),
        ([(72, "<h", 8)], [8, 16]),
        ([(108, "<f", 300.0)], [300, 352]),
        ([(108, "<f", 353.5)], [353.5]),
        ([(108, "<f", 1e9)], []),
        ([(108, "<f", NAN)], ["nan"]),
        ([(112, "<f", NAN)], ["nan"]),
        ([(116, "<f", INF)], ["inf"]),
        ([(112, "<2f", 0.0, 5.0)], [5]),
        ([(112, "<2f", 1e-20, 0.0)], ["1e-20"]),
        ([(123, "<B", 5)], [5]),
        ([(344, "<4s", b"ni1\0")], ["ni1"]),
        ([(344, "<4s", b"\0\0\0\0")], []),
        ([(0, "<i", 540)], []),
        ([(0, "<i", 349)], []),
        ([(252, "<2h", 0, 1), (284, "<f", 0.5)], ["sheared"]),  # sheared
        ([(252, "<2h", 0, 1), (284, "<f", NAN)], ["nan"]),
        ([(252, "<2h", 0, 1), (292, "<f", INF)], ["inf"]),
        ([(252, "<2h", 0, 1), (280, "<f", 0.0)], []),  # singular
        ([(252, "<2h", 0, 1), (280, "<f", 1.5)], ["0.75", "1.5"]),  # another spacing than pixdim
        ([(252, "<2h", 1, 0), (256, "<2f", 0.9, 0.9)], ["0.9"]),  # no rotation
        ([(252, "<2h", -1, 1)], [-1]),
        ([(292, "<f", 127.5)], ["7.0 mm"]),  # qform and sform of one space, 7 mm apart
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_header_that_itk_would_repair_is_refused(tmp_path, name, fields, facts):
    if name.endswith(".gz") and fields == [(42, "<h", 4)]:
        facts = []
    assert refused(with_fields(tmp_path / name, *fields), *facts)


def test_qform_and_sform_of_two_spaces_may_differ_and_are_doubted(tmp_path):
    path = with_fields(tmp_path / "a.nii", (252, "<2h", 1, 4), (292, "<f", 127.5))
    np.testing.assert_allclose(read_image_header(path).origin_mm, ORIGIN, rtol=1e-6)
    assert "7.0 mm" in orientation_doubt(read_nifti_header(path))
    neither = with_fields(tmp_path / "b.nii", (252, "<2h", 0, 0))
    assert read_image_header(neither).origin_mm == (0, 0, 0)
    assert orientation_doubt(read_nifti_header(neither))


# What is in a header, and what it is replaced by.
METAIMAGE_FAULTS = {
    b"ElementSpacing": [b"ElementSpacinh"],
    b"ElementSpacing = 0.75": [b"ElementSpacing = 0.7x", b"ElementSpacing = -0.75", b"ElementSpacing = 0"],
    b"BinaryData = True": [b"BinaryData = False"],
    b"TransformMatrix = -1 0 0": [b"TransformMatrix = -1 0.5 0", b"TransformMatrix = 0 0 0"],
    b"Offset = -120.5": [b"Offset = nan"],
    b"DimSize = 5 4 3": [b"DimSize = 5 4 2", b"DimSize = 5 4 0", b"DimSize = 5 4 300000"],
    b"MET_SHORT": [b"MET_USHORT_ARRAY", b"MET_UCHAR", b"MET_FLOAT"],
    b"ByteOrderMSB = False": [b"ByteOrderMSB = Falsf"],
    b"ObjectType = Image\n": [
        b"ObjectType = Image\nHeaderSize = 7\n",
        b"ObjectType = Image\nElementToIntensityFunctionSlope = 2\n",
        b"ObjectType = Image\nElementSpacing = 1 1 1\n",
    ],
    b"ElementDataFile = LOCAL": [b"ElementDataFile = LIST"],
    b"ElementDataFile": [b"ElementDataFilf"],
}
NRRD_FAULTS = {
    b"space directions": [b"space directionz"],
    b"space directions: (-0.75": [b"#pace directions: (-0.75"],
    b"(-0.75,0,0)": [b"(0,0,0)", b"(-0.9,0.3,0)"],
    b"(-0.75": [b"(-0.7x"],
    b"space origin: (-120.5": [b"space origin: (nan"],
    b"sizes: 5 4 3": [b"sizes: 5 4 2", b"sizes: 5 4 0", b"sizes: 5 4 300000"],
    b"type: short": [b"type: block", b"type: uchar", b"type: float"],
    b"NRRD0004": [b"NRRD0009"],
    b"endian: little": [b"endian: middle"],
    b"space: left-posterior-superior": [b"space: left-posterior-inferior"],
    b"kinds: domain domain domain": [b'space units: "cm" "cm" "cm"', b"byte skip: 2", b"sizes: 5 4 3"],
}
FAULTS = [
    (name, old, new)
    for name, faults in (("a.mha", METAIMAGE_FAULTS), ("a.nrrd", NRRD_FAULTS))
    for old, replacements in faults.items()
    for new in replacements
]


@pytest.mark.parametrize(("name", "old", "new"), FAULTS)
@pytest.mark.parametrize("compress", [True, False])
def test_a_header_that_itk_would_repair_is_refused(tmp_path, name, old, new, compress):
    path = write(tmp_path / name, compress=compress)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    assert refused(path)
