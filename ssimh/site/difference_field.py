"""The smooth field that an alignment moves an image along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class DifferenceField:
    """The smooth field that an alignment moves along, and the limits of what it moves.

    Args:
        coefficients: (2, 10), the part in body coordinates and the part in grid coordinates; logarithm of a factor on
            HU + 1000, or units of 1000 HU. The image is moved by minus their sum.
        space: ``"log"`` or ``"linear"``.
        tissue_window_hu: window of soft tissue of both sites.
        body_threshold_hu: HU above which a voxel can belong to the body, of both sites.
    """

    coefficients: NDArray[np.float64]
    space: str
    tissue_window_hu: tuple[float, float]
    body_threshold_hu: float
