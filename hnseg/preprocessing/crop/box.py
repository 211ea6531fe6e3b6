"""What every crop method gets and gives: the scan's two images by place, and a box with its reasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.images.resample import overlap_mm, resample

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Crop:
    """A crop box and the reasons for it.

    Attributes:
        grid: The box as an upright grid; it may reach beyond the images.
        method: How the box was found.
        confidence: 0 to 1: the share of directions in which bone encloses what was taken for the brain; at most 0.5
            where there is PET alone; 0 for a fallback.
        reason: One sentence for the report.
        fallback: What the method looks for is not there.
        in_view: Share of the box's height that CT and PET both cover, 0 to 1.
        brain_ml: Volume of the hot region taken for the brain; 0 where there is none.
    """

    grid: Grid
    method: str
    confidence: float
    reason: str
    fallback: bool
    in_view: float
    brain_ml: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "grid": self.grid.as_dict()}


@dataclass(frozen=True)
class Placement:
    """A method's answer: where the box's lower corner lies, (x, y, z) mm, and why."""

    lower_mm: Vector
    reason: str
    confidence: float = 0.0
    fallback: bool = False
    brain_ml: float = 0.0


def box_below(center_xy: Vector, top_mm: float, box_mm: Vector) -> Vector:
    """Lower corner of the box that hangs below ``top_mm``, centered on ``center_xy``."""
    return np.array([*(np.asarray(center_xy)[:2] - box_mm[:2] / 2), top_mm - box_mm[2]])


@dataclass(frozen=True, eq=False)
class Scan:
    """PET in SUV and CT in HU, each (z, y, x) on its own grid, any direction; there may be no CT."""

    pet_suv: NDArray[Any]
    pet_grid: Grid
    ct_hu: NDArray[Any] | None
    ct_grid: Grid | None

    @property
    def grids(self) -> list[Grid]:
        """The grids of the images that are there."""
        return [self.pet_grid] if self.ct_grid is None else [self.ct_grid, self.pet_grid]

    def common_mm(self) -> tuple[Vector, Vector]:
        """The upright box (lower, upper) that CT and PET both cover.

        Raises:
            ValueError: They do not overlap.
        """
        common = overlap_mm(self.grids[0], self.grids[-1])
        if common is None:
            ct, pet = (grid.bounds_mm() for grid in self.grids)
            raise ValueError(f"CT {_told(ct)} and PET {_told(pet)} do not overlap")
        return common

    def pet_on(self, grid: Grid) -> NDArray[Any]:
        """PET by place, 0 outside."""
        return resample(self.pet_suv, self.pet_grid, grid, outside=0.0)

    def ct_on(self, grid: Grid) -> NDArray[Any] | None:
        """CT by place, −1024 outside; None where there is none."""
        if self.ct_hu is None or self.ct_grid is None:
            return None
        return resample(self.ct_hu, self.ct_grid, grid, outside=-1024.0)


def _told(bounds: tuple[Vector, Vector]) -> str:
    return " × ".join(f"{low:.0f} to {high:.0f}" for low, high in zip(*bounds, strict=True)) + " mm"
