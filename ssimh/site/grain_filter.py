"""The filter that brings the grain of a CT to that of a smoother kernel, in soft tissue away from strong edges.

In each axial slice everything that is no soft tissue is filled from the tissue around it, the filled slice is filtered
on the cosines, and the change is added to the image where it is soft tissue. Air, lung, bone and metal neither change
nor leak into tissue, and what lies near them keeps its values.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from ssimh.site.grain_gain import SMALLEST_GAIN
from ssimh.site.grain_spectrum import WINDOW_MM

FloatArray = NDArray[np.float64]

_LOG = logging.getLogger("ssimh")
# Strong edges are found under a moving mean of 3 mm. Within 1.5 mm of them nothing changes, from 3 mm on everything.
SMOOTH_MM, KEPT_MM, FADE_MM = 3.0, 1.5, 1.5
EDGE_HU = (-250.0, 250.0)
FILL_MM = (64.0, 16.0, 5.0)
FAT_TO_MUSCLE_HU = (-60.0, 0.0)  # under a moving mean: fat up to here, muscle from there
MAP_MM, MEANS_MM = (64.0, 16.0), 8.0
FAINT = 1e-3  # weight of the coarser filling where a finer one has tissue


@dataclass(frozen=True)
class GrainFilter:
    """Filter of axial slices that is alike in all directions of the plane.

    Args:
        frequencies_per_mm: ascending, above 0.
        log_gains: natural logarithm of the factor there, 0 or below; it is 0 at frequency 0, straight in between, and
            constant above.
        pixel_mm: (y, x) size of the pixels.

    >>> soften = GrainFilter((0.1, 0.3), (0.0, -1.0), (1.0, 1.0))
    >>> soften.transfer((1, 5)).round(2).tolist()
    [[1.0, 1.0, 0.61, 0.37, 0.37]]
    """

    frequencies_per_mm: tuple[float, ...]
    log_gains: tuple[float, ...]
    pixel_mm: tuple[float, float]

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return all(value == 0 for value in self.log_gains)

    def transfer(self, shape: tuple[int, int]) -> FloatArray:
        """(y, x) factors of the cosines of a slice of this shape, within 0.05 … 1."""
        y, x = (np.arange(size) / (2 * size * step) for size, step in zip(shape, self.pixel_mm, strict=True))
        logs = np.interp(np.hypot(y[:, None], x), (0.0, *self.frequencies_per_mm), (0.0, *self.log_gains))
        return np.asarray(np.exp(np.clip(logs, np.log(SMALLEST_GAIN), 0.0)))

    def noise_gain(self, shape: tuple[int, int]) -> float:
        """Factor on the standard deviation of white noise in soft tissue of slices of this (y, x) shape."""
        return float(np.sqrt(np.mean(self.transfer(shape) ** 2)))

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse an image that no window of soft tissue fits in.

        Args:
            shape: (z, y, x).

        Raises:
            ValueError: a slice of less than 16 mm.
        """
        extent = [size * step for size, step in zip(shape[1:], self.pixel_mm, strict=True)]
        if min(extent) < WINDOW_MM:
            raise ValueError(
                f"slices of the image measure {extent[0]:.1f} × {extent[1]:.1f} mm (y, x); matching the grain needs "
                f"{WINDOW_MM:g} mm along both axes. Is spacing_mm right?"
            )

    def width_px(self, length_mm: float) -> tuple[int, int]:
        """(y, x) odd number of pixels nearest to a length."""
        y, x = (1 + 2 * max(0, round((length_mm / step - 1) / 2)) for step in self.pixel_mm)
        return y, x


def filter_volume(values: NDArray[Any], filtering: GrainFilter, mask: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """A filtered copy of one (z, y, x) volume of floating dtype in HU.

    Args:
        values: HU.
        filtering: what to apply.
        mask: outside of it nothing changes; None for everywhere.

    Raises:
        ValueError: what :meth:`GrainFilter.check` refuses.
    """
    filtering.check(values.shape)
    dtype = np.float64 if values.dtype == np.float64 else np.float32
    result = values.astype(dtype)
    transfer = filtering.transfer((values.shape[1], values.shape[2])).astype(dtype)
    for z, plane in enumerate(result):
        smooth = _mean(plane, filtering.width_px(SMOOTH_MM))
        share = tissue_share(smooth, filtering)
        if mask is not None:
            share *= mask[z]
        if not share.any():
            continue
        fat = fat_share(smooth, filtering)
        change = share * _change(fill_from_tissue(plane, share, filtering), transfer)
        shift = share * _change(tissue_map(plane, share, fat, filtering), transfer)
        plane += change - tissue_means(shift, share, fat, filtering)
    return np.asarray(result)


def _change(plane: NDArray[Any], transfer: NDArray[Any]) -> NDArray[Any]:
    """What the filter adds to a slice."""
    return np.asarray(scipy.fft.idctn(scipy.fft.dctn(plane, norm="ortho") * transfer, norm="ortho") - plane)


def tissue_share(smooth: NDArray[Any], filtering: GrainFilter) -> NDArray[Any]:
    """(y, x) share of the change that each pixel takes: 1 in soft tissue, 0 elsewhere and next to it.

    Args:
        smooth: the slice under a moving mean of 3 mm.
        filtering: has the size of the pixels.
    """
    low, high = EDGE_HU
    far = ((smooth < low) | (smooth > high)).astype(smooth.dtype)
    near = scipy.ndimage.maximum_filter(far, filtering.width_px(2 * KEPT_MM + FADE_MM), mode="nearest")
    return _mean(1 - near, filtering.width_px(FADE_MM))


def fill_from_tissue(plane: NDArray[Any], share: NDArray[Any], filtering: GrainFilter) -> NDArray[Any]:
    """The slice where its share is 1, and means of ever nearer tissue where it is 0."""
    weighted = share * plane
    fill: Any = weighted.sum() / share.sum()
    for length_mm in FILL_MM:
        width = filtering.width_px(length_mm)
        fill = (_mean(weighted, width) + FAINT * fill) / (_mean(share, width) + FAINT)
    return np.asarray(weighted + (1 - share) * fill)


def fat_share(smooth: NDArray[Any], filtering: GrainFilter) -> NDArray[Any]:
    """(y, x) share of fat, 0 … 1; the rest counts as muscle. Arguments as in :func:`tissue_share`."""
    low, high = FAT_TO_MUSCLE_HU
    return np.asarray(np.clip((high - _mean(smooth, filtering.width_px(SMOOTH_MM))) / (high - low), 0, 1))


def tissue_map(plane: NDArray[Any], share: NDArray[Any], fat: NDArray[Any], filtering: GrainFilter) -> NDArray[Any]:
    """The slice without grain: fat and muscle at their means in the neighborhood, 16 mm wide where there is enough.

    A filter moves HU across the borders of fat and muscle. What it does to this map says by how much, apart from what
    it does to the grain.
    """
    parts = []
    for tissue in (fat, 1 - fat):
        weight = share * tissue
        mean: Any = np.sum(weight * plane) / max(float(np.sum(weight)), FAINT)
        for length_mm in MAP_MM:
            width = filtering.width_px(length_mm)
            mean = (_mean(weight * plane, width) + FAINT * mean) / (_mean(weight, width) + FAINT)
        parts.append(tissue * mean)
    return np.asarray(parts[0] + parts[1])


def tissue_means(shift: NDArray[Any], share: NDArray[Any], fat: NDArray[Any], filtering: GrainFilter) -> NDArray[Any]:
    """Means of a shift over the fat and the muscle within 8 mm, which are put back."""
    width = filtering.width_px(MEANS_MM)
    parts = []
    for tissue in (fat, 1 - fat):
        weight = share * tissue
        parts.append(weight * _mean(tissue * shift, width) / (_mean(weight, width) + FAINT))
    return np.asarray(parts[0] + parts[1])


def report_change(share: float, mean_square_hu2: float) -> None:
    """Say how many voxels changed and by how much.

    Args:
        share: of the voxels, 0 … 1.
        mean_square_hu2: mean of the squared change over all voxels.
    """
    root = np.sqrt(mean_square_hu2 / share) if share > 0 else 0.0
    _LOG.info("grain: %.0f %% of the voxels changed, by %.1f HU (root mean square)", 100 * share, root)


def _mean(plane: NDArray[Any], width: tuple[int, int]) -> NDArray[Any]:
    return np.asarray(scipy.ndimage.uniform_filter(plane, width, mode="nearest"))
