"""Warning of a swap that moves soft tissue: between two patients it exchanges anatomy, not scanner style."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np

from ssimh._kernels.arrays import is_tensor, to_numpy
from ssimh.metrics import SOFT_TISSUE_HU

# The largest difference between CT scanners, some 40 HU, with room; a swap between patients moves 50 to 300 HU.
BOUND_HU = 50.0
# The field is smooth, so that a coarse lattice knows its mean: of four swaps (8 to 143 HU) to 1.4 % or better.
_SAMPLES = 2**12


class TissueMovedWarning(UserWarning):
    """A swap has moved soft tissue by more than the stated bound."""


def warn_if_moved(before: Any, after: Any, bound_hu: float | None, unit: str | None, stacklevel: int) -> None:
    """Warn if soft tissue (-150 … 150 HU before) has moved by more than ``bound_hu`` on average.

    Looked at is every n-th voxel along each spatial axis, some 4000 in all. Images that state another unit than HU
    are not examined. Nothing waits for a device: the mean of a tensor on one is sent to the host in the background,
    and the warning is given by the next call that finds it there, by :func:`flush_tissue_warnings`, or at exit.

    Args:
        before, after: (channel, spatial…) arrays or tensors of one shape, HU.
        bound_hu: mean absolute change that is still accepted, or None for any.
        unit: unit of the images, None if unknown.
        stacklevel: as in ``warnings.warn``, counted from the caller.

    >>> import numpy as np
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_if_moved(np.zeros((1, 9)), np.full((1, 9), 80.0), 50.0, "HU", 1)
    >>> print(str(caught[0].message).split(";")[0])
    the swap moved soft tissue by 80 HU on average, more than 50 HU
    """
    if bound_hu is None or (unit is not None and unit.strip().upper() != "HU"):
        return
    lattice = _lattice(tuple(before.shape))
    old, new = before[lattice], after[lattice]
    if not is_tensor(before) or before.device.type == "cpu":
        _warn(_mean_move(to_numpy(old).astype(np.float32), to_numpy(new).astype(np.float32)), bound_hu, stacklevel + 1)
        return
    from ssimh._kernels.late_numbers import look_at_arrived, send

    look_at_arrived(stacklevel + 1)
    send(_mean_move(old.detach().float(), new.detach().float()), lambda moved, level: _warn(moved, bound_hu, level + 1))


def give_tissue_warnings(stacklevel: int = 1) -> None:
    """Give the warnings whose numbers have come from the device; nothing waits."""
    if "ssimh._kernels.late_numbers" in sys.modules:
        sys.modules["ssimh._kernels.late_numbers"].look_at_arrived(stacklevel + 1)


def flush_tissue_warnings() -> None:
    """Wait for the devices, and give all warnings of swaps that have not been given yet.

    >>> flush_tissue_warnings()
    """
    if "ssimh._kernels.late_numbers" in sys.modules:
        sys.modules["ssimh._kernels.late_numbers"].look_at_all(stacklevel=2)


def _lattice(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Every n-th voxel along the spatial axes, without a copy whatever the order in memory."""
    spatial = shape[1:]
    step = max(1, round((math.prod(shape) / _SAMPLES) ** (1 / len(spatial))))
    return (slice(None), *(slice(min(step, size) // 2, None, step) for size in spatial))


def _mean_move(old: Any, new: Any) -> Any:
    """Mean absolute change where ``old`` is soft tissue, 0 where there is none; a number or a tensor of one."""
    tissue = (old >= SOFT_TISSUE_HU[0]) & (old <= SOFT_TISSUE_HU[1])
    moved = abs(new - old)  # not multiplied by the tissue: outside a mask there may be NaN
    moved = moved.masked_fill(~tissue, 0) if is_tensor(moved) else np.where(tissue, moved, 0)
    return moved.sum() / tissue.sum().clip(1)


def _warn(moved: Any, bound_hu: float, stacklevel: int) -> None:
    if moved > bound_hu:
        warnings.warn(
            f"the swap moved soft tissue by {float(moved):.0f} HU on average, more than {bound_hu:g} HU; between two "
            "patients it exchanges anatomy. SpectrumAlign moves only what two sites differ in (ssimh.align_spectrum); "
            "warn_above_hu=None silences this.",
            TissueMovedWarning,
            stacklevel=stacklevel + 1,
        )
