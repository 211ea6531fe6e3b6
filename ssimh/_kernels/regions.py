"""Regions of coefficients that count as low frequency."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Region = Literal["square", "triangle", "radial"]
REGIONS: tuple[str, ...] = get_args(Region)


def region_mask(region: str, threshold: int, ndim: int) -> NDArray[np.bool_]:
    """Low-frequency region inside the corner block of ``threshold`` coefficients per axis.

    ``"square"`` is the published one (every index below the threshold), ``"triangle"`` keeps indices whose sum,
    ``"radial"`` those whose Euclidean length is below the threshold.

    Args:
        region: ``"square"``, ``"triangle"`` or ``"radial"``.
        threshold: τ, 0 or more; the zero-frequency coefficient is index 0, so τ = 1 is the mean alone.
        ndim: number of transformed axes.

    Returns:
        Boolean array of shape ``(threshold,) * ndim``.

    Raises:
        ValueError: unknown region.

    >>> region_mask("triangle", 3, 2).astype(int)
    array([[1, 1, 1],
           [1, 1, 0],
           [1, 0, 0]])
    """
    if region not in REGIONS:
        raise ValueError(f"region must be one of {', '.join(REGIONS)}; given {region!r}.")
    shape = (threshold,) * ndim
    index = np.indices(shape)
    if region == "triangle":
        mask = index.sum(axis=0) < threshold
    elif region == "radial":
        mask = (index**2).sum(axis=0) < threshold**2
    else:
        mask = np.ones(shape, dtype=bool)
    return np.asarray(mask, dtype=bool)


def region_contains(region: str, threshold: int, wanted: str, wanted_threshold: int, ndim: int) -> bool:
    """Whether the first region contains every coefficient of the wanted one.

    >>> region_contains("square", 4, "radial", 3, 2), region_contains("triangle", 3, "square", 3, 2)
    (True, False)
    """
    if wanted_threshold > threshold:
        return False
    have = region_mask(region, threshold, ndim)
    corner = tuple(slice(wanted_threshold) for _ in range(ndim))
    return bool(have[corner][region_mask(wanted, wanted_threshold, ndim)].all())
