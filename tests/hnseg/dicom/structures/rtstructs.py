"""Small RTSTRUCT datasets and the grids that tests of structures draw on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import Dataset

from hnseg.images.geometry import Grid

STRAIGHT = Grid((16, 12, 6), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0))
OBLIQUE = Grid(
    (16, 12, 6), (0.9, 1.1, 3.0), (-40.0, 25.0, 300.0), (0.96, -0.168, 0.224, 0.28, 0.576, -0.768, 0.0, 0.8, 0.6)
)
# Slices from head to feet, rows from left to right.
FLIPPED = Grid((16, 12, 6), (0.9, 0.9, 2.5), (50.0, -80.0, 90.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0))


@dataclass
class Roi:
    """A structure: its name and contours, each with its points in continuous index (x, y, z) of a grid."""

    name: str
    contours: Sequence[Any]
    kinds: Sequence[str] = field(default_factory=tuple)


def make_rtstruct(rois: Sequence[Roi], grid: Grid = STRAIGHT) -> Dataset:
    """A dataset with the structures; contours without a kind are CLOSED_PLANAR."""
    dataset = Dataset()
    dataset.Modality = "RTSTRUCT"
    dataset.StructureSetROISequence = []
    dataset.ROIContourSequence = []
    for number, roi in enumerate(rois, 1):
        listed, drawn = Dataset(), Dataset()
        listed.ROINumber, listed.ROIName, listed.ReferencedFrameOfReferenceUID = number, roi.name, "1.2.3"
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = []
        for position, points in enumerate(roi.contours):
            item = Dataset()
            item.ContourGeometricType = roi.kinds[position] if roi.kinds else "CLOSED_PLANAR"
            mm = grid.to_physical(np.asarray(points, dtype=np.float64))
            item.ContourData = [f"{value:.8g}" for value in mm.ravel()]
            item.NumberOfContourPoints = len(points)
            drawn.ContourSequence.append(item)
        dataset.StructureSetROISequence.append(listed)
        dataset.ROIContourSequence.append(drawn)
    return dataset


def box(x0: float, y0: float, x1: float, y1: float, z: float = 2) -> list[tuple[float, float, float]]:
    """A rectangle in a slice."""
    return [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
