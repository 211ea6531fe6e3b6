"""Check that a file holds the voxels that its header states, whole and undamaged.

ITK 5 reads a truncated NIfTI file without complaint, a compressed MetaImage file with a flipped bit, and takes NaN and
infinite values of NIfTI for zero. Before reading, the sizes are compared, so that nothing is allocated that the file
cannot hold. Where ``isal`` is installed, gzip is then unpacked here (:func:`unpack_voxels`) and its own checksum and
length are verified. What ITK unpacks is compared with the checksum that compression keeps; only where that is not
possible (a file of several parts, another byte order, a slope, or damage) is the file read a second time.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.images.gzip_library import BLOCK_BYTES as GZIP_BLOCK_BYTES
from ssimh.images.gzip_library import GZIP_ERRORS, open_gzip
from ssimh.images.image_layout import Layout

BLOCK_BYTES = 2**22
DEFLATE_RATIO = 1032  # the most that zlib and gzip can pack
SLACK_BYTES = 4096  # for the ratio of very small files
SCALED_SHARE = 1e-5  # rounding of slope and intercept in float32, as a share of the largest value


def check_stored_size(layout: Layout) -> None:
    """Refuse a file that cannot hold the voxels its header states, before anything is allocated.

    A gzip file states its unpacked size in its last four bytes. Where that is not the size that the header asks for,
    the file is read through: it may still be whole, made of several parts.

    Raises:
        ValueError: Truncated, damaged or too long; the message states both sizes.
    """
    stored = layout.data_path.stat().st_size - layout.start
    needed = layout.unpacked_bytes
    if layout.compression == "none":
        if stored != needed:
            raise ValueError(f"the header asks for {needed} bytes, the file holds {stored}")
    elif needed > DEFLATE_RATIO * max(0, stored) + SLACK_BYTES:
        raise ValueError(f"the header asks for {needed} bytes, more than {stored} compressed bytes can hold")
    elif layout.compression == "gzip" and _tail(layout)[1] != needed % 2**32:
        for _ in _unpack(layout):
            pass


def check_voxels(layout: Layout, values: NDArray[Any]) -> None:
    """Refuse a file whose voxels are damaged, NaN or infinite, or are not the ``values`` that were read from it.

    Args:
        layout: Of the file.
        values: (z, y, x) array that ITK read from it.

    Raises:
        ValueError: The message says what is wrong.
    """
    may_hold_nan = layout.nan_lost and layout.dtype.kind == "f"
    if layout.compression == "none" and not may_hold_nan:
        return  # the size is right, and the format keeps no checksum
    if layout.compression != "none" and not layout.is_scaled and _checksum(layout, values):
        return
    _compare(layout, values)


def unpack_voxels(layout: Layout, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The voxels of a gzip file, unpacked without ITK, checksum and length of every part verified.

    Args:
        layout: Of the file, its size checked (:func:`check_stored_size`).
        dtype: Of the values in memory, slope and intercept applied, as ITK states it.

    Returns:
        One-dimensional array in the file's order, the values that ITK computes, but for NaN and infinite ones, which it
        replaces.

    Raises:
        ValueError: Damaged, or more or fewer bytes than the header asks for.
    """
    values = np.empty(math.prod(layout.size), dtype)
    done = 0
    for stored in _stored_values(layout):
        part = values[done : done + len(stored)]
        if layout.is_scaled:
            # ITK's order: the type of the result, then double precision.
            with np.errstate(over="ignore", invalid="ignore"):  # infinite values are the caller's to refuse
                exact = stored.astype(dtype).astype(np.float64)
                np.copyto(part, exact * layout.slope + layout.intercept, casting="unsafe")
        else:
            np.copyto(part, stored)
        done += len(stored)
    return values


def _tail(layout: Layout) -> tuple[int, int]:
    """Checksum and size modulo 2^32 of the last part of a gzip file, as it states them itself."""
    with layout.data_path.open("rb") as file:
        file.seek(max(layout.start, layout.data_path.stat().st_size - 8))
        raw = file.read(8)
    if len(raw) < 8:
        raise ValueError("the compressed data are damaged or end too early")
    checksum, size = struct.unpack("<2I", raw)
    return int(checksum), int(size)


def _checksum(layout: Layout, values: NDArray[Any]) -> bool:
    """Whether the checksum at the file's end is that of ``values``."""
    voxels = np.ascontiguousarray(values).data
    if layout.compression == "zlib":
        with layout.data_path.open("rb") as file:
            file.seek(-4, 2)
            return zlib.adler32(voxels) == int.from_bytes(file.read(4), "big")
    head = b""
    if layout.offset:
        with open_gzip(layout.data_path) as unpacked:
            head = unpacked.read(layout.offset)
    return zlib.crc32(voxels, zlib.crc32(head)) == _tail(layout)[0]


def _compare(layout: Layout, values: NDArray[Any]) -> None:
    """Read a file to its end, independently of ITK, and compare."""
    flat = values.ravel()
    limit = SCALED_SHARE * max(1.0, float(np.abs(flat).max(initial=0)))
    done, bad, other = 0, 0, 0
    for stored in _stored_values(layout):
        count = len(stored)
        read = flat[done : done + count]
        if layout.dtype.kind == "f":
            bad += count - int(np.count_nonzero(np.isfinite(stored)))
        if not bad and layout.is_scaled:
            expected = stored * np.float64(layout.slope) + np.float64(layout.intercept)
            other += int(np.count_nonzero(np.abs(expected - read) > limit))
        elif not bad:
            other += int(np.count_nonzero(stored != read))
        done += count
    if bad:
        raise ValueError(f"{bad} voxels are NaN or infinite; every value must be finite")
    if other:
        raise ValueError(f"{other} voxels were read by ITK with other values than the file holds")


def _stored_values(layout: Layout) -> Iterator[NDArray[Any]]:
    """The voxels as the file stores them, a block at a time; the errors are those of :func:`_unpack`."""
    rest, skip = b"", layout.offset
    for packed in _unpack(layout):
        skipped = min(skip, len(packed))
        skip -= skipped
        block = rest + packed[skipped:]
        count = len(block) // layout.dtype.itemsize
        rest = block[count * layout.dtype.itemsize :]
        yield np.frombuffer(block, layout.dtype, count)


def _unpack(layout: Layout) -> Iterator[bytes]:
    """The bytes from ``start`` to the file's end, unpacked block by block: as many as the header asks for.

    Raises:
        ValueError: Damaged, or more or fewer bytes than the header asks for; never more than one block is held.
    """
    found = 0
    try:
        for block in _BLOCKS[layout.compression](layout):
            found += len(block)
            if found > layout.unpacked_bytes:
                raise ValueError(f"the header asks for {layout.unpacked_bytes} bytes, the file holds more")
            yield block
    except GZIP_ERRORS as error:
        raise ValueError(f"the compressed data are damaged or end too early: {error}") from error
    if found < layout.unpacked_bytes:
        raise ValueError(f"the header asks for {layout.unpacked_bytes} bytes, the file holds {found}")


def _plain_blocks(layout: Layout) -> Iterator[bytes]:
    with layout.data_path.open("rb") as file:
        file.seek(layout.start)
        while block := file.read(BLOCK_BYTES):
            yield block


def _gzip_blocks(layout: Layout) -> Iterator[bytes]:
    with layout.data_path.open("rb") as file:
        file.seek(layout.start)
        with open_gzip(file) as unpacked:
            while block := unpacked.read(GZIP_BLOCK_BYTES):
                yield block


def _zlib_blocks(layout: Layout) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # a zlib or a gzip stream
    for packed in _plain_blocks(layout):
        while packed:
            yield inflate.decompress(packed, BLOCK_BYTES)
            packed = inflate.unconsumed_tail
        if inflate.unused_data:
            raise EOFError("there is something after the end of the compressed data")
    while block := inflate.flush(BLOCK_BYTES) if not inflate.eof else b"":
        yield block
    if not inflate.eof:
        raise EOFError("the stream has no end")


_BLOCKS = {"none": _plain_blocks, "gzip": _gzip_blocks, "zlib": _zlib_blocks}
