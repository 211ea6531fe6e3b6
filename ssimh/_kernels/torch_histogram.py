"""Histogram matching of a tensor where it lies; imported only for a caller who holds one on a device.

The host reads a few numbers, to refuse NaN and empty masks; no voxel is copied.
"""

from __future__ import annotations

from typing import Any

import torch

from ssimh._kernels.arrays import check_finite
from ssimh._kernels.torch_checks import beside, mask_on_device
from ssimh._kernels.torch_kernel import like, output_dtype, plain, work_dtype


def match_histogram(
    image: torch.Tensor,
    reference: Any,
    mask: Any,
    reference_mask: Any,
    strength: float,
    clip: tuple[float, float] | None,
) -> torch.Tensor:
    """:func:`ssimh.match_histogram` for a tensor on a device; the settings have been checked.

    Raises:
        ValueError: NaN or infinite values, a mask of another shape or without a voxel.
    """
    values = plain(image.detach())
    donor = beside(reference, values)
    check_finite(values, "image")
    check_finite(donor, "reference")
    inside, donor_inside = mask_on_device(mask, values), mask_on_device(reference_mask, donor, "reference_mask")
    matched = _match(values, donor, inside, donor_inside)
    result = values.to(work_dtype(values.dtype))
    moved = (result + strength * (matched - result)).to(result.dtype)
    result = moved if inside is None else torch.where(inside, moved, result)
    if clip is not None:
        result = result.clamp(*clip)
    return like(result.to(output_dtype(values.dtype)), image)


def _match(
    values: torch.Tensor, donor: torch.Tensor, inside: torch.Tensor | None, donor_inside: torch.Tensor | None
) -> torch.Tensor:
    """Values whose cumulative histogram is the donor's, in float64 (float32 on Apple's GPUs, which lack it).

    No size depends on the data, so that the host reads nothing: voxels outside a mask are sorted behind all others.

    Args:
        values: tensor of any shape, finite.
        donor: tensor of any shape on the same device, finite.
        inside, donor_inside: boolean masks of their shapes with at least one voxel inside, or None.

    Returns:
        Tensor of the shape of ``values``; what stands outside the mask means nothing.
    """
    wide = torch.float32 if values.device.type == "mps" else torch.float64
    # Whole numbers above 2²⁴ are not all float32.
    narrow = torch.float32 if _fits_float32(values.dtype) and _fits_float32(donor.dtype) else wide
    queries = values.to(narrow).contiguous()
    own, count = _sort_inside(queries, inside)
    theirs, size = _sort_inside(donor.to(narrow), donor_inside)
    quantiles = torch.searchsorted(own, queries, right=True).clamp_(max=count).to(wide) / count
    del own
    shares = torch.arange(1, theirs.numel() + 1, device=theirs.device, dtype=wide) / size
    place = torch.searchsorted(shares, quantiles).clamp_(max=theirs.numel() - 1)
    upper = theirs[place]
    del place
    below, up_to = (torch.searchsorted(theirs, upper, right=right) for right in (False, True))
    lower = theirs[(below - 1).clamp_(min=0)].to(wide)
    part = (quantiles * size - below) / (up_to - below)
    return torch.where(below == 0, upper.to(wide), lower + part * (upper.to(wide) - lower))


def _sort_inside(values: torch.Tensor, inside: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Sorted values with +inf for those outside, and how many are inside."""
    if inside is None:
        return values.flatten().sort().values, torch.full((), values.numel(), device=values.device)
    return values.masked_fill(~inside, torch.inf).flatten().sort().values, inside.sum()


def _fits_float32(dtype: torch.dtype) -> bool:
    if dtype.is_floating_point:
        return dtype.itemsize <= 4
    return dtype.itemsize <= 2
