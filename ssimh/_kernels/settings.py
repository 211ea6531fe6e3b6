"""The settings of one swap: made and checked once, then passed through to the kernel as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_threshold, normalize_axes
from ssimh._kernels.basis import cosine_basis
from ssimh._kernels.checks import check_clip, check_strength
from ssimh._kernels.regions import region_mask
from ssimh.units import refuse_pet

METHODS = ("auto", "projection", "fft")
GRIDS = ("same", "field-of-view", "physical")
# Where the two routes take equal time on two cores, at 200 × 200 as at 512 × 512.
_FFT_FROM_THRESHOLD = 96


@dataclass(frozen=True)
class SwapSettings:
    """What a swap does, and what is known about the image; see :func:`ssimh.swap_spectrum` for the arguments.

    Everything that needs no image is checked when the settings are made; :meth:`for_shape` checks the rest.

    Raises:
        ValueError: a region, grid, strength, clip or method out of range, or a PET unit without ``allow_pet``.
    """

    threshold: int = 3
    axes: tuple[int, ...] = (-2, -1)
    region: str = "square"
    grid: str = "same"
    strength: float = 1.0
    clip: tuple[float, float] | None = None
    method: str = "auto"
    spacing_mm: tuple[float, ...] | None = None
    orientation: str | None = None
    unit: str | None = None
    allow_pet: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        region_mask(self.region, 0, 1)
        object.__setattr__(self, "strength", check_strength(self.strength))
        object.__setattr__(self, "clip", check_clip(self.clip))
        if self.grid not in GRIDS:
            raise ValueError(f"grid must be one of {', '.join(GRIDS)}; given {self.grid!r}.")
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}; given {self.method!r}.")
        refuse_pet(self.unit, "the image", self.allow_pet)

    def for_shape(self, shape: Sequence[int], name: str = "image") -> SwapSettings:
        """The same settings with axes counted from the end, after checking axes and threshold against a grid.

        Raises:
            TypeError: axes or a threshold that are not integers.
            ValueError: axes or a threshold outside the grid.
        """
        axes = normalize_axes(self.axes, len(shape), name)
        threshold = check_threshold(self.threshold, shape, axes, name)
        if axes == self.axes:
            return self
        return replace(self, axes=axes, threshold=threshold)

    @property
    def route(self) -> str:
        """``"projection"`` or ``"fft"``; ``method`` with ``"auto"`` decided."""
        if self.method != "auto":
            return self.method
        return "fft" if self.threshold >= _FFT_FROM_THRESHOLD else "projection"

    def weight(self, ndim: int) -> NDArray[np.float64]:
        """Share of the way that each coefficient goes; broadcasts to the coefficients of an image of ``ndim`` axes."""
        mask = region_mask(self.region, self.threshold, len(self.axes)).astype(np.float64) * self.strength
        return mask.reshape([self.threshold if axis - ndim in self.axes else 1 for axis in range(ndim)])

    def bases(self, shape: Sequence[int]) -> dict[int, NDArray[np.float64]]:
        """Cosine basis (threshold, size) of every transformed axis."""
        return {axis: cosine_basis(shape[axis], self.threshold) for axis in self.axes}

    def corner_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the coefficients of an image of ``shape``."""
        sizes = list(shape)
        for axis in self.axes:
            sizes[axis] = self.threshold
        return tuple(sizes)
