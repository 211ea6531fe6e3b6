"""Memory that the caller gives for a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssimh._kernels import arrays
from ssimh._kernels.arrays import is_array, is_tensor


def check_out(out: Any, image: Any, inputs: Sequence[tuple[str, Any]]) -> None:
    """Refuse memory that cannot take the result for an image.

    Args:
        out: the memory.
        image: checked array or tensor.
        inputs: name and value of everything that is read; what is no array or tensor cannot overlap.

    Raises:
        TypeError: not of the image's kind, or of another dtype than the result.
        ValueError: another shape or device, not writable, wanted for a gradient, several places in one memory, or an
            overlap with an input.
    """
    if not is_array(out) or is_tensor(out) is not is_tensor(image):
        kind = "torch tensor" if is_tensor(image) else "NumPy array"
        raise TypeError(f"out must be a {kind}, as the image is; given {type(out).__name__}.")
    if is_tensor(image):
        from ssimh._kernels import torch_kernel

        wanted: Any = torch_kernel.output_dtype(image.dtype)
    else:
        wanted = arrays.output_dtype(image.dtype)
    if out.dtype != wanted:
        raise TypeError(f"out has dtype {out.dtype}; the result for an image of {image.dtype} has {wanted}.")
    if tuple(out.shape) != tuple(image.shape):
        raise ValueError(f"out has shape {tuple(out.shape)}, the image {tuple(image.shape)}; they must be equal.")
    if is_tensor(out):
        if out.device != image.device:
            raise ValueError(f"out is on {out.device}, the image on {image.device}; they must be on one device.")
        _check_no_gradient(out, inputs)
    elif not out.flags.writeable:
        raise ValueError("out is read-only; it must be writable.")
    if any(size > 1 and step == 0 for size, step in zip(out.shape, _steps(out), strict=True)):
        raise ValueError(f"out of shape {tuple(out.shape)} has the strides {_steps(out)}: several voxels in one place.")
    for name, value in inputs:
        if is_array(value) and _overlap(out, value):
            raise ValueError(
                f"out overlaps the memory of {name}, which is read while out is written; give other memory."
            )


def _check_no_gradient(out: Any, inputs: Sequence[tuple[str, Any]]) -> None:
    import torch

    if not torch.is_grad_enabled():
        return
    for name, value in (("out", out), *inputs):
        if getattr(value, "requires_grad", False):
            raise ValueError(f"{name} requires a gradient, which does not pass through out=; leave out away.")


def _steps(array: Any) -> tuple[int, ...]:
    """Bytes between neighbors along every axis."""
    return tuple(step * array.element_size() for step in array.stride()) if is_tensor(array) else array.strides


def _overlap(one: Any, other: Any) -> bool:
    """Whether the addresses of two arrays overlap; tensors of different devices have none in common."""
    places = [str(array.device) if is_tensor(array) else "cpu" for array in (one, other)]
    (first, end), (other_first, other_end) = _addresses(one), _addresses(other)
    return places[0] == places[1] and first < other_end and other_first < end


def _addresses(array: Any) -> tuple[int, int]:
    """First address of an array, and the one behind its last."""
    item = array.element_size() if is_tensor(array) else array.itemsize
    start = array.data_ptr() if is_tensor(array) else array.ctypes.data
    spans = [(size - 1) * step for size, step in zip(array.shape, _steps(array), strict=True)]
    if 0 in array.shape:
        return start, start
    return start + sum(span for span in spans if span < 0), start + sum(span for span in spans if span > 0) + item
