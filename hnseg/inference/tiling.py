"""Windows of a crop: their size, positions and cost. Pure arithmetic.

Everything is in voxels and in array order, (z, y, x).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

Triple = tuple[int, int, int]

# Limits of the cheapest tiling (docs/hnseg/concepts.md).
MAX_MARGIN = 0.05  # of the crop's length may be made up
MAX_GROWTH = 1.5  # over the training patch: instance normalization sees other statistics in much longer windows


@dataclass(frozen=True)
class Tiling:
    """Windows over a crop.

    Attributes:
        crop: Its shape.
        window: What the network sees at once.
        starts: First voxel of the windows along each axis; one negative start where the window
            is longer than the crop, which then sits in its middle.
    """

    crop: Triple
    window: Triple
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def origins(self) -> Iterator[Triple]:
        """First voxel of every window."""
        return itertools.product(*self.starts)

    @property
    def count(self) -> int:
        """How many windows there are."""
        return math.prod(len(along) for along in self.starts)

    @property
    def cost(self) -> float:
        """Voxels that pass through the network for each voxel of the crop.

        >>> round(tile((310, 200, 200), (192, 192, 192), overlap=0.5).cost, 2)
        6.85
        >>> round(tile((310, 200, 200), (192, 200, 200), overlap=0.5).cost, 2)
        1.86
        """
        return self.count * math.prod(self.window) / math.prod(self.crop)


def tile(shape: Triple, window: Triple, *, overlap: float) -> Tiling:
    """Lay windows of one size over a crop, where MONAI's sliding window lays them.

    Args:
        shape: Of the crop, (z, y, x) in voxels.
        window: Of a window, (z, y, x) in voxels.
        overlap: 0 ≤ overlap < 1. Neighbors share at least this part of their length; the last window is moved
            back inside the crop.

    Raises:
        ValueError: A length below 1, or an overlap outside its range.
    """
    if min(*shape, *window) < 1:
        raise ValueError(f"crop {shape} and window {window}: every length must be ≥ 1")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap {overlap}: 0 ≤ overlap < 1")
    z, y, x = (_starts(n, w, overlap) for n, w in zip(shape, window, strict=True))
    return Tiling(shape, window, (z, y, x))


def _starts(length: int, window: int, overlap: float) -> tuple[int, ...]:
    if window >= length:
        return (-((window - length) // 2),)
    step = max(1, int(window * (1 - overlap)))
    count = math.ceil((length - window) / step) + 1
    return tuple(min(k * step, length - window) for k in range(count))


def cheapest_tiling(shape: Triple, patch: Triple, *, multiple: int, overlap: float, max_voxels: int) -> Tiling:
    """The tiling with the least cost whose window fits.

    Along each axis a window is at least as long as the training patch, so that the network sees no less around a voxel
    than it was trained with, and at most :data:`MAX_GROWTH` times as long. It reaches beyond the crop by
    :data:`MAX_MARGIN` at most, unless the patch itself is longer than the crop. Among equal costs the larger window
    wins.

    Args:
        shape: The crop.
        patch: What the network was trained on.
        multiple: The network takes lengths that are multiples of this.
        overlap: 0 ≤ overlap < 1, as in :func:`tile`.
        max_voxels: Most voxels of a window. Where even the patch has more, the patch is the window.
    """
    lengths = (_lengths(n, p, multiple) for n, p in zip(shape, patch, strict=True))
    fitting = [(z, y, x) for z, y, x in itertools.product(*lengths) if z * y * x <= max_voxels]
    tilings = [tile(shape, window, overlap=overlap) for window in fitting]
    if not tilings:
        return tile(shape, patch, overlap=overlap)
    return min(tilings, key=lambda tiling: (tiling.cost, -math.prod(tiling.window)))


def _lengths(length: int, patch: int, multiple: int) -> list[int]:
    """Multiples from the patch up to the limits; the patch alone where the crop is no longer."""
    longest = int(min(length * (1 + MAX_MARGIN), patch * MAX_GROWTH))
    return list(range(patch, longest + 1, multiple)) or [patch]
