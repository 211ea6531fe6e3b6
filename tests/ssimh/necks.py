"""Generated necks for the tests of alignment: fat around muscle, bone, an airway, air around."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPE = (20, 40, 44)


def neck(seed: int = 0, *, factor: Any = 1.0, spread_hu: float = 5.0) -> NDArray[np.float32]:
    """(z, y, x) CT in HU of a subject with its own size, place and tissue; attenuation is multiplied by ``factor``."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    cy, cx = np.array(SHAPE[1:]) / 2 + rng.normal(0, 1, 2)
    ry, rx = np.array([14.0, 17.0]) * rng.uniform(0.9, 1.1, 2)
    radius = np.sqrt(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 + 0 * z)
    muscle, fat = np.array([40.0, -103.0]) + rng.normal(0, spread_hu, 2)
    scan = np.where(radius < 0.75 + 0.05 * np.sin(z / 4 + seed), muscle, np.where(radius < 1, fat, -1000.0))
    scan[np.broadcast_to(np.hypot(y - cy - 4, x - cx) < 2.5, SHAPE)] = 700
    scan[np.broadcast_to(np.hypot(y - cy + 4, x - cx) < 2.5, SHAPE)] = -1000
    scan = np.where(scan > -900, scan + rng.normal(0, 10, SHAPE), scan)
    return np.asarray((scan + 1000) * factor - 1000, dtype=np.float32)
