"""What a mask may be: boolean, or of the integers 0 and 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssimh._kernels.arrays import is_array, is_tensor


def as_boolean(mask: Any, name: str) -> Any:
    """The mask as booleans, a tensor where it is; floats are refused, since a probability is no mask.

    Raises:
        TypeError: not an array, a masked one, or neither boolean nor integer.
        ValueError: integers other than 0 and 1.
    """
    if not is_array(mask):
        raise TypeError(f"{name} must be a NumPy array or a torch tensor; given {type(mask).__name__}.")
    if isinstance(mask, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: a masked array was given; its own mask would be ignored. Pass numpy.asarray(…) of it."
        )
    kind = str(mask.dtype).removeprefix("torch.") if is_tensor(mask) else mask.dtype.name
    if not kind.startswith(("bool", "int", "uint")):
        raise TypeError(f"{name} must be boolean or of the integers 0 and 1; given has dtype {mask.dtype}.")
    if kind == "bool":
        return mask
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError(f"{name} must be boolean or of the integers 0 and 1; given holds others ({mask.dtype}).")
    return mask.bool() if is_tensor(mask) else mask.astype(bool)
