"""Full-transform route: every coefficient through ``scipy.fft``, for thresholds that are not small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ssimh._kernels.arrays import output_dtype, work_dtype
from ssimh._kernels.settings import SwapSettings
from ssimh._kernels.threads import worker_count


def corner(ndim: int, axes: Sequence[int], threshold: int) -> tuple[slice, ...]:
    """Index of the low-frequency block: the first ``threshold`` places along ``axes``."""
    index = [slice(None)] * ndim
    for axis in axes:
        index[axis] = slice(threshold)
    return tuple(index)


def swap(image: NDArray[Any], target: NDArray[Any], settings: SwapSettings) -> tuple[NDArray[Any], NDArray[Any]]:
    """The published algorithm to the letter: DCT, replace the corner, inverse DCT.

    Args:
        image: any shape, of a dtype that ``check_array`` admits.
        target: coefficients to swap in; broadcasts to those of the image.
        settings: checked against the image's shape.

    Returns:
        The swapped image, and the change of the coefficients (delta).
    """
    axes, workers = settings.axes, worker_count(settings.workers)
    weight = settings.weight(image.ndim)
    values = image.astype(work_dtype(image.dtype))
    # Values that are not finite are found in the coefficients and reported by the caller.
    with np.errstate(all="ignore"):
        spectrum = scipy.fft.dctn(values, axes=axes, norm="ortho", overwrite_x=True, workers=workers)
        low = spectrum[corner(image.ndim, axes, settings.threshold)]
        delta = np.asarray((target - low) * weight, dtype=values.dtype)
        low += delta
        out = scipy.fft.idctn(spectrum, axes=axes, norm="ortho", overwrite_x=True, workers=workers)
        if settings.clip is not None:
            np.clip(out, *settings.clip, out=out)
    return out.astype(output_dtype(image.dtype), copy=False), delta
