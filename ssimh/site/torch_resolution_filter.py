"""The filter of :mod:`ssimh.site.resolution_filter` on the device of a tensor, as one product of matrices per axis."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
import torch

from ssimh._kernels.arrays import check_finite
from ssimh._kernels.torch_kernel import full_precision, like, output_dtype, plain
from ssimh.site.resolution_filter import ResolutionFilter
from ssimh.site.scan_checks import check_suv
from ssimh.site.volume import to_zyx


def filter_image(
    image: torch.Tensor,
    filtering: ResolutionFilter,
    *,
    axes_zyx: tuple[int, ...],
    clip: tuple[float, float] | None,
    is_suv: bool,
) -> torch.Tensor:
    """As :func:`ssimh.site.resolution_alignment.filter_image`, for a tensor of three axes or more."""
    values = plain(image.detach())
    check_finite(values, "image")
    if is_suv:
        low, high = torch.stack([values.min(), values.max()]).double().cpu().tolist()
        check_suv(low, high)
    result = values.to(output_dtype(values.dtype), copy=True)
    for index in np.ndindex(tuple(values.shape[:-3])):
        part: Any = to_zyx(result[index], axes_zyx, "image")
        if not filtering.is_identity:
            part.copy_(filter_volume(part, filtering))
    if clip is not None:
        result.clamp_(*clip)
    return like(result, image)


def filter_volume(values: torch.Tensor, filtering: ResolutionFilter) -> torch.Tensor:
    """A filtered copy of one (z, y, x) volume of floating dtype, as :func:`ssimh.site.resolution_filter.filter_volume`.

    No voxel is copied to the host.
    """
    filtering.check(tuple(values.shape))
    result = values.to(torch.float64 if values.dtype == torch.float64 else torch.float32)
    with full_precision(values.device):
        for axis, size in enumerate(values.shape):
            matrix = torch.from_numpy(_matrix(filtering, axis, size)).to(result.device, result.dtype)
            result = torch.tensordot(matrix, result, dims=([1], [axis])).movedim(0, axis)
    clipped = result.clamp(min=0)
    lost = result.sum() / clipped.sum().clamp(min=1e-30)
    return torch.where(values.min() >= 0, clipped * torch.where(result.min() < 0, lost, torch.ones_like(lost)), result)


@lru_cache(maxsize=8)
def _matrix(filtering: ResolutionFilter, axis: int, size: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(size, size) matrix of the filter along an axis."""
    cosines = scipy.fft.dct(np.eye(size), axis=0, norm="ortho")
    return np.asarray(cosines.T @ (filtering.transfer(axis, size)[:, None] * cosines))
