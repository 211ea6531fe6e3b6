"""Body mask of a CT on a device: :mod:`ssimh.site.body` without a trip over the host, and to the same voxel."""

from __future__ import annotations

import math

import torch

from ssimh.site.body import strides


def body_mask(dense: torch.Tensor) -> torch.Tensor:
    """The body, as :func:`ssimh.site.body.body_mask` finds it.

    Args:
        dense: (z, y, x) boolean, True above the threshold.

    Returns:
        Mask of the same shape on the same device; empty if ``dense`` is.
    """
    steps = strides(tuple(dense.shape))
    coarse = dense[steps]
    opened = _dilate(~_dilate(~coarse))
    body = _largest_part(torch.where(opened.any(), opened, coarse))
    rows = [torch.zeros(size, dtype=torch.bool, device=body.device) for size in body.shape[1:]]
    for row in rows:
        row[0] = row[-1] = True
    edge = rows[0][:, None] | rows[1]
    body = _dilate(~_reach(edge & ~body, ~body, (1, 2)))
    for axis, step in enumerate(steps):
        body = body.repeat_interleave(step.step, dim=axis, output_size=body.shape[axis] * step.step)
    return body[tuple(slice(size) for size in dense.shape)]


def body_box(mask: torch.Tensor) -> torch.Tensor:
    """(3, 2) ends of the body, as :func:`ssimh.site.body.body_box` gives them; float32 on Apple's GPUs."""
    wide = torch.float32 if mask.device.type == "mps" else torch.float64
    box = []
    for axis, size in enumerate(mask.shape):
        counts = mask.sum(dim=tuple(number for number in range(3) if number != axis))
        share = counts.cumsum(0).to(wide)
        share = share / share[-1]
        low, high = (((share < bound).sum().to(wide) + 0.5) / size * 2 - 1 for bound in (0.01, 0.99))
        middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=1 / size)
        box.append(torch.stack([middle - half, middle + half]))
    return torch.stack(box)


def _dilate(mask: torch.Tensor) -> torch.Tensor:
    """The mask and the neighbors at its faces; nothing lies beyond the array."""
    wider = mask.clone()
    for axis in range(mask.ndim):
        n = mask.shape[axis]
        wider.narrow(axis, 1, n - 1).logical_or_(mask.narrow(axis, 0, n - 1))
        wider.narrow(axis, 0, n - 1).logical_or_(mask.narrow(axis, 1, n - 1))
    return wider


def _largest_part(mask: torch.Tensor) -> torch.Tensor:
    """The largest part whose voxels are connected by faces; the first one among equals.

    Every voxel takes the smallest index of its run along each axis in turn, until nothing changes.
    """
    count = mask.numel()
    far = math.prod(mask.shape)
    labels = torch.arange(count, device=mask.device).view(mask.shape).masked_fill(~mask, far)
    runs = [(~mask).cumsum(axis) * (far + 1) for axis in range(mask.ndim)]
    while True:
        before = labels
        for axis, run in enumerate(runs):
            # Later runs have smaller keys, so that the running minimum begins again in each; and back from the end.
            labels = (labels - run).cummin(axis).values + run
            labels = (labels.flip(axis) + run.flip(axis)).cummin(axis).values.flip(axis) - run
            labels = labels.masked_fill(~mask, far)
        if torch.equal(labels, before):
            break
    sizes = torch.zeros(count + 1, dtype=torch.int64, device=mask.device)
    sizes.scatter_add_(0, labels.flatten(), mask.flatten().long())
    # argmax does not promise the first of equals: a voxel of lower index weighs more.
    order = torch.arange(count, -1, -1, device=mask.device)
    return (labels == (sizes * (count + 1) + order).argmax()) & mask


def _reach(start: torch.Tensor, allowed: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """The allowed voxels that a path along the axes leads to from ``start``."""
    found = start
    while True:
        before = found
        for axis in axes:
            for flipped in (False, True):
                seeds, free = (found.flip(axis), allowed.flip(axis)) if flipped else (found, allowed)
                shape = [1] * seeds.ndim
                shape[axis] = -1
                place = torch.arange(1, seeds.shape[axis] + 1, device=seeds.device).view(shape)
                last_seed = (place * seeds).cummax(axis).values
                last_wall = (place * ~free).cummax(axis).values
                reached = (last_seed > last_wall) & free
                found = reached.flip(axis) if flipped else reached
        if torch.equal(found, before):
            return found
