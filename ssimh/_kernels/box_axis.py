"""One axis of an image, seen from the box in which a reference's basis lives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Shares and distances below this part of a voxel are rounding of the affines.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class BoxAxis:
    """Where the samples of one image axis lie along one axis of the box.

    The position of image index i, in voxels of the reference, is ``offset + scale · i``; the box reaches from -0.5 to
    ``size - 0.5``.

    Args:
        size: voxels of the reference along the axis.
        scale: voxels of the reference per voxel of the image, negative where the axes run against each other.
        offset: position of the image's first sample.
    """

    size: int
    scale: float
    offset: float

    def positions(self, n: int) -> NDArray[np.float64]:
        """Positions of ``n`` samples, in voxels of the reference."""
        return self.offset + self.scale * np.arange(n, dtype=np.float64)

    def shares(self, n: int) -> NDArray[np.float64]:
        """Share of each of ``n`` voxels that lies in the box, 0 … 1.

        >>> BoxAxis(2, 1.0, -1.25).shares(4)
        array([0.  , 0.75, 1.  , 0.25])
        """
        center, half = self.positions(n), abs(self.scale) / 2
        inside = np.minimum(center + half, self.size - 0.5) - np.maximum(center - half, -0.5)
        shares = np.clip(inside / (2 * half), 0.0, 1.0)
        return np.where(shares < _ROUNDING, 0.0, np.where(shares > 1 - _ROUNDING, 1.0, shares))

    def touched(self, n: int) -> slice:
        """The voxels of which some part lies in the box."""
        return _range(self.shares(n) > 0)

    def centered(self, n: int) -> slice:
        """The voxels whose center lies in the box."""
        position, slack = self.positions(n), _ROUNDING * abs(self.scale)
        return _range((position >= -0.5 - slack) & (position <= self.size - 0.5 + slack))

    def basis(self, n: int, k: int) -> NDArray[np.float64]:
        r"""First ``k`` functions of the reference's basis at ``n`` samples, (k, n).

        The rows of :func:`ssimh.cosine_basis` are :math:`\sqrt{(2 - \delta_{i0})/N}\,\cos(\pi i t)` at the centers of
        the reference's N voxels, with t = 0 … 1 along the box; here they are taken at the image's. A center outside
        takes the value at the face.

        >>> from ssimh import cosine_basis
        >>> np.allclose(BoxAxis(5, -1.0, 4.0).basis(5, 3), cosine_basis(5, 3)[:, ::-1])
        True
        """
        along = np.clip((self.positions(n) + 0.5) / self.size, 0.0, 1.0)
        values: NDArray[np.float64] = np.cos(np.pi * np.arange(k)[:, None] * along) * np.sqrt(2.0 / self.size)
        values[:1] = np.sqrt(1.0 / self.size)
        return values

    def interpolation(self, n: int) -> NDArray[np.float64]:
        """Weights (n, size) of the reference's slices for the image's: linear, the outermost slice beyond the last.

        >>> BoxAxis(2, 0.5, 0.0).interpolation(3)
        array([[1. , 0. ],
               [0.5, 0.5],
               [0. , 1. ]])
        """
        position = np.clip(self.positions(n), 0.0, self.size - 1.0)
        return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(self.size)))


def _range(chosen: NDArray[np.bool_]) -> slice:
    found = np.flatnonzero(chosen)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)
