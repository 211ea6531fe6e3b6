"""The header of a NIfTI-1 file, read strictly.

ITK's NIfTI reader takes a spacing of zero, NaN or infinity for 1 mm, reads a file without the NIfTI mark as ANALYZE,
ignores a wrong ``bitpix``, reads voxels from inside the header, falls back to the qform where the sform is sheared, and
takes an unknown unit of length for millimeters. Every one of these would become a silently wrong image.

The format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssimh.images.gzip_library import GZIP_ERRORS, open_gzip
from ssimh.images.image_layout import Layout, Pose, check_size, format_numbers

HEADER_BYTES = 348
FIRST_VOXEL = 352  # of a header and its voxels in one file: the header and four bytes that announce extensions
# NIfTI's code of a voxel's type; color and complex types are no scans.
DTYPES = {2: "u1", 256: "i1", 4: "i2", 512: "u2", 8: "i4", 768: "u4", 1024: "i8", 1280: "u8", 16: "f4", 64: "f8"}
OTHER_TYPES = {1: "binary", 32: "complex", 128: "RGB", 1536: "float128", 1792: "complex", 2048: "complex", 2304: "RGBA"}
UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # not stated, meter, millimeter, micrometer
AGREE_MM = 0.5  # how far qform and sform may put a corner of the image apart
SPACING_SHARE = 1e-3  # how far the lengths of the sform's columns may be from the spacing
ROUNDING = 3 * 2.0**-23  # of the length of a quaternion in float32; nibabel allows as much
TO_LPS = np.array([-1.0, -1.0, 1.0])  # NIfTI is RAS
SMALLEST_SLOPE = 1e-12  # ITK takes a slope below 2e-16 for 1


@dataclass(frozen=True)
class NiftiHeader:
    """Fields of a NIfTI-1 header that decide what the image is."""

    order: str
    magic: bytes
    dim: tuple[int, ...]
    datatype: int
    bitpix: int
    pixdim: tuple[float, ...]  # the sign of qform's z axis, then the spacings
    vox_offset: float
    slope: float
    intercept: float
    units: int
    codes: tuple[int, int]  # of qform and sform; 0: not set
    quaternion: tuple[float, ...]  # b, c, d, and the offset
    sform: tuple[float, ...]  # three rows of four

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels along every axis that the header counts, and at least along three."""
        return self.dim[1 : 1 + self.dim[0]]

    @property
    def unit_mm(self) -> float:
        """Millimeters of the header's unit of length."""
        return UNITS_MM[self.units & 7]


def is_nifti(path: Path) -> bool:
    """Whether a file's name marks it as NIfTI."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_nifti_header(path: Path) -> NiftiHeader:
    """The header of a ``.nii``, ``.nii.gz`` or ``.hdr`` file.

    Raises:
        ValueError: There is none, it is damaged, or one of its fields contradicts the format.
    """
    try:
        with open_gzip(path) if _is_gzip(path) else path.open("rb") as file:
            header = _unpack(file.read(HEADER_BYTES))
    except GZIP_ERRORS as error:
        raise ValueError(f"the compressed data are damaged or end too early: {error}") from error
    _check(header, path)
    return header


def nifti_layout(path: Path) -> Layout:
    """Where and how a NIfTI file stores its voxels.

    Raises:
        ValueError: As :func:`read_nifti_header`; or qform and sform contradict each other or the spacing.
    """
    header = read_nifti_header(path)
    data = path if is_nifti(path) else path.with_suffix(".img")
    if not data.is_file():
        raise ValueError(f"the header's voxels must be in {data.name}, which is not beside it")
    # A slope of 0 stands for no scaling.
    slope, intercept = (header.slope, header.intercept) if header.slope else (1.0, 0.0)
    return Layout(
        data_path=data,
        size=header.size,
        dtype=np.dtype(header.order + DTYPES[header.datatype]),
        compression="gzip" if _is_gzip(data) else "none",
        start=0,
        offset=int(header.vox_offset),
        slope=slope,
        intercept=intercept,
        poses=_poses(header),
        nan_lost=True,
    )


def orientation_doubt(header: NiftiHeader) -> str | None:
    """Why two programs may see this image in two places; None where they agree.

    A NIfTI header can state the position twice, by qform and by sform. ITK follows the sform where both name the
    scanner's space and else the qform; other programs choose otherwise.
    """
    if header.codes == (0, 0):
        return "the header says neither by qform nor by sform how the image lies in the patient"
    if 0 in header.codes or len(header.size) < 3:
        return None
    apart = _qform(header).distance_mm(_sform(header), header.size)
    if apart <= AGREE_MM:
        return None
    return f"qform and sform of the header put the image {apart:.1f} mm apart; programs differ in which they follow"


def _is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _unpack(raw: bytes) -> NiftiHeader:
    """A NIfTI-1 header of either byte order."""
    for order in "<>" if len(raw) >= HEADER_BYTES else "":
        if struct.unpack_from(f"{order}i", raw)[0] == HEADER_BYTES:
            break
    else:
        if raw[:4] in (struct.pack("<i", 540), struct.pack(">i", 540)):
            raise ValueError("this is NIfTI-2, which ITK does not read; save it as NIfTI-1")
        raise ValueError("the file has no NIfTI header")
    placed = struct.unpack_from(f"{order}18f", raw, 256)
    datatype, bitpix = struct.unpack_from(f"{order}2h", raw, 70)
    vox_offset, slope, intercept = struct.unpack_from(f"{order}3f", raw, 108)
    return NiftiHeader(
        order=order,
        magic=raw[344:348],
        dim=struct.unpack_from(f"{order}8h", raw, 40),
        datatype=datatype,
        bitpix=bitpix,
        pixdim=struct.unpack_from(f"{order}4f", raw, 76),
        vox_offset=vox_offset,
        slope=slope,
        intercept=intercept,
        units=raw[123],
        codes=struct.unpack_from(f"{order}2h", raw, 252),
        quaternion=placed[:6],
        sform=placed[6:],
    )


def _check(header: NiftiHeader, path: Path) -> None:
    """Refuse a header with a field that contradicts the format."""
    magic, first = (b"n+1\0", FIRST_VOXEL) if is_nifti(path) else (b"ni1\0", 0)
    if header.magic != magic:
        raise ValueError(f"the header ends with {header.magic!r}; NIfTI-1 has {magic!r} there")
    if not 1 <= header.dim[0] <= 7:
        raise ValueError(f"the header counts {header.dim[0]} dimensions; 1 to 7 are allowed")
    check_size(header.size)
    if header.datatype not in DTYPES:
        kind = OTHER_TYPES.get(header.datatype, "unknown")
        raise ValueError(f"the header has the data type {header.datatype} ({kind}); allowed are {sorted(DTYPES)}")
    bits = 8 * np.dtype(DTYPES[header.datatype]).itemsize
    if header.bitpix != bits:
        raise ValueError(f"the header has {header.bitpix} bits per voxel; its data type {header.datatype} has {bits}")
    if not (header.vox_offset.is_integer() and first <= header.vox_offset < 2**31):
        raise ValueError(
            f"the header puts the first voxel at byte {header.vox_offset:g}; it must be a whole number ≥ {first}"
        )
    if not np.isfinite((header.slope, header.intercept)).all():
        raise ValueError(
            f"the header has slope {header.slope:g} and intercept {header.intercept:g}; allowed are finite"
        )
    if abs(header.slope) < SMALLEST_SLOPE and (header.slope, header.intercept) != (0.0, 0.0):
        raise ValueError(
            f"the header has slope {header.slope:g} and intercept {header.intercept:g}; a slope must be larger than "
            f"{SMALLEST_SLOPE:g}, or 0 with intercept 0 (no scaling)"
        )
    if header.units & 7 not in UNITS_MM:
        raise ValueError(f"the header has the unit of length {header.units & 7}; allowed are {sorted(UNITS_MM)}")
    spacing = header.pixdim[1 : 1 + min(3, header.dim[0])]
    if not all(0 < length < np.inf for length in spacing):
        shown = ", ".join(f"{length:g}" for length in spacing)
        raise ValueError(f"the header has the spacing {shown} mm; each must be a positive number")
    if min(header.codes) < 0:
        raise ValueError(f"qform and sform of the header have the codes {header.codes}; each must be ≥ 0")


def _poses(header: NiftiHeader) -> tuple[Pose, ...]:
    """Where the image lies by qform, by sform, or by neither (then at the origin, along the patient's axes)."""
    if len(header.size) < 3:
        return ()
    if header.codes == (0, 0):
        spacing = tuple(header.unit_mm * length for length in header.pixdim[1:4])
        return (Pose(spacing, (0.0, 0.0, 0.0), np.eye(3)),)
    poses: list[Pose] = []
    if header.codes[1]:
        poses.append(_checked(_sform(header)))
        spacing = tuple(header.unit_mm * length for length in header.pixdim[1:4])
        if not np.allclose(poses[0].spacing_mm, spacing, rtol=SPACING_SHARE):
            raise ValueError(
                f"the header has the spacing {format_numbers(spacing)} mm, its sform "
                f"{format_numbers(poses[0].spacing_mm)} mm; they must be equal"
            )
    if header.codes[0]:
        if not sum(part * part for part in header.quaternion[:3]) <= 1.0 + ROUNDING:
            raise ValueError(
                f"the qform's quaternion {format_numbers(header.quaternion[:3])} is longer than 1 and no rotation"
            )
        poses.append(_checked(_qform(header)))
    if len(poses) == 2 and header.codes[0] == header.codes[1]:
        # The same code says that both are positions in the same space; other codes may differ on purpose.
        apart = poses[0].distance_mm(poses[1], header.size)
        if apart > AGREE_MM:
            raise ValueError(f"qform and sform of the header put the image {apart:.1f} mm apart in the same space")
    return tuple(poses)


def _checked(pose: Pose) -> Pose:
    if fault := pose.fault():
        raise ValueError(fault)
    return pose


def _sform(header: NiftiHeader) -> Pose:
    rows = np.asarray(header.sform, dtype=np.float64).reshape(3, 4) * header.unit_mm * TO_LPS[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.linalg.norm(rows[:, :3], axis=0)
        return Pose(tuple(lengths.tolist()), tuple(rows[:, 3].tolist()), rows[:, :3] / lengths)


def _qform(header: NiftiHeader) -> Pose:
    b, c, d = header.quaternion[:3]
    a = math.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    rotation: NDArray[np.float64] = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    if header.pixdim[0] < 0:
        rotation[:, 2] *= -1
    spacing = tuple(header.unit_mm * length for length in header.pixdim[1:4])
    origin = header.unit_mm * TO_LPS * header.quaternion[3:]
    return Pose(spacing, tuple(origin.tolist()), TO_LPS[:, None] * rotation)
