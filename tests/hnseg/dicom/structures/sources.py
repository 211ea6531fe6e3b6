"""Small CT series that masks are written for, and a mask that differs along every axis and in every direction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from hnseg.images.geometry import Grid
from tests.hnseg.dicom.phantoms import Phantom, make_ct

SHAPE = (6, 9, 10)


def make_source(folder: Path, tags: dict[str, Any] | None = None, **options: Any) -> tuple[list[Dataset], Grid]:
    """Headers of a CT in the order of z, and its grid."""
    phantom = Phantom(shape=SHAPE, **options)
    headers = make_ct(folder, tags=tags, shape=SHAPE, **options)
    direction = tuple(phantom.axes.T.ravel())
    return headers, Grid(SHAPE[::-1], phantom.spacing_mm, tuple(phantom.origin_mm), direction)


def make_mask(*labels: int) -> NDArray[np.uint8]:
    """Labels scattered over slices 1, 2 and 4."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    noise = np.random.default_rng(7).random(SHAPE)
    for label in labels:
        mask[(noise * 5).astype(int) == label] = label
    mask[[0, 3, 5]] = 0
    return mask
