"""Site-aware alignment of a tensor on its device; imported only for a caller who holds one.

The mathematics is that of :mod:`ssimh.site.alignment`; the host reads a few numbers, to refuse what is no CT and to see
when the search for the body has ended, and no voxel is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ssimh._kernels.arrays import check_finite
from ssimh._kernels.torch_checks import mask_on_device
from ssimh._kernels.torch_kernel import full_precision, like, output_dtype, plain
from ssimh.site.body import NO_BODY
from ssimh.site.difference_field import DifferenceField
from ssimh.site.field import DEGREES, TERMS, grid_positions
from ssimh.site.scan_checks import EMPTY_MASK, check_tissue, check_without_air
from ssimh.site.torch_body import body_box, body_mask
from ssimh.site.torch_flow import apply_flow
from ssimh.site.volume import to_zyx

# Voxels that are moved at a time, in float64 with some ten intermediate results.
_VOXELS_AT_ONCE = 2**21


def move_by_field(
    image: torch.Tensor,
    field: DifferenceField,
    strength: float,
    *,
    axes_zyx: tuple[int, ...],
    mask: Any,
    clip: tuple[float, float] | None,
) -> torch.Tensor:
    """As :func:`ssimh.site.alignment.move_by_field`, for a tensor of three axes or more."""
    values = plain(image.detach())
    check_finite(values, "image")
    masks = mask_on_device(mask, values)
    result = values.to(output_dtype(values.dtype), copy=True)
    with full_precision(values.device):
        for index in np.ndindex(tuple(values.shape[:-3])):
            body = None if masks is None else to_zyx(masks[index], axes_zyx, "mask")
            _align_volume(to_zyx(result[index], axes_zyx, "image"), body, field, strength)
    if clip is not None:
        result.clamp_(*clip)
    return like(result, image)


def _align_volume(values: torch.Tensor, mask: torch.Tensor | None, field: DifferenceField, strength: float) -> None:
    """Move the values of one (z, y, x) volume in place, some slices at a time."""
    threshold, window = field.body_threshold_hu, field.tissue_window_hu
    dense = values > threshold
    body = body_mask(dense) if mask is None else mask
    tissue = (values >= window[0] - 150) & (values <= window[1] + 150) & body
    counts = torch.stack([body.sum(), (~dense).sum(), tissue.sum(), (body & dense).sum()])
    in_body, in_air, in_window, dense_in_body = counts.cpu().tolist()
    if not in_body:
        raise ValueError(NO_BODY.format(threshold) if mask is None else EMPTY_MASK)
    if mask is None and not in_air:
        check_without_air(*_spread(values), threshold)
    check_tissue(in_window, dense_in_body, window)
    on_grid = _FieldOnGrid(field, tuple(values.shape), body_box(body))
    step = max(1, _VOXELS_AT_ONCE // (values.shape[1] * values.shape[2]))
    for first in range(0, len(values), step):
        part = slice(first, first + step)
        after = apply_flow(values[part].to(on_grid.dtype), -strength * on_grid.slices(part), field.space, threshold)
        values[part] = torch.where(body[part] & dense[part], after.to(values.dtype), values[part])


def _spread(values: torch.Tensor) -> tuple[float, float, float, float]:
    """Lowest value, the share of voxels that have it, and the 1st and 99th percentile."""
    ordered = values.flatten().float().sort().values
    ranks = [share * (len(ordered) - 1) for share in (0.01, 0.99)]
    pairs = [ordered[int(rank) : int(rank) + 2] for rank in ranks]
    ends = [torch.lerp(pair[0], pair[-1], rank % 1) for pair, rank in zip(pairs, ranks, strict=True)]
    found = torch.stack([ordered[0], (ordered == ordered[0]).float().mean(), *ends])
    lowest, share, low, high = found.cpu().tolist()
    return lowest, share, low, high


class _FieldOnGrid:
    """:class:`ssimh.site.field.FieldOnGrid` on a device.

    Args:
        field: its coefficients.
        shape: (z, y, x) of the image.
        box: (3, 2) ends of its body, on the device.
    """

    def __init__(self, field: DifferenceField, shape: tuple[int, ...], box: torch.Tensor) -> None:
        self.dtype = box.dtype
        whole = torch.ones_like(box)
        whole[:, 0] = -1
        ends = torch.stack([box, whole])
        cubes = np.zeros((2, DEGREES, DEGREES, DEGREES))
        for (i, j, k), values in zip(TERMS, field.coefficients.T, strict=True):
            cubes[:, i, j, k] = values
        self._cubes = torch.from_numpy(cubes).to(box.device, box.dtype, non_blocking=True)
        self._along = [_polynomials(size, ends[:, axis]) for axis, size in enumerate(shape)]

    def slices(self, part: slice) -> torch.Tensor:
        """(z, y, x) values of the field on some slices."""
        z, y, x = self._along
        return torch.einsum("fijk,fiz,fjy,fkx->zyx", self._cubes, z[:, :, part], y, x)


def _polynomials(size: int, ends: torch.Tensor) -> torch.Tensor:
    """(2, 3, n) polynomials of an axis in two frames, whose (2, 2) ends are in grid coordinates."""
    grid = torch.from_numpy(grid_positions(size)).to(ends.device, ends.dtype, non_blocking=True)
    low, high = ends[:, :1], ends[:, 1:]
    within = ((grid - low) / (high - low) * 2 - 1).clamp(-1.0, 1.0)
    return torch.stack([torch.ones_like(within), within, (3 * within**2 - 1) / 2], dim=1)
