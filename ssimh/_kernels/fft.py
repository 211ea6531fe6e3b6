"""Full-transform route: every coefficient through ``scipy.fft``, for thresholds that are not small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ssimh._kernels.arrays import output_dtype, work_dtype
from ssimh._kernels.numpy_kernel import worker_count


def corner(ndim: int, axes: Sequence[int], threshold: int) -> tuple[slice, ...]:
    """Index of the low-frequency block: the first ``threshold`` places along ``axes``."""
    index = [slice(None)] * ndim
    for axis in axes:
        index[axis] = slice(threshold)
    return tuple(index)


class FullTransform:
    """The published algorithm to the letter: DCT, replace the corner, inverse DCT; same ``swap`` as ``Kernel``."""

    def __init__(self, image: NDArray[Any], axes: tuple[int, ...], threshold: int, workers: int | None = None) -> None:
        self.image, self.axes = image, axes
        self.corner = corner(image.ndim, axes, threshold)
        self.workers = worker_count(workers)

    def swap(
        self, target: NDArray[Any], weight: NDArray[Any], clip: tuple[float, float] | None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Image with its coefficients moved by ``weight`` towards ``target``, and the move itself (delta)."""
        dtype = work_dtype(self.image.dtype)
        values = self.image.astype(dtype)
        # Values that are not finite are found in the coefficients and reported by the caller.
        with np.errstate(all="ignore"):
            return self._swap(values, target, weight, clip)

    def _swap(
        self, values: NDArray[Any], target: NDArray[Any], weight: NDArray[Any], clip: tuple[float, float] | None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        spectrum = scipy.fft.dctn(values, axes=self.axes, norm="ortho", overwrite_x=True, workers=self.workers)
        low = spectrum[self.corner]
        delta = np.asarray((target - low) * weight, dtype=values.dtype)
        low += delta
        out = scipy.fft.idctn(spectrum, axes=self.axes, norm="ortho", overwrite_x=True, workers=self.workers)
        if clip is not None:
            np.clip(out, *clip, out=out)
        return out.astype(output_dtype(self.image.dtype), copy=False), delta
