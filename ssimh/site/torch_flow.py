"""The flow of :mod:`ssimh.site.flow` on a device: every voxel at once, with a weight in place of a selection."""

from __future__ import annotations

from functools import lru_cache

import torch

from ssimh.site import flow


def apply_flow(values: torch.Tensor, shift: torch.Tensor, space: str, threshold_hu: float) -> torch.Tensor:
    """Values after the flow; as :func:`ssimh.site.flow.apply_flow`, of any shape.

    Args:
        values: HU, floating.
        shift: field s of the same shape and dtype.
        space, threshold_hu: as there.
    """
    low, high = flow.open_window(threshold_hu)
    hu, time = _table_on(space, threshold_hu, values.dtype, values.device)
    start, end = (float(flow.open_time(bound, space)) for bound in (low, high))
    is_open = (values >= low) & (values <= high)
    open_time = torch.log((values + 1000).clamp(min=1.0) / 1000) if space == "log" else values / 1000
    at = torch.where(is_open, open_time, _interpolate(values, hu, time)) + shift
    inner = at.clamp(start, end)
    straight = torch.exp(inner) * 1000 - 1000 if space == "log" else inner * 1000
    through = torch.where((at >= start) & (at <= end), straight, _interpolate(at, time, hu))
    through = torch.where((values > hu[0]) & (values < hu[-1]), through, values)
    # The closed form needs no logarithm, so that most voxels are rounded as the host rounds them.
    out = (values + 1000) * torch.exp(shift) - 1000 if space == "log" else values + 1000 * shift
    return torch.where(is_open & (out >= low) & (out <= high), out, through)


@lru_cache(maxsize=8)
def _table_on(
    space: str, threshold_hu: float, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Kept on the device, because sending it again would make the host wait in every call."""
    hu, time = (torch.tensor(part).to(device, dtype) for part in flow.table(space, threshold_hu))
    return hu, time


def _interpolate(at: torch.Tensor, nodes: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Linear between the nodes, constant beyond them, as ``numpy.interp``."""
    place = torch.searchsorted(nodes, at.contiguous(), right=True).clamp_(1, len(nodes) - 1)
    left, right = nodes[place - 1], nodes[place]
    part = ((at - left) / (right - left)).clamp_(0, 1)
    return torch.lerp(values[place - 1], values[place], part)
