"""What ITK does not tell about a NIfTI file: whether it is whole, and whether it holds NaN.

ITK 5 reads a truncated file without complaint, and its NIfTI reader turns NaN and infinite values into zeros. Both
would become a silently wrong image.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HEADER_BYTES = 540  # of NIfTI-2; NIfTI-1 has 348
FLOATS = {16: "f4", 64: "f8"}  # NIfTI data type codes
BLOCK_BYTES = 2**22


@dataclass(frozen=True)
class _Header:
    order: str
    datatype: int
    offset: int
    voxel_bytes: int
    voxels: int

    @property
    def expected_bytes(self) -> int:
        return self.offset + self.voxels * self.voxel_bytes


def verify_nifti(path: Path) -> None:
    """Refuse a ``.nii`` or ``.nii.gz`` file that ends before its voxels do or holds NaN or infinite values.

    Other files pass unread. Files of whole numbers are not decompressed where the size that a gzip file states in its
    last four bytes is the one that the NIfTI header asks for; files of floating-point numbers are read through once.

    Raises
    ------
    ValueError
        Truncated, damaged, or not finite; the message says which.
    """
    zipped = path.name.endswith(".nii.gz")
    if not zipped and path.suffix != ".nii":
        return
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            header = _parse(file.read(HEADER_BYTES))
            if header.datatype in FLOATS:
                file.seek(header.offset)
                found = header.offset + _read_floats(file, np.dtype(header.order + FLOATS[header.datatype]))
            elif zipped and _stated_size(path) == header.expected_bytes % 2**32:
                return
            else:
                found = file.seek(0, 2) if not zipped else _read_through(file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"the compressed data are damaged or end too early: {error}") from error
    if found < header.expected_bytes:
        raise ValueError(f"the header asks for {header.expected_bytes} bytes, the file holds {found}")


def _parse(raw: bytes) -> _Header:
    """NIfTI-1 or NIfTI-2, either byte order."""
    for order in "<>":
        if len(raw) >= 348 and struct.unpack_from(f"{order}i", raw)[0] == 348:
            dims = struct.unpack_from(f"{order}8h", raw, 40)
            datatype, bits = struct.unpack_from(f"{order}2h", raw, 70)
            (offset,) = struct.unpack_from(f"{order}f", raw, 108)
        elif len(raw) >= 540 and struct.unpack_from(f"{order}i", raw)[0] == 540:
            dims = struct.unpack_from(f"{order}8q", raw, 16)
            datatype, bits = struct.unpack_from(f"{order}2h", raw, 12)
            (offset,) = struct.unpack_from(f"{order}q", raw, 168)
        else:
            continue
        voxels = 1
        for length in dims[1 : 1 + max(0, min(dims[0], 7))]:
            voxels *= max(1, length)
        return _Header(order, datatype, int(offset), bits // 8, voxels)
    raise ValueError("the file has no NIfTI header")


def _stated_size(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(-4, 2)
        (size,) = struct.unpack("<I", file.read(4))
    return int(size)


def _read_through(file: Any) -> int:
    """Bytes up to the end, having passed the sums that gzip keeps."""
    while file.read(BLOCK_BYTES):
        pass
    return int(file.tell())


def _read_floats(file: Any, dtype: np.dtype[Any]) -> int:
    """Bytes of voxels up to the end."""
    total, bad = 0, 0
    while block := file.read(BLOCK_BYTES):
        total += len(block)
        values = np.frombuffer(block[: len(block) // dtype.itemsize * dtype.itemsize], dtype)
        bad += int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"{bad} voxels are NaN or infinite; every value must be finite")
    return total
