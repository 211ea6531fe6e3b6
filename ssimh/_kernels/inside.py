"""Where an image may change: a mask, a background, and the application that both limit; NumPy and torch alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import is_tensor, to_numpy
from ssimh._kernels.boolean import as_boolean

_SLAB_BYTES = 16 * 2**20


def find_inside(image: Any, mask: Any, background: Any) -> Any | None:
    """Voxels that may change, of the image's kind and on its device; None where all may.

    Args:
        image: array or tensor.
        mask: boolean or of 0/1 integers, of the image's shape or that of its last axes; axes of size 1 before the last
            two stand for all positions. None for everywhere.
        background: a number, which marks the voxels of exactly this value, or a function of the image that returns
            such a mask of the background. None for no background.

    Returns:
        Boolean array that broadcasts to the image.

    Raises:
        TypeError: neither boolean nor integer, or a background that is neither number nor function.
        ValueError: another shape, integers other than 0 and 1, no voxel inside, or a function that fails.
    """
    inside = None if mask is None else as_mask(mask, image, "mask")
    if background is not None:
        outside = _find_background(image, background)
        inside = ~outside if inside is None else inside & ~outside
    if inside is not None and not bool(inside.any()):
        given = " and ".join(name for name, value in (("mask", mask), ("background", background)) if value is not None)
        raise ValueError(
            f"{given} leave no voxel of the image of shape {tuple(image.shape)} inside; at least one must be."
        )
    return inside


def as_mask(mask: Any, image: Any, name: str) -> Any:
    """The mask as a boolean array of the image's kind, on its device.

    Raises:
        TypeError: not an array, or neither boolean nor integer.
        ValueError: a shape that is not the image's, or integers other than 0 and 1.
    """
    mask = as_boolean(mask, name)
    shape, whole = tuple(mask.shape), tuple(image.shape)
    tail = whole[-len(shape) :] if shape else ()
    # Only leading axes (channels, batches) may be shared: a mask of one slice for many is more often an error.
    lead = max(0, len(shape) - 3) if len(shape) == len(whole) else 0
    fits = len(shape) == len(tail) and shape[lead:] == tail[lead:]
    fits = fits and all(size in (1, full) for size, full in zip(shape[:lead], tail[:lead], strict=True))
    if not fits or len(shape) < min(2, len(whole)):
        raise ValueError(
            f"{name} has shape {shape}, the image {whole}; it must be the image's or that of its last axes."
        )
    if is_tensor(image):
        import torch

        return torch.as_tensor(mask, device=image.device).as_subclass(torch.Tensor)
    return to_numpy(mask)


def check_background(background: Any) -> None:
    """Refuse what cannot name a background.

    Raises:
        TypeError: neither a number, a function nor None.
    """
    is_number = isinstance(background, int | float | np.number) and not isinstance(background, bool)
    if background is not None and not is_number and not callable(background):
        raise TypeError(
            "background must be a number or a function of the image that returns a mask of the background; given "
            f"{background!r}."
        )


def _find_background(image: Any, background: Any) -> Any:
    """Mask of the background."""
    check_background(background)
    if not callable(background):
        return image == background
    name = f"background function {getattr(background, '__qualname__', repr(background))}"
    try:
        found = background(image)
    except Exception as error:
        raise ValueError(f"{name} failed on the image of shape {tuple(image.shape)}: {error!r}") from error
    return as_mask(found, image, f"the result of the {name}")


def keep_outside(out: Any, image: Any, inside: Any | None) -> Any:
    """``out`` with the image's own values outside; written in place where no gradient passes.

    Args:
        out: floating result for the image, memory of its own.
        image: what it was computed from.
        inside: from :func:`find_inside`.
    """
    if inside is None:
        return out
    if not is_tensor(out):
        np.copyto(out, image, where=~inside, casting="unsafe")
        return out
    import torch

    target, source = out.as_subclass(torch.Tensor), image.as_subclass(torch.Tensor)
    if target.requires_grad:
        return _like(torch.where(inside, target, source.to(target.dtype)), out)
    where = inside.expand(target.shape)
    for index in _slabs(target):
        torch.where(where[index], target[index], source[index].to(target.dtype), out=target[index])
    return out


def _like(result: Any, image: Any) -> Any:
    from ssimh._kernels import torch_kernel

    return torch_kernel.like(result, image)


def _slabs(values: Any) -> list[slice]:
    """Parts of the first axis, each of a few megabytes, so that no copy of the whole image is made."""
    size = values.shape[0]
    step = max(1, _SLAB_BYTES // max(1, math.prod(values.shape[1:]) * 8))
    return [slice(first, first + step) for first in range(0, size, step)]


def pack(inside: Any) -> NDArray[np.uint8]:
    """One bit per voxel, on the host; tensors are packed where they are and only the bits travel."""
    if not is_tensor(inside):
        return np.packbits(inside)
    import torch

    flat = inside.reshape(-1)
    flat = torch.nn.functional.pad(flat.to(torch.uint8), (0, -flat.numel() % 8)).reshape(-1, 8)
    places = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=flat.device)
    packed: NDArray[np.uint8] = (flat * places).sum(-1, dtype=torch.uint8).cpu().numpy()
    return packed


def unpack(bits: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Inverse of :func:`pack`.

    >>> import numpy as np
    >>> unpack(pack(np.array([[True, False, True]])), (1, 3))
    array([[ True, False,  True]])
    """
    return np.unpackbits(bits, count=math.prod(shape)).astype(bool).reshape(shape)
