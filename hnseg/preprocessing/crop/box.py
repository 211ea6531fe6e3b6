"""Input and output types of the crop methods: a scan by physical position, and a box with its reason."""

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
        method: Name of the crop method.
        confidence: 0 to 1: the share of directions in which bone encloses the presumed brain; at most 0.5
            with PET alone; 0 for a fallback.
        reason: One sentence for the report.
        fallback: Whether the method did not find what it looks for.
        in_view: Share of the box's height that CT and PET both cover, 0 to 1.
        brain_ml: Volume of the presumed brain; 0 if there is none.
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
    """Result of a crop method: lower corner of the box, (x, y, z) mm, and the reason."""

    lower_mm: Vector
    reason: str
    confidence: float = 0.0
    fallback: bool = False
    brain_ml: float = 0.0


def box_below(center_xy: Vector, top_mm: float, box_mm: Vector) -> Vector:
    """Lower corner of the box below ``top_mm``, centered on ``center_xy``."""
    return np.array([*(np.asarray(center_xy)[:2] - box_mm[:2] / 2), top_mm - box_mm[2]])


@dataclass(frozen=True, eq=False)
class PetCt:
    """PET in SUV and CT in HU, each (z, y, x) on its own grid, any direction; the CT may be None."""

    pet_suv: NDArray[Any]
    pet_grid: Grid
    ct_hu: NDArray[Any] | None
    ct_grid: Grid | None

    @property
    def grids(self) -> list[Grid]:
        """Grids of CT, if there is one, and PET."""
        return [self.pet_grid] if self.ct_grid is None else [self.ct_grid, self.pet_grid]

    def common_mm(self) -> tuple[Vector, Vector]:
        """The upright box (lower, upper) that CT and PET both cover.

        Raises:
            ValueError: They do not overlap.
        """
        common = overlap_mm(self.grids[0], self.grids[-1])
        if common is None:
            ct, pet = (grid.bounds_mm() for grid in self.grids)
            raise ValueError(f"CT {_format_bounds(ct)} and PET {_format_bounds(pet)} do not overlap")
        return common

    def pet_on(self, grid: Grid) -> NDArray[Any]:
        """PET on a grid, 0 outside."""
        return resample(self.pet_suv, self.pet_grid, grid, outside=0.0)

    def ct_on(self, grid: Grid) -> NDArray[Any] | None:
        """CT on a grid, −1024 outside; None without a CT."""
        if self.ct_hu is None or self.ct_grid is None:
            return None
        return resample(self.ct_hu, self.ct_grid, grid, outside=-1024.0)


def _format_bounds(bounds: tuple[Vector, Vector]) -> str:
    return " × ".join(f"{low:.0f} to {high:.0f}" for low, high in zip(*bounds, strict=True)) + " mm"
