"""The filter of :mod:`ssimh.site.grain_filter` on the device of a tensor."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
import torch

from ssimh._kernels.arrays import check_finite
from ssimh._kernels.torch_checks import mask_on_device
from ssimh._kernels.torch_kernel import full_precision, like, output_dtype, plain
from ssimh.site.grain_filter import (
    EDGE_HU,
    FADE_MM,
    FAINT,
    FAT_TO_MUSCLE_HU,
    FILL_MM,
    KEPT_MM,
    MAP_MM,
    MEANS_MM,
    SMOOTH_MM,
    GrainFilter,
    report_change,
)
from ssimh.site.scan_checks import check_hu
from ssimh.site.volume import to_zyx

# Pixels that are filtered at a time, with some ten intermediate results.
_PIXELS_AT_ONCE = 2**23


def match_grain(
    image: torch.Tensor,
    filtering: GrainFilter,
    *,
    limits: tuple[tuple[float, float], float],
    axes_zyx: tuple[int, ...],
    mask: Any,
    clip: tuple[float, float] | None,
) -> torch.Tensor:
    """As :func:`ssimh.site.grain_alignment.match_grain`, for a tensor; ``limits`` are tissue window and threshold."""
    values = plain(image.detach())
    check_finite(values, "image")
    masks = mask_on_device(mask, values)
    result = values.to(output_dtype(values.dtype), copy=True)
    for index in np.ndindex(tuple(values.shape[:-3])):
        part: Any = to_zyx(result[index], axes_zyx, "image")
        filtering.check(tuple(part.shape))
        check_hu(part, *limits)
        if not filtering.is_identity:
            after = filter_volume(part, filtering, None if masks is None else to_zyx(masks[index], axes_zyx, "mask"))
            change = after - part
            share, square = torch.stack([(change != 0).float().mean(), (change**2).float().mean()]).cpu().tolist()
            report_change(share, square)
            part.copy_(after)
    if clip is not None:
        result.clamp_(*clip)
    return like(result, image)


def filter_volume(values: torch.Tensor, filtering: GrainFilter, mask: torch.Tensor | None = None) -> torch.Tensor:
    """As :func:`ssimh.site.grain_filter.filter_volume`, without a copy to the host."""
    filtering.check(tuple(values.shape))
    result = values.to(torch.float64 if values.dtype == torch.float64 else torch.float32, copy=True)
    rows, columns = values.shape[1:]
    transfer, along_y, along_x = (
        torch.from_numpy(matrix).to(result.device, result.dtype)
        for matrix in (filtering.transfer((rows, columns)), _cosines(rows), _cosines(columns))
    )
    step = max(1, _PIXELS_AT_ONCE // (rows * columns))
    with full_precision(values.device):
        for first in range(0, len(result), step):
            planes = result[first : first + step]
            smooth = _mean(planes, filtering.width_px(SMOOTH_MM))
            share = _tissue_share(smooth, filtering)
            if mask is not None:
                share = share * mask[first : first + step]
            fat = _fat_share(smooth, filtering)
            changes = []
            for values_of in (
                _fill_from_tissue(planes, share, filtering),
                _tissue_map(planes, share, fat, filtering),
            ):
                waves = along_y @ values_of @ along_x.T * transfer
                changes.append(share * (along_y.T @ waves @ along_x - values_of))
            planes += changes[0] - _tissue_means(changes[1], share, fat, filtering)
    return result


def _tissue_share(smooth: torch.Tensor, filtering: GrainFilter) -> torch.Tensor:
    low, high = EDGE_HU
    far = ((smooth < low) | (smooth > high)).to(smooth.dtype)
    height, width = filtering.width_px(2 * KEPT_MM + FADE_MM)
    near = torch.nn.functional.max_pool2d(far[:, None], (height, width), 1, (height // 2, width // 2))[:, 0]
    return _mean(1 - near, filtering.width_px(FADE_MM))


def _fill_from_tissue(planes: torch.Tensor, share: torch.Tensor, filtering: GrainFilter) -> torch.Tensor:
    weighted = share * planes
    fill = weighted.sum(dim=(1, 2), keepdim=True) / share.sum(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    for length_mm in FILL_MM:
        width = filtering.width_px(length_mm)
        fill = (_mean(weighted, width) + FAINT * fill) / (_mean(share, width) + FAINT)
    return weighted + (1 - share) * fill


def _fat_share(smooth: torch.Tensor, filtering: GrainFilter) -> torch.Tensor:
    low, high = FAT_TO_MUSCLE_HU
    return ((high - _mean(smooth, filtering.width_px(SMOOTH_MM))) / (high - low)).clamp(0, 1)


def _tissue_map(planes: torch.Tensor, share: torch.Tensor, fat: torch.Tensor, filtering: GrainFilter) -> torch.Tensor:
    result = torch.zeros_like(planes)
    for tissue in (fat, 1 - fat):
        weight = share * tissue
        total = weight.sum(dim=(1, 2), keepdim=True).clamp(min=FAINT)
        mean = (weight * planes).sum(dim=(1, 2), keepdim=True) / total
        for length_mm in MAP_MM:
            width = filtering.width_px(length_mm)
            mean = (_mean(weight * planes, width) + FAINT * mean) / (_mean(weight, width) + FAINT)
        result += tissue * mean
    return result


def _tissue_means(shift: torch.Tensor, share: torch.Tensor, fat: torch.Tensor, filtering: GrainFilter) -> torch.Tensor:
    width = filtering.width_px(MEANS_MM)
    result = torch.zeros_like(shift)
    for tissue in (fat, 1 - fat):
        weight = share * tissue
        result += weight * _mean(tissue * shift, width) / (_mean(weight, width) + FAINT)
    return result


def _mean(planes: torch.Tensor, width: tuple[int, int]) -> torch.Tensor:
    """Moving mean of (n, y, x) slices, which continue with their outermost values."""
    y, x = width
    wider = torch.nn.functional.pad(planes[:, None], (x // 2, x // 2, y // 2, y // 2), mode="replicate")
    along_x = torch.nn.functional.avg_pool2d(wider, (1, x), 1)
    return torch.nn.functional.avg_pool2d(along_x, (y, 1), 1)[:, 0]


@lru_cache(maxsize=8)
def _cosines(size: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(size, size) matrix of the orthonormal cosine transform."""
    return np.asarray(scipy.fft.dct(np.eye(size), axis=0, norm="ortho"))
