"""Reference files that come from strangers: nothing in them acts, and none takes more memory than a reference can."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ssimh import ReferenceFileError, ReferenceSpectrum, SiteSpectrum, match_histogram
from ssimh.files.reference_file import LARGEST_ARRAY_BYTES, LARGEST_HEADER_BYTES


class Actor:
    """Pickled code that leaves a trace where it is executed."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def members(tmp_path):
    path = tmp_path / "good.npz"
    ReferenceSpectrum.from_image(np.random.default_rng(0).normal(size=(2, 8, 8)), threshold=3).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def pickled(trace: Path) -> bytes:
    stream, array = io.BytesIO(), np.empty(1, dtype=object)
    array[0] = Actor(trace)
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_of(shape: tuple[int, ...], dtype: str) -> bytes:
    """The beginning of a file that claims a shape and has no values."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_the_actor_acts_where_pickle_is_allowed(tmp_path):
    np.load(io.BytesIO(pickled(tmp_path / "trace")), allow_pickle=True)
    assert (tmp_path / "trace").is_dir()


@pytest.mark.parametrize("read", [ReferenceSpectrum.load, SiteSpectrum.load])
@pytest.mark.parametrize("name", ["header.npy", "coefficients.npy"])
def test_pickled_code_is_not_executed(members, tmp_path, name, read):
    path = pack(tmp_path / "evil.npz", {**members, name: pickled(tmp_path / "trace")})
    with pytest.raises(ReferenceFileError):
        read(path)
    assert not (tmp_path / "trace").exists()


def test_a_histogram_reference_is_not_unpickled(tmp_path):
    path = tmp_path / "evil.npy"
    path.write_bytes(pickled(tmp_path / "trace"))
    with pytest.raises(ValueError, match="is not a NumPy"):
        match_histogram(np.zeros((2, 4, 4)), path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("name", "size"), [("header.npy", LARGEST_HEADER_BYTES), ("coefficients.npy", LARGEST_ARRAY_BYTES)]
)
def test_a_few_kilobytes_do_not_become_gigabytes(members, tmp_path, name, size):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other in members.keys() - {name}:
            archive.writestr(other, members[other])
        with archive.open(name, "w", force_zip64=True) as stream:
            stream.write(npy_of((size,), "|u1"))
            for _ in range(size // 2**20):
                stream.write(bytes(2**20))
    assert path.stat().st_size < size / 100
    tracemalloc.start()
    with pytest.raises(ReferenceFileError, match=f"{name} would take"):
        ReferenceSpectrum.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize("shape", [(10**13,), (4, 10**12), (2**62,)])
def test_a_shape_that_is_not_there_is_refused(members, tmp_path, shape):
    path = pack(tmp_path / "liar.npz", {**members, "coefficients.npy": npy_of(shape, "<f8")})
    with pytest.raises(ReferenceFileError):
        ReferenceSpectrum.load(path)
    (tmp_path / "liar.npy").write_bytes(npy_of(shape, "<f8"))
    with pytest.raises(ValueError, match="is not a NumPy"):
        match_histogram(np.zeros((2, 4, 4)), tmp_path / "liar.npy")
