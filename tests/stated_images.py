"""What an image file states, by a parser of its own: nibabel for NIfTI, a few lines for MetaImage and NRRD."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

AGREE_MM = 0.5  # by which qform and sform may differ
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Image:
    """Values (z, y, x) and the 4 × 4 matrix from voxel (x, y, z) to mm in LPS."""

    values: np.ndarray
    matrix: np.ndarray

    def equals(self, other: Image, tolerance_mm: float = 1e-3) -> bool:
        return (
            self.values.shape == other.values.shape
            and bool(np.allclose(self.values, other.values, rtol=1e-5, atol=1e-5 * float(np.abs(other.values).max())))
            and self.distance_mm(other.matrix) <= tolerance_mm * max(1.0, float(np.abs(other.matrix).max()))
        )

    def distance_mm(self, matrix: np.ndarray) -> float:
        size = np.asarray(self.values.shape[::-1]) - 1
        corners = np.array([[*(np.array(corner) * size), 1.0] for corner in np.ndindex(2, 2, 2)])
        return float(np.linalg.norm(corners @ (self.matrix - matrix).T, axis=1).max())


def place(spacing: Any, origin: Any, direction: Any) -> np.ndarray:
    """The matrix of an ITK header."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(direction, dtype=float).reshape(3, 3) * np.asarray(spacing, dtype=float)
    matrix[:3, 3] = origin
    return matrix


class ContradictionError(Exception):
    """The format shows that the file is damaged."""


def require(truth: bool, what: str) -> None:
    if not truth:
        raise ContradictionError(what)


def stated_by_nifti(path: Path) -> list[Image]:
    """Values, at the one or two places that the header allows."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    picture = nibabel.Nifti1Image.from_bytes(raw)
    header = picture.header
    require(raw[344:348] == b"n+1\0", "magic")
    require(int(header["bitpix"]) == 8 * header.get_data_dtype().itemsize, "bitpix")
    require(header.get_data_dtype().kind in "iuf", "type")
    values = np.asanyarray(picture.dataobj)
    # nibabel empties these three once it has read them.
    offset, slope, intercept = struct.unpack_from(f"{header.endianness}3f", raw, 108)
    stored = math.prod(int(n) for n in values.shape) * header.get_data_dtype().itemsize
    require(offset >= 352 and len(raw) == offset + stored, "bytes")
    require(math.isfinite(slope) and math.isfinite(intercept) and (slope != 0 or intercept == 0), "scale")
    require(bool(np.isfinite(values).all()), "finite")
    require(all(length == 1 for length in values.shape[3:]) and values.ndim >= 3, "dimensions")
    values = values.reshape(values.shape[:3]).T
    spacing = np.asarray(header["pixdim"][1:4], dtype=float)
    require(bool((np.isfinite(spacing) & (spacing > 0)).all()), "spacing")
    units = {"unknown": 1.0, "meter": 1000.0, "mm": 1.0, "micron": 0.001}[header.get_xyzt_units()[0]]
    to_mm = RAS @ np.diag([units, units, units, 1.0])
    qform, sform = (picture.get_qform(coded=True), picture.get_sform(coded=True))
    places = [to_mm @ matrix for matrix, code in (sform, qform) if code]
    if not places:
        places = [np.diag([*(spacing * units), 1.0])]  # nothing is stated: ITK's place
    for matrix in places:
        require(bool(np.isfinite(matrix).all()), "place")
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        cosines = matrix[:3, :3] / lengths
        require(bool(np.allclose(cosines.T @ cosines, np.eye(3), atol=2e-3)), "shear")
        require(bool(np.allclose(lengths, spacing * units, rtol=2e-3)), "spacing of the matrix")
    images = [Image(values, matrix) for matrix in places]
    if len(places) == 2 and qform[1] == sform[1]:
        require(images[0].distance_mm(places[1]) <= 1.01 * AGREE_MM, "qform and sform")
    return images


def numbers(text: str, count: int) -> list[float]:
    found = [float(part) for part in re.findall(r"[^\s,()]+", text)]
    require(len(found) == count and all(map(math.isfinite, found)), f"numbers {text!r}")
    return found


def only(pattern: str, text: str) -> str:
    """The one match of a header line."""
    found = re.findall(rf"^(?:{pattern})(.*)$", text, re.MULTILINE)
    require(len(found) == 1, pattern)
    return str(found[0]).strip()


def stated_by_metaimage(path: Path) -> list[Image]:
    head, mark, data = path.read_bytes().partition(b"ElementDataFile")
    line, _, data = data.partition(b"\n")
    require(bool(mark) and line.replace(b" ", b"").lower() == b"=local", "data")
    text = head.decode("latin-1")
    require(only("ObjectType *= *", text) == "Image" and only("BinaryData *= *", text) == "True", "type")
    types = {"MET_UCHAR": "u1", "MET_CHAR": "i1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_FLOAT": "f4"}
    big = only("BinaryDataByteOrderMSB *= *|ElementByteOrderMSB *= *", text)
    require(big in ("True", "False"), "order")
    dtype = np.dtype((">" if big == "True" else "<") + types[only("ElementType *= *", text)])
    size = numbers(only("DimSize *= *", text), 3)
    packed = re.findall(r"^CompressedData *= *(.*)$", text, re.MULTILINE)
    require(packed in ([], ["True"], ["False"]), "packing")
    matrix = np.array(numbers(only("TransformMatrix *= *", text), 9)).reshape(3, 3).T
    spacing, origin = numbers(only("ElementSpacing *= *", text), 3), numbers(only("Offset *= *", text), 3)
    return [content(data, "zlib" if packed == ["True"] else "none", dtype, size, place(spacing, origin, matrix))]


def stated_by_nrrd(path: Path) -> list[Image]:
    head, mark, data = path.read_bytes().partition(b"\n\n")
    require(bool(mark) and bool(re.match(rb"NRRD000[1-5]\n", head)), "magic")
    text = head.decode("latin-1").lower()  # the format does not distinguish
    types = {"unsigned char": "u1", "signed char": "i1", "short": "i2", "unsigned short": "u2", "float": "f4"}
    code = types[{"uchar": "unsigned char", "ushort": "unsigned short"}.get(kind := only("type: ", text).lower(), kind)]
    order = "|" if code.endswith("1") else {"little": "<", "big": ">"}[only("endian: ", text)]
    signs = {"left-posterior-superior": [1.0, 1.0, 1.0], "right-anterior-superior": [-1.0, -1.0, 1.0]}
    space = signs[only("space: ", text)]
    axes = np.array(numbers(only("space directions: ", text), 9)).reshape(3, 3).T
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(space)[:, None]
    matrix[:3, 3] = np.multiply(numbers(only("space origin: ", text), 3), space)
    require(numbers(only("dimension: ", text), 1) == [3], "dimension")
    packing = {"raw": "none", "gzip": "gzip", "gz": "gzip"}[only("encoding: ", text)]
    return [content(data, packing, np.dtype(order + code), numbers(only("sizes: ", text), 3), matrix)]


def content(data: bytes, packing: str, dtype: np.dtype, size: list[float], matrix: np.ndarray) -> Image:
    """The voxels of a MetaImage or NRRD file: as many as its header asks for, and none more."""
    if packing == "gzip":
        data = gzip.decompress(data)
    elif packing == "zlib":
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        data = inflate.decompress(data) + inflate.flush()
        require(inflate.eof and not inflate.unused_data, "stream")
    require(len(data) == math.prod(size) * dtype.itemsize > 0, "bytes")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    require(bool((lengths > 0).all()), "spacing")
    cosines = matrix[:3, :3] / lengths
    require(bool(np.allclose(cosines.T @ cosines, np.eye(3), atol=2e-3)), "shear")
    values = np.frombuffer(data, dtype).reshape([int(n) for n in size][::-1])
    require(bool(np.isfinite(values).all()), "finite")
    return Image(values, matrix)


STATED = {".nii": stated_by_nifti, ".gz": stated_by_nifti, ".mha": stated_by_metaimage, ".nrrd": stated_by_nrrd}
