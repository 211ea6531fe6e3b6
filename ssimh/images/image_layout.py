"""Layout of an image file as its header states it: position and storage of the voxels, and their pose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SHEAR = 1e-3  # how far direction cosines may be from perpendicular unit vectors; a CT gantry tilted by 1° gives 0.017
PLACE_MM = 0.05  # how far two computations of one header may put a corner of the image apart, and
PLACE_SHARE = 1e-4  # the same as a share of the image's diagonal: headers hold float32


@dataclass(frozen=True)
class Pose:
    """Where an image lies in the patient.

    Attributes:
        spacing_mm: Voxel size along the image's own axes, (x, y, z) or (x, y).
        origin_mm: Center of the first voxel, LPS.
        direction: (n, n) matrix; column i points along image axis i, LPS.
    """

    spacing_mm: tuple[float, ...]
    origin_mm: tuple[float, ...]
    direction: NDArray[np.float64]

    def distance_mm(self, other: Pose, size: tuple[int, ...]) -> float:
        """The farthest that the two poses put a corner of an image of ``size`` voxels apart."""
        return float(np.linalg.norm(self._corners(size) - other._corners(size), axis=1).max())

    def agrees(self, other: Pose, size: tuple[int, ...]) -> bool:
        """Whether the two put every voxel at the same place, to within the rounding of a header."""
        corners = self._corners(size)
        diagonal = float(np.linalg.norm(np.ptp(corners, axis=0)))
        return self.distance_mm(other, size) <= PLACE_MM + PLACE_SHARE * diagonal

    def fault(self) -> str | None:
        """Why the pose is none: a spacing that is no positive number, or axes that are not perpendicular."""
        if not all(0 < length < np.inf for length in self.spacing_mm):
            return f"the header has the spacing {format_numbers(self.spacing_mm)} mm; each must be a positive number"
        if not np.isfinite(self.origin_mm).all():
            return f"the header has the origin {format_numbers(self.origin_mm)} mm; each must be a finite number"
        product = self.direction.T @ self.direction
        if not np.abs(product - np.eye(len(product))).max() <= SHEAR:  # a NaN is a fault, too
            return (
                "the header's axes are sheared or singular; they must be perpendicular: direction cosines "
                + format_numbers(self.direction.ravel())
            )
        return None

    def _corners(self, size: tuple[int, ...]) -> NDArray[np.float64]:
        n = len(self.spacing_mm)
        corners = np.array(list(np.ndindex((2,) * n)), dtype=np.float64) * (np.asarray(size[:n]) - 1)
        placed: NDArray[np.float64] = (corners * self.spacing_mm) @ self.direction.T + np.asarray(self.origin_mm)
        return placed


@dataclass(frozen=True)
class Layout:
    """Where and how a file stores its voxels, by its own header.

    Attributes:
        data_path: File that holds the voxels; the image file itself unless the header is detached.
        size: Voxels along x, y, z, ….
        dtype: Type of the stored values, with its byte order.
        compression: How the bytes from ``start`` to the file's end are packed.
        start: Bytes of the file before the packed (or plain) bytes.
        offset: Bytes before the first voxel once unpacked, counted from ``start``.
        slope: Factor on the stored values.
        intercept: Summand after it.
        poses: Where the image lies; more than one where a header may state several; none where the format states none.
        nan_lost: Whether ITK replaces NaN and infinite values of this format by zero.
    """

    data_path: Path
    size: tuple[int, ...]
    dtype: np.dtype[Any]
    compression: Literal["none", "gzip", "zlib"]
    start: int
    offset: int
    slope: float = 1.0
    intercept: float = 0.0
    poses: tuple[Pose, ...] = ()
    nan_lost: bool = False

    @property
    def is_scaled(self) -> bool:
        """Whether values in memory are not the stored ones."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def unpacked_bytes(self) -> int:
        """Bytes from ``start`` to the end once unpacked, exact integers of any size."""
        return self.offset + math.prod(self.size) * self.dtype.itemsize


def check_size(size: tuple[int, ...]) -> tuple[int, ...]:
    """The size, if every length is at least one.

    Raises:
        ValueError: It is not.
    """
    if not size or min(size) < 1:
        raise ValueError(f"the header has the size {size}; every length must be ≥ 1")
    return size


def format_numbers(values: Any) -> str:
    """Numbers of a header for a message, comma-separated."""
    return ", ".join(f"{value:.4g}" for value in values)


def parse_numbers(text: str, count: int, name: str, kind: type = float) -> tuple[Any, ...]:
    """The numbers of a header's field, separated by blanks.

    Args:
        text: Value of the field.
        count: How many there must be.
        name: Of the field.
        kind: ``float`` or ``int``.

    Raises:
        ValueError: Another number of values, or one that is no number.
    """
    try:
        values = tuple(kind(part) for part in text.split())
    except ValueError:
        values = ()
    if len(values) != count:
        raise ValueError(f"{name} is {text[:60]!r}; {count} numbers are needed")
    return values


def read_up_to(path: Path, count: int) -> bytes:
    """The first bytes of a file, at most ``count``."""
    with path.open("rb") as file:
        return file.read(count)


def sibling_file(path: Path, name: str) -> Path:
    """The data file that a detached header names.

    Raises:
        ValueError: It does not exist, or the header names several.
    """
    data = path.parent / name
    if not name or not data.is_file():
        raise ValueError(f"the header names the data file {name!r}, which is not beside it; one file is needed")
    return data
