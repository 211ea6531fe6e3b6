"""What ITK does not tell about a NIfTI file: whether it is whole, holds NaN, and has a sound header.

ITK 5 reads a truncated file without complaint, its NIfTI reader turns NaN and infinite values into zeros, takes a
spacing of zero, NaN or infinity for 1 mm, and falls back to the qform where the sform is sheared. Each would become a
silently wrong image.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 540  # of NIfTI-2; NIfTI-1 has 348
FLOATS = {16: "f4", 64: "f8"}  # NIfTI data type codes
BLOCK_BYTES = 2**22
AGREE_MM = 0.5  # how far qform and sform may put a corner of the image apart


@dataclass(frozen=True)
class Header:
    """What of a NIfTI header is looked at here."""

    order: str
    datatype: int
    offset: int
    voxel_bytes: int
    size: tuple[int, ...]
    pixdim: tuple[float, ...]  # the sign of qform's z axis, then the spacings
    codes: tuple[int, int]  # of qform and sform; 0: not set
    quaternion: tuple[float, ...]  # b, c, d, and the offset
    sform: tuple[float, ...]  # three rows of four

    @property
    def expected_bytes(self) -> int:
        voxels = 1
        for length in self.size:
            voxels *= max(1, length)
        return self.offset + voxels * self.voxel_bytes


def is_nifti(path: Path) -> bool:
    """Whether a file's name says that it is NIfTI."""
    return path.name.endswith((".nii", ".nii.gz"))


def _open(path: Path) -> Any:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")


def read_header(path: Path) -> Header:
    """The header of a ``.nii`` or ``.nii.gz`` file.

    Raises:
        ValueError: It has none, it is damaged, or a size or spacing in it is no positive number.
    """
    try:
        with _open(path) as file:
            header = _parse(file.read(HEADER_BYTES))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"the compressed data are damaged or end too early: {error}") from error
    if not header.size or min(header.size) < 1:
        raise ValueError(f"the header has the size {header.size}; every length must be ≥ 1")
    spacing = header.pixdim[1 : 1 + min(3, len(header.size))]
    if not all(0 < length < np.inf for length in spacing):
        shown = ", ".join(f"{length:g}" for length in spacing)
        raise ValueError(f"the header has the spacing {shown} mm; each must be a positive number")
    return header


def orientation_doubt(header: Header) -> str | None:
    """Why two programs may see this image in two places; None where they agree.

    A NIfTI header can tell the position twice, by qform and by sform. ITK follows the sform, or the qform where the
    sform is sheared; other programs choose otherwise.
    """
    if header.codes == (0, 0):
        return "the header says neither by qform nor by sform how the image lies in the patient"
    if 0 in header.codes:
        return None
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
    corners *= np.asarray(header.size[:3]) - 1
    rows = np.asarray(header.sform, dtype=np.float64).reshape(3, 4)
    by_sform = corners @ rows[:, :3].T + rows[:, 3]
    by_qform = corners @ _quaternion_matrix(header).T + np.asarray(header.quaternion[3:])
    apart = float(np.linalg.norm(by_sform - by_qform, axis=1).max())
    if apart <= AGREE_MM:
        return None
    return f"qform and sform of the header put the image {apart:.1f} mm apart; programs differ in which they follow"


def _quaternion_matrix(header: Header) -> NDArray[np.float64]:
    """Rotation and spacing of a qform, as the NIfTI standard defines them."""
    b, c, d = header.quaternion[:3]
    a = float(np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d)))
    turn: NDArray[np.float64] = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    x, y, z = header.pixdim[1:4]
    scaled: NDArray[np.float64] = turn * np.array([x, y, -z if header.pixdim[0] < 0 else z])
    return scaled


def verify_size(path: Path) -> None:
    """Refuse a ``.nii`` or ``.nii.gz`` file that ends before its voxels do; other files pass.

    A gzip file states its size in its last four bytes. Where that is not the size that the NIfTI header asks for, the
    file is read through: it may still be whole, made of several parts.

    Raises:
        ValueError: Truncated or damaged; the message says which.
    """
    if not is_nifti(path):
        return
    header = read_header(path)
    if path.name.endswith(".gz"):
        if _trailer(path)[1] != header.expected_bytes % 2**32:
            _verify_contents(path, header)
    elif path.stat().st_size < header.expected_bytes:
        raise ValueError(f"the header asks for {header.expected_bytes} bytes, the file holds {path.stat().st_size}")


def verify_values(path: Path, stored: NDArray[Any]) -> None:
    """Refuse a ``.nii`` or ``.nii.gz`` file whose voxels are damaged, NaN or infinite; other files pass.

    Args:
        path: The file.
        stored (ndarray): What was read from it. Where the checksum that gzip keeps is that of header and ``stored``,
            the file is sound and was read bit by bit as it is; only where it is not (a file in several parts, a slope,
            another byte order, a NaN that ITK made zero, or damage) is it read a second time.

    Raises:
        ValueError: The message says what is wrong.
    """
    if not is_nifti(path):
        return
    header = read_header(path)
    if path.name.endswith(".gz"):
        with _open(path) as file:
            checksum = zlib.crc32(file.read(header.offset))
        if zlib.crc32(np.ascontiguousarray(stored).data, checksum) == _trailer(path)[0]:
            return
    elif header.datatype not in FLOATS:
        return
    _verify_contents(path, header)


def _verify_contents(path: Path, header: Header) -> None:
    """Read a file to its end."""
    try:
        with _open(path) as file:
            if header.datatype in FLOATS:
                file.seek(header.offset)
                found = header.offset + _read_floats(file, np.dtype(header.order + FLOATS[header.datatype]))
            else:
                found = _read_through(file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"the compressed data are damaged or end too early: {error}") from error
    if found < header.expected_bytes:
        raise ValueError(f"the header asks for {header.expected_bytes} bytes, the file holds {found}")


def _parse(raw: bytes) -> Header:
    """NIfTI-1 or NIfTI-2, either byte order."""
    for order in "<>":
        if len(raw) >= 348 and struct.unpack_from(f"{order}i", raw)[0] == 348:
            dims = struct.unpack_from(f"{order}8h", raw, 40)
            datatype, bits = struct.unpack_from(f"{order}2h", raw, 70)
            pixdim = struct.unpack_from(f"{order}4f", raw, 76)
            (offset,) = struct.unpack_from(f"{order}f", raw, 108)
            codes = struct.unpack_from(f"{order}2h", raw, 252)
            placed = struct.unpack_from(f"{order}18f", raw, 256)
        elif len(raw) >= 540 and struct.unpack_from(f"{order}i", raw)[0] == 540:
            dims = struct.unpack_from(f"{order}8q", raw, 16)
            datatype, bits = struct.unpack_from(f"{order}2h", raw, 12)
            pixdim = struct.unpack_from(f"{order}4d", raw, 104)
            (offset,) = struct.unpack_from(f"{order}q", raw, 168)
            codes = struct.unpack_from(f"{order}2i", raw, 344)
            placed = struct.unpack_from(f"{order}18d", raw, 352)
        else:
            continue
        size = dims[1 : 1 + max(0, min(dims[0], 7))]
        return Header(order, datatype, int(offset), bits // 8, size, pixdim, codes, placed[:6], placed[6:])
    raise ValueError("the file has no NIfTI header")


def _trailer(path: Path) -> tuple[int, int]:
    """Checksum and size modulo 2^32 of the last part of a gzip file, as it states them itself."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        checksum, size = struct.unpack("<2I", file.read(8))
    return int(checksum), int(size)


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
