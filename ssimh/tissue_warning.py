"""Warning of a swap that moves soft tissue: between two patients it exchanges anatomy, not scanner style."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ssimh._kernels.arrays import to_numpy
from ssimh.metrics import SOFT_TISSUE_HU

# The largest difference between CT scanners, some 40 HU, with room; a swap between patients moves 50 to 300 HU.
BOUND_HU = 50.0
_SAMPLES = 2_000_000


class TissueMovedWarning(UserWarning):
    """A swap has moved soft tissue by more than the stated bound."""


def warn_if_moved(before: Any, after: Any, bound_hu: float | None, unit: str | None, stacklevel: int) -> None:
    """Warn if soft tissue (-150 … 150 HU before) has moved by more than ``bound_hu`` on average.

    At most two million voxels are looked at. Images that state another unit than HU are not examined.

    Args:
        before, after: arrays or tensors of one shape, HU.
        bound_hu: mean absolute change that is still accepted, or None for any.
        unit: unit of the images, None if unknown.
        stacklevel: as in ``warnings.warn``, counted from the caller.

    >>> import numpy as np
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_if_moved(np.zeros(9), np.full(9, 80.0), 50.0, "HU", 1)
    >>> print(str(caught[0].message).split(";")[0])
    the swap moved soft tissue by 80 HU on average, more than 50 HU
    """
    if bound_hu is None or (unit is not None and unit.strip().upper() != "HU"):
        return
    step = max(1, before.size // _SAMPLES) if isinstance(before, np.ndarray) else max(1, before.numel() // _SAMPLES)
    old, new = (to_numpy(image.reshape(-1)[::step]).astype(np.float32) for image in (before, after))
    tissue = (old >= SOFT_TISSUE_HU[0]) & (old <= SOFT_TISSUE_HU[1])
    if not tissue.any():
        return
    moved = float(np.abs(new[tissue] - old[tissue]).mean())
    if moved > bound_hu:
        warnings.warn(
            f"the swap moved soft tissue by {moved:.0f} HU on average, more than {bound_hu:g} HU; between two patients "
            "it exchanges anatomy. SpectrumAlign moves only what two sites differ in (ssimh.align_spectrum); "
            "warn_above_hu=None silences this.",
            TissueMovedWarning,
            stacklevel=stacklevel + 1,
        )
