"""The filter that brings a PET to the resolution of another site, axis by axis in the cosine transform.

On cosines, which have even continuations at the borders, a Gaussian is exact at every frequency that the voxels carry,
filters add up in any order, and the sum over the image stays: no activity leaves the field of view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ssimh.site.power_spectrum import FWHM_PER_SIGMA

LARGEST_GAIN = 2.0


@dataclass(frozen=True)
class ResolutionFilter:
    """Separable filter of a (z, y, x) image.

    Args:
        variance_mm2: σ² in plane and axial; above 0 blurs by a Gaussian, below 0 sharpens.
        spacing_mm: voxel size along (z, y, x).
        largest_gain: bound on the gain where it sharpens, over all three axes.

    >>> blur = ResolutionFilter((4.0, 0.0), (3.0, 2.0, 2.0))
    >>> blur.is_identity, blur.transfer(1, 4).round(3).tolist(), blur.transfer(0, 4).tolist()
    (False, [1.0, 0.735, 0.291, 0.062], [1.0, 1.0, 1.0, 1.0])
    """

    variance_mm2: tuple[float, float]
    spacing_mm: tuple[float, float, float]
    largest_gain: float = 1.0

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.variance_mm2 == (0.0, 0.0)

    def transfer(self, axis: int, size: int) -> NDArray[np.float64]:
        """(size,) factors of the cosines along an axis; 1 at frequency 0."""
        variance = self.variance_mm2[1 if axis == 0 else 0]
        frequency = np.arange(size) / (2 * size * self.spacing_mm[axis])
        exponent = -2 * np.pi**2 * variance * frequency**2
        if variance >= 0:
            return np.asarray(np.exp(exponent))
        # exp(u) (1 + e) / (1 + e exp(2u)) rises like the inverse filter, to the bound at most, and falls again.
        bound = self.largest_gain ** (1 / 3)
        peak = (bound + np.sqrt(bound**2 - 1)) / 2
        limit = 1 / (4 * peak**2)
        rising = np.exp(np.minimum(exponent, 50.0))
        return np.asarray(rising * (1 + limit) / (1 + limit * rising**2))

    def noise_gain(self, shape: Sequence[int]) -> float:
        """Factor on the standard deviation of white noise in an image of this (z, y, x) shape."""
        squares = [np.mean(self.transfer(axis, size) ** 2) for axis, size in enumerate(shape)]
        return float(np.sqrt(np.prod(squares)))

    def check(self, shape: Sequence[int]) -> None:
        """Refuse an image that the filter does not fit in.

        Raises:
            ValueError: an axis is shorter than twice the filter's full width at half maximum.
        """
        for axis, size in enumerate(shape):
            width = FWHM_PER_SIGMA * abs(self.variance_mm2[1 if axis == 0 else 0]) ** 0.5
            extent = size * self.spacing_mm[axis]
            if extent < 2 * width:
                raise ValueError(
                    f"the image measures {extent:.1f} mm along axis {axis} of (z, y, x), and the filter has a width of "
                    f"{width:.1f} mm; an image must be at least twice as large."
                )


def filter_volume(values: NDArray[Any], filtering: ResolutionFilter) -> NDArray[Any]:
    """A filtered copy of one (z, y, x) volume of floating dtype; its sum stays, and what was not negative stays so."""
    filtering.check(values.shape)
    result: Any = values.astype(np.float64 if values.dtype == np.float64 else np.float32)
    for axis, size in enumerate(values.shape):
        transfer = filtering.transfer(axis, size).astype(result.dtype)
        waves = scipy.fft.dct(result, axis=axis, norm="ortho")
        waves *= transfer.reshape([-1 if other == axis else 1 for other in range(3)])
        result = scipy.fft.idct(waves, axis=axis, norm="ortho", overwrite_x=True)
    if values.min() >= 0 and result.min() < 0:
        total = result.sum(dtype=np.float64)
        np.maximum(result, 0, out=result)
        result *= result.dtype.type(total / result.sum(dtype=np.float64))
    return np.asarray(result)


def check_sharpening(allow_sharpening: float | None, modality: str = "PT") -> float:
    """Largest gain; 1 for None.

    Args:
        allow_sharpening: as in :func:`ssimh.align_spectrum`.
        modality: of the sites.

    Raises:
        ValueError: not above 1 and at most 2; sites of CT, which are never sharpened.
        TypeError: no number.
    """
    if allow_sharpening is None:
        return 1.0
    if isinstance(allow_sharpening, bool) or not isinstance(allow_sharpening, int | float):
        raise TypeError(f"allow_sharpening must be a number or None; given {type(allow_sharpening).__name__}.")
    if not 1 < allow_sharpening <= LARGEST_GAIN:
        raise ValueError(
            f"allow_sharpening is the largest gain, above 1 and at most {LARGEST_GAIN:g}; given {allow_sharpening}."
        )
    if modality != "PT":
        raise ValueError(f"allow_sharpening is for the resolution of PET; these are sites of {modality}. Leave it out.")
    return float(allow_sharpening)
