"""SUVmax of a lesion is the largest PET voxel that its mask touches, at any grids."""

from __future__ import annotations

import numpy as np

from hnseg.dicom.lesion_suv import measure_suv_max
from hnseg.dicom.series.volume import SeriesVolume
from hnseg.images.geometry import Grid

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
PET = SeriesVolume(
    np.arange(24, dtype=np.float32).reshape(2, 3, 4), Grid((4, 3, 2), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), UPRIGHT), ()
)


def test_a_voxel_has_the_value_of_the_pet_voxel_around_its_center():
    """Voxels of 1 mm: GTVp at (1, 2, 3) mm and (5, 2, 3) mm, which lie in PET voxels (0, 0 or 1, 1) and (1, …)."""
    grid = Grid((16, 12, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), UPRIGHT)
    label = np.zeros(grid.shape, np.uint8)
    label[3, 1, 1] = label[3, 1, 5] = 1
    label[0, 5, 15] = 2  # (15, 5, 0) mm: beyond the last voxel along x, which ends at 14 mm
    assert measure_suv_max(label, grid, PET) == {"gtvp_suv_max": 13.0, "gtvn_suv_max": None}
    label[0, 5, 13] = 2  # voxel (3, 1, 0)
    assert measure_suv_max(label, grid, PET)["gtvn_suv_max"] == 7.0


def test_an_empty_class_has_none_and_directions_count():
    flipped = Grid((4, 3, 2), (4.0, 4.0, 4.0), (12.0, 0.0, 0.0), (-1.0, *UPRIGHT[1:]))
    label = np.zeros(flipped.shape, np.uint8)
    label[0, 0, 0] = 1  # at x = 12 mm: the last voxel of the PET
    assert measure_suv_max(label, flipped, PET) == {"gtvp_suv_max": 3.0, "gtvn_suv_max": None}
