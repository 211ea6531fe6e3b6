"""NumPy or torch: the only place that distinguishes them, and the floating-point policy.

Integers and half precision are computed in float32, float64 in float64; results come back in the input's own
floating dtype, integers in float32. Torch is looked up in ``sys.modules`` and never imported from here: a caller
who holds a tensor has imported it already.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

ArrayT = TypeVar("ArrayT", "NDArray[Any]", "torch.Tensor")

_DTYPES_ALLOWED = "integers, float16, bfloat16 (torch), float32 or float64"


def is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Whether ``value`` is a torch tensor, without importing torch."""
    torch_module = sys.modules.get("torch")
    return torch_module is not None and isinstance(value, torch_module.Tensor)


def is_array(value: object) -> bool:
    """Whether ``value`` is something that the library computes on."""
    return isinstance(value, np.ndarray) or is_tensor(value)


def check_array(value: Any, name: str) -> None:
    """Refuse what cannot be harmonized: other containers, complex, boolean or empty arrays.

    Raises:
        TypeError: not a NumPy array or torch tensor, masked, sparse, boolean, complex or another dtype.
        ValueError: no element.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: a masked array was given; its mask would be ignored. Pass numpy.asarray(…) of it.")
    if not is_array(value):
        raise TypeError(f"{name} must be a NumPy array or a torch tensor; given {type(value).__name__}.")
    if not _dtype_allowed(value):
        raise TypeError(f"{name} has dtype {value.dtype}; allowed are {_DTYPES_ALLOWED}.")
    if 0 in value.shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)} and so no element; every axis must be at least 1.")


def _dtype_allowed(value: Any) -> bool:
    if is_tensor(value):
        import torch

        floating = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
        integral = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
        unsigned = (torch.uint16, torch.uint32, torch.uint64)
        return value.layout == torch.strided and value.dtype in floating + integral + unsigned
    return value.dtype.kind in "iu" or (value.dtype.kind == "f" and value.dtype.itemsize in (2, 4, 8))


def output_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Floating dtype of a result: the input's own in native byte order, float32 for integers."""
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float32)


def work_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype in which sums are accumulated: float64 for float64, otherwise float32.

    float16 and bfloat16 have 11 and 8 bits, too few for a sum over a slice; an integer dtype would turn the cosines
    into zeros.
    """
    return np.dtype(np.float64) if dtype.kind == "f" and dtype.itemsize == 8 else np.dtype(np.float32)


def to_numpy(value: Any) -> NDArray[Any]:
    """Host copy (or view) of an array as NumPy; bfloat16 becomes float32, which holds it exactly."""
    if is_tensor(value):
        value = value.detach()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        return np.asarray(value.cpu().numpy())
    return np.asarray(value)


def normalize_axes(axes: int | Sequence[int], ndim: int, name: str) -> tuple[int, ...]:
    """Axes counted from the end, ascending, so that leading batch axes never change them.

    Raises:
        ValueError: an axis outside the array, named twice, or none at all.
        TypeError: an axis that is not an integer.

    >>> normalize_axes((2, 1), 3, "image")
    (-2, -1)
    """
    given = (axes,) if isinstance(axes, int | np.integer) else tuple(axes)
    if not given:
        raise ValueError("axes is empty; name at least one axis, for instance axes=(-2, -1).")
    for axis in given:
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
            raise TypeError(f"axes must be integers; given {given}.")
        if not -ndim <= axis < ndim:
            raise ValueError(f"axes={given} do not fit {name} with {ndim} axes; allowed are {-ndim} … {ndim - 1}.")
    negative = sorted(int(axis) % ndim - ndim for axis in given)
    if len(set(negative)) != len(negative):
        raise ValueError(f"axes={given} name the same axis of {name} (with {ndim} axes) more than once.")
    return tuple(negative)


def check_threshold(threshold: int, shape: Sequence[int], axes: Sequence[int], name: str) -> int:
    """The threshold as a plain integer.

    Raises:
        TypeError: not an integer.
        ValueError: negative, or above the number of samples along one of the axes.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | np.integer):
        raise TypeError(f"threshold must be an integer; given {threshold!r}.")
    limit = min(shape[axis] for axis in axes)
    if not 0 <= threshold <= limit:
        raise ValueError(
            f"threshold={threshold} is outside 0 … {limit}: {name} of shape {tuple(shape)} has "
            f"{[shape[axis] for axis in axes]} coefficients along the axes {tuple(axes)}."
        )
    return int(threshold)


def check_finite(value: Any, name: str) -> None:
    """Refuse NaN and infinite values, and say how many there are; tensors are looked at where they are.

    Raises:
        ValueError: at least one value is not finite.
    """
    if is_tensor(value):
        size, good = value.numel(), int(value.detach().isfinite().sum())
    else:
        size, good = value.size, int(np.count_nonzero(np.isfinite(value)))
    if good < size:
        raise ValueError(f"{name} holds {size - good} NaN or infinite value(s) out of {size}; all must be finite.")
