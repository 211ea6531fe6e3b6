"""Files that cannot be used are left out with a reason, whatever their bytes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from hnseg.dicom.series.faults import SeriesFault
from hnseg.dicom.series.read_file import NO_DICOM, TRUNCATED, WalkMemory, read_file
from hnseg.dicom.series.read_volume import read_volume
from hnseg.dicom.series.walk import find_series
from hnseg.errors import DicomError
from tests.facts import names, names_all
from tests.hnseg.dicom.phantoms import make_ct, make_enhanced, pattern

SYNTAXES = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian),
    *(DeflatedExplicitVRLittleEndian, RLELossless),
)


def one_slice(folder, **options) -> Path:
    """A file with one slice."""
    make_ct(folder, shape=(1, 16, 16), **options)
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_a_file_is_complete_or_truncated(tmp_path, syntax):
    path = one_slice(tmp_path, transfer_syntax=syntax)
    assert len(read_file(path, 1, WalkMemory()).slices) == 1
    data = path.read_bytes()
    for length in (len(data) - 2, len(data) - 200, len(data) * 2 // 3, len(data) // 2, 300, 140):
        path.write_bytes(data[:length])
        assert is_refused(path), length


def is_refused(path: Path) -> bool:
    """Whether a file is truncated, or so damaged that it is in no series."""
    try:
        return read_file(path, 1, WalkMemory()).is_truncated
    except SeriesFault as fault:
        return TRUNCATED in fault.message and fault.is_damage


def test_every_shorter_file_is_truncated(tmp_path):
    path = one_slice(tmp_path)
    data = path.read_bytes()
    for length in range(140, len(data), 7):
        path.write_bytes(data[:length])
        assert is_refused(path), length


@pytest.mark.parametrize("cut", [10, 700])
def test_a_truncated_file_at_an_end_makes_its_series_unusable(tmp_path, cut):
    """Without it, the volume would be a slice shorter; a whole copy of the same instance helps."""
    make_ct(tmp_path / "a")
    last = max((tmp_path / "a").iterdir())
    content = last.read_bytes()
    os.truncate(last, last.stat().st_size - cut)
    index = find_series(tmp_path)
    (series,) = index.series
    (left_out,) = index.unreadable
    assert (left_out.number, left_out.path) == (12, last)
    assert (len(series.slices), series.unusable_tag) == (11, "PixelData")
    assert names_all(series.why_unusable, 1, 12)
    (tmp_path / "whole").write_bytes(content)
    (series,) = find_series(tmp_path).series
    assert (len(series.slices), series.why_unusable) == (12, None)


def test_a_truncated_file_alone_is_a_series_that_cannot_be_used(tmp_path):
    path = one_slice(tmp_path / "a")
    os.truncate(path, path.stat().st_size - 10)
    make_enhanced(tmp_path / "b", shape=(3, 4, 4))
    os.truncate(tmp_path / "b", (tmp_path / "b").stat().st_size - 10)
    index = find_series(tmp_path)
    assert [(series.modality, series.unusable_tag) for series in index.series] == [("CT", "PixelData")] * 2
    assert index.unreadable == ()


@pytest.mark.parametrize("content", [b"", bytes(1000), b"DICM"])
def test_a_damaged_file_beside_a_series_is_noted_there(tmp_path, content):
    make_ct(tmp_path / "a", shape=(3, 4, 4))
    make_ct(tmp_path / "b", shape=(3, 4, 4), series="other")
    (tmp_path / "a" / "IM0004").write_bytes(content)
    one, other = find_series(tmp_path).series
    assert [len(series.notes) for series in (one, other)] == [int(content != b"DICM"), 0]


def test_an_enhanced_image_with_fewer_frames_than_announced_is_left_out(tmp_path):
    make_enhanced(tmp_path / "a", shape=(3, 4, 4))
    dataset = pydicom.dcmread(tmp_path / "a")
    del dataset.PerFrameFunctionalGroupsSequence[2]
    dataset.save_as(tmp_path / "a")
    (left_out,) = find_series(tmp_path).unreadable
    assert names_all(left_out.reason, 2, 3)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(500), b"\x08\x00" + bytes(200), bytes(1000)])
def test_what_is_no_dicom_is_left_out(tmp_path, content):
    (tmp_path / "IM0001.dcm").write_bytes(content)
    (left_out,) = find_series(tmp_path).unreadable
    assert left_out.is_damaged == (NO_DICOM not in left_out.reason)


@pytest.mark.parametrize("implicit", [True, False])
def test_files_without_their_preamble_are_read(tmp_path, implicit):
    make_ct(tmp_path, shape=(2, 4, 4))
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        dataset.preamble = None
        pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=True, force_encoding=True)
        assert path.read_bytes()[:2] == b"\x08\x00"
    (series,) = find_series(tmp_path).series
    np.testing.assert_array_equal(read_volume(series).values, pattern((2, 4, 4)) - 500)


def test_a_dicomdir_is_left_out(tmp_path):
    path = one_slice(tmp_path, tags={"SOPClassUID": pydicom.uid.MediaStorageDirectoryStorage})
    with pytest.raises(SeriesFault) as caught:
        read_file(path, 1, WalkMemory())
    assert names(caught.value.message, "DICOMDIR")


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_file_without_uids_is_left_out(tmp_path, keyword):
    path = one_slice(tmp_path)
    dataset = pydicom.dcmread(path)
    delattr(dataset, keyword)
    dataset.save_as(path)
    with pytest.raises(SeriesFault) as caught:
        read_file(path, 1, WalkMemory())
    assert caught.value.tag == keyword


def test_damaged_bytes_never_end_a_walk(tmp_path):
    rng = np.random.default_rng(0)
    make_enhanced(tmp_path / "enhanced", shape=(3, 4, 4))
    sound = [one_slice(tmp_path / "slice").read_bytes(), (tmp_path / "enhanced").read_bytes()]
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(120):
        data = bytearray(sound[number % 2])
        for place in rng.integers(132, len(data) if number % 4 < 2 else 1000, rng.integers(1, 20)):
            data[place] = rng.integers(256)
        (folder / f"{number:03}").write_bytes(data)
    index = find_series(folder)
    assert len(index.unreadable) + len({path for series in index.series for path in series.files}) == 120
    for series in index.series:
        with contextlib.suppress(DicomError):  # any other error fails
            assert np.isfinite(read_volume(series).values).all()
