"""A DICOM series as one volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hnseg.images.geometry import Grid

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class SeriesVolume:
    """Values, position and headers of a series.

    Attributes:
        values: float32 (z, y, x), the rescale slope and intercept of each slice applied: HU for CT; the unit that the
            header states for PET.
        grid: Position of the voxels, LPS.
        headers: Dataset of each slice without its pixels, in the order of z. Attributes of an enhanced multi-frame
            image are those of the classic slice.
        warnings: What was unusual and could be read all the same; without identifiers.
    """

    values: NDArray[Any]
    grid: Grid
    headers: tuple[Dataset, ...]
    warnings: tuple[str, ...] = ()
