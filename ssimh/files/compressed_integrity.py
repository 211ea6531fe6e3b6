"""Whether the voxels of a compressed ``.mha`` or ``.nrrd`` file are what was written: by the checksum that it keeps.

ITK reads a compressed ``.mha`` file with a flipped bit without complaint, and some such ``.nrrd`` files.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 65536
BLOCK_BYTES = 2**22


def verify_compressed(path: Path, stored: NDArray[Any]) -> None:
    """Refuse a compressed ``.mha`` or ``.nrrd`` file whose voxels are damaged; other files pass.

    Args:
        path: The file.
        stored (ndarray): What was read from it. Where its checksum is not the file's (another byte order, or damage),
            the file is read a second time.

    Raises:
        ValueError: The compressed data are damaged.
    """
    if path.suffix not in (".mha", ".nrrd"):
        return
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        file.seek(-8, 2)
        tail = file.read(8)
    voxels = np.ascontiguousarray(stored).data
    try:
        if path.suffix == ".mha":
            start = _after(head, b"ElementDataFile", b"\n")
            if start is None or b"CompressedData = True" not in head[:start]:
                return
            if zlib.adler32(voxels) != int.from_bytes(tail[4:], "big"):
                _inflate(path, start)
        else:
            start = _after(head, b"\n\n", b"")
            if start is None or not any(f"encoding: {name}\n".encode() in head[:start] for name in ("gzip", "gz")):
                return
            if zlib.crc32(voxels) != int.from_bytes(tail[:4], "little"):
                _gunzip(path, start)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"the compressed data are damaged or end too early: {error}") from error


def _after(head: bytes, mark: bytes, end: bytes) -> int | None:
    """Where the data begin: behind ``mark`` and the next ``end``."""
    at = head.find(mark)
    if at < 0:
        return None
    return at + len(mark) if not end else head.find(end, at) + 1 or None


def _inflate(path: Path, start: int) -> None:
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # a zlib or a gzip stream
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK_BYTES):
            inflate.decompress(block)
    if not inflate.eof:
        raise EOFError("the stream has no end")


def _gunzip(path: Path, start: int) -> None:
    with path.open("rb") as file:
        file.seek(start)
        with gzip.open(file) as voxels:
            while voxels.read(BLOCK_BYTES):
                pass
