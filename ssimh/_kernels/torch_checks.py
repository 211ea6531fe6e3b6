"""Checks of tensors that stay on their device; imported only for a caller who holds one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ssimh._kernels.arrays import is_tensor
from ssimh._kernels.checks import check_mask


def mask_on_device(mask: Any, like: torch.Tensor, name: str = "mask") -> torch.Tensor | None:
    """The mask as a plain tensor beside ``like``; one that lies there already is not moved.

    Args:
        mask: boolean array or tensor, or one of the integers 0 and 1, of the shape of ``like``; or None.
        like: tensor that the mask is for.
        name: name in messages.

    Raises:
        TypeError: neither boolean nor integer.
        ValueError: another shape, integers other than 0 and 1, or no voxel inside.
    """
    if mask is None:
        return None
    shape = tuple(like.shape)
    if is_tensor(mask) and mask.device == like.device and mask.dtype == torch.bool and tuple(mask.shape) == shape:
        inside = mask.as_subclass(torch.Tensor)
        if bool(inside.any()):
            return inside
    return torch.from_numpy(check_mask(mask, shape, name)).to(like.device, non_blocking=True)


def beside(values: Any, like: torch.Tensor) -> torch.Tensor:
    """An array or tensor as a plain tensor on the device of ``like``, without a copy where it lies there already."""
    tensor = values.detach().as_subclass(torch.Tensor) if is_tensor(values) else torch.from_numpy(np.array(values))
    return tensor.to(like.device, non_blocking=True)
