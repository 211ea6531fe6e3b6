"""Positions of voxels in the patient: the one place where array order and physical order meet.

Convention of the whole package:

* arrays are indexed ``(z, y, x)``, with channels in front ``(C, z, y, x)``;
* everything physical is ``(x, y, z)`` in millimeters in the LPS frame, as in DICOM and ITK headers
  (x grows to the patient's left, y to the back, z to the head);
* a :class:`Grid` is an ITK header: ``physical = origin + direction @ (spacing * index)`` with ``index = (i, j, k)``
  along x, y, z; the origin is the *center* of voxel (0, 0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """A sampling grid in physical space: an image header without the image.

    Attributes:
        size: Number of voxels along the grid's own x, y, z axes.
        spacing_mm: Voxel spacing along them.
        origin_mm: Position of the center of the first voxel, (x, y, z), LPS.
        direction: Nine direction cosines, row-major as in ITK; the columns are the grid's axes in the LPS frame.

    Raises:
        ValueError: It is not three-dimensional, a size is below 1, or a spacing is not positive.
    """

    size: tuple[int, int, int]
    spacing_mm: Vector
    origin_mm: Vector
    direction: tuple[float, ...] = IDENTITY

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        for name in ("spacing_mm", "origin_mm", "direction"):
            object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))
        lengths = (len(self.size), len(self.spacing_mm), len(self.origin_mm), len(self.direction))
        if lengths != (3, 3, 3, 9):
            raise ValueError(f"a grid is three-dimensional; got size, spacing, origin, direction of lengths {lengths}")
        if min(self.size) < 1 or min(self.spacing_mm) <= 0:
            raise ValueError(f"sizes must be ≥ 1 and spacings > 0 mm; got {self.size} and {self.spacing_mm} mm")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, (z, y, x)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def spacing_zyx_mm(self) -> Vector:
        """Spacing in the order of an array's axes."""
        return self.spacing_mm[2], self.spacing_mm[1], self.spacing_mm[0]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in milliliters."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Direction cosines as a (3, 3) matrix."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    def to_physical(self, index_xyz: Any) -> NDArray[np.float64]:
        """Physical points (..., 3) of continuous indices (..., 3), both (x, y, z)."""
        index = np.asarray(index_xyz, dtype=np.float64)
        return np.asarray(self.origin_mm) + (index * np.asarray(self.spacing_mm)) @ self.matrix.T

    def to_index(self, point_mm: Any) -> NDArray[np.float64]:
        """Continuous indices (..., 3) of physical points (..., 3), both (x, y, z)."""
        point = np.asarray(point_mm, dtype=np.float64) - np.asarray(self.origin_mm)
        return (point @ np.linalg.inv(self.matrix).T) / np.asarray(self.spacing_mm)

    def bounds_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Axis-aligned physical box (lower, upper) that contains every voxel with its whole extent."""
        corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
        points = self.to_physical(corners * np.asarray(self.size) - 0.5)
        return points.min(axis=0), points.max(axis=0)

    def matches(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids place every voxel at the same position, to within ``tolerance_mm``."""
        if self.size != other.size:
            return False
        corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
        corners *= np.asarray(self.size) - 1
        return bool(np.abs(self.to_physical(corners) - other.to_physical(corners)).max() <= tolerance_mm)

    def as_dict(self) -> dict[str, list[float]]:
        """JSON-ready form; ``Grid(**d)`` restores the grid."""
        return {name: list(getattr(self, name)) for name in ("size", "spacing_mm", "origin_mm", "direction")}
