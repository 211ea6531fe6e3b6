"""Evidence that a position is inside a head: bone around it in the CT, and the width of the cross-section.

Measured on 28 head-and-neck CTs of several institutions and ten of other parts of the body: bone lies in 83 to 100 %
(71 % in one) of the directions around the middle of the head at the brainstem and above, 51 to 100 % at the skull base,
at most 67 % in the neck and at most 86 % at the shoulders, which are wider than any head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hnseg.images.geometry import Grid

COARSE_MM = 4.0
BONE_HU = 200.0  # skull, also where a 4 mm voxel only half covers it
BODY_HU = -300.0
BODY_SUV = 0.3
RAY_MM = (35.0, 120.0)  # nearer bone is a vertebra or a jaw; 120 mm is half of the longest large adult head
ENCLOSED = 0.8
HEAD_MM = 260.0  # heads are up to 180 mm wide and 240 mm deep with nose; chests, pelvises and shoulders exceed 300


@dataclass(frozen=True)
class Evidence:
    """Share of directions with bone (None without CT), and the width of the body's cross-section in mm."""

    enclosed: float | None
    width_mm: float

    @property
    def score(self) -> float:
        """0 to 1; PET alone counts half, and nothing wider than a head counts."""
        if self.width_mm > HEAD_MM:
            return 0.0
        return 0.5 if self.enclosed is None else self.enclosed

    @property
    def description(self) -> str:
        """The evidence as text, for the reason of a crop."""
        if self.enclosed is None:
            return f"in a body {self.width_mm:.0f} mm wide; PET alone"
        return f"with bone in {self.enclosed:.0%} of the directions around it, in a body {self.width_mm:.0f} mm wide"


def body_mask(pet_suv: NDArray[Any], ct_hu: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Mask of the body on a coarse grid, from CT if there is one; thin plates such as a table are removed."""
    inside = pet_suv > BODY_SUV if ct_hu is None else ct_hu > BODY_HU
    plane = np.ones((1, 3, 3), bool)
    opened: NDArray[np.bool_] = ndimage.binary_opening(inside, plane, iterations=2)
    return opened


def largest_component(plane: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest connected component of a slice; None if it is empty."""
    pieces, count = ndimage.label(plane)
    if count == 0:
        return None
    largest: NDArray[np.bool_] = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return largest


def best_evidence(
    where: NDArray[np.float64], heights: tuple[int, ...], body: NDArray[np.bool_], ct_hu: NDArray[Any] | None
) -> Evidence:
    """Best evidence among axial slices, around one position.

    Args:
        where: (2,) Position (y, x) in voxels of the coarse grid.
        heights: Slices to test; the best one counts, since the skull base is open towards the face.
        body: (z, y, x) From :func:`body_mask`.
        ct_hu: (z, y, x) CT in HU on the same grid, or None.
    """
    found = [Evidence(None if ct_hu is None else _enclosed(where, z, ct_hu), _width(where, body[z])) for z in heights]
    return max(found, key=lambda evidence: (evidence.score, -evidence.width_mm))


def _enclosed(where: NDArray[np.float64], z: int, ct_hu: NDArray[Any]) -> float:
    """Share of 72 axial directions that meet bone within :data:`RAY_MM`."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radii = np.arange(*RAY_MM, COARSE_MM / 2) / COARSE_MM
    ys, xs = where[0] + np.outer(np.sin(angles), radii), where[1] + np.outer(np.cos(angles), radii)
    # A 4 mm voxel may miss a thin table of the skull: take the maximum over neighboring slices.
    plate = ct_hu[max(z - 1, 0) : z + 2].max(axis=0)
    samples = ndimage.map_coordinates(plate, [ys, xs], order=1, cval=-1024.0)
    return float((samples.max(axis=1) > BONE_HU).mean())


def _width(where: NDArray[np.float64], plane: NDArray[np.bool_]) -> float:
    """Width (x) in mm of the body's component at or nearest to a position; infinite if the slice is empty."""
    pieces, count = ndimage.label(plane)
    if count == 0:
        return float("inf")
    points = np.argwhere(plane)
    nearest = points[np.abs(points - where).sum(axis=1).argmin()]
    columns = np.flatnonzero((pieces == pieces[tuple(nearest)]).any(axis=0))
    return float(columns[-1] - columns[0] + 1) * COARSE_MM


def to_index(center_xy: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """(y, x) in voxels of a physical position (x, y)."""
    index = grid.to_index([center_xy[0], center_xy[1], grid.origin_mm[2]])
    return np.array([index[1], index[0]])
