"""Generated people and hospitals of the pictures; every picture takes its scans from here.

The second hospital is the first one with a scanner effect that is larger than usual, so that it is seen on a page.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hnseg.phantom.case import Case, generate_case
from hnseg.phantom.scanners import DEFAULT_CENTERS, Center

F32 = NDArray[np.float32]
# A name is part of a person's seed: both hospitals scan the same people.
NECK_HERE = replace(DEFAULT_CENTERS[0], ct_matrix=220, ct_pixel_mm=1.0, top_mm=105.0, bottom_mm=15.0)
NECK_THERE = replace(NECK_HERE, ct_noise_hu=14.0)
GAIN, TILT = 1.05, 0.11  # of the second hospital: attenuation in the middle, and how much more at the left edge
WHOLE = DEFAULT_CENTERS[0]
LONG = replace(DEFAULT_CENTERS[3], arms_up_probability=1.0)


@functools.cache
def generate_person(center: Center, index: int, pixel_mm: float | None) -> Case:
    """A case of the phantom; generated once for all pictures."""
    return generate_case(center, index, seed=0, pixel_mm=pixel_mm)


def neck_here(index: int = 1) -> F32:
    """The neck (z, y, x) of a person in HU, scanned in the first hospital: 220 × 220 pixels of 1 mm."""
    return generate_person(NECK_HERE, index, None).ct.astype(np.float32)


def neck_there(index: int = 1) -> F32:
    """The same neck in the second hospital: brighter, above all on one side, and noisier."""
    scan = generate_person(NECK_THERE, index, None).ct.astype(np.float32)
    gain = GAIN + TILT * np.linspace(1, -1, scan.shape[-1], dtype=np.float32)
    return np.maximum((scan + 1000) * gain - 1000, -1024)


def primary_slice(index: int = 1) -> int:
    """The slice of the neck with the largest primary tumor."""
    return int((generate_person(NECK_HERE, index, None).label == 1).sum(axis=(1, 2)).argmax())
