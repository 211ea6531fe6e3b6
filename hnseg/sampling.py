"""Lesion-aware patch positions, from stored voxel indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Triple = tuple[int, int, int]


def choose_centre(
    index: Mapping[int, NDArray[np.int64]],
    weights: Sequence[float],
    shape: Triple,
    rng: np.random.Generator,
) -> tuple[int, Triple]:
    """Choose the class to centre a patch on, then a voxel of it.

    The weights of absent classes go to the present ones in proportion; background is a voxel anywhere in the volume.

    Parameters
    ----------
    index : mapping of int to ndarray
        Flat voxel indices of GTVp (1) and GTVn (2); empty where a class is absent.
    weights : sequence of 3 float
        Probabilities of background, GTVp, GTVn.
    shape : tuple of int
        Shape of the volume, (z, y, x).
    rng : numpy.random.Generator

    Returns
    -------
    value : int
        0, 1 or 2.
    centre : tuple of int
        (z, y, x).
    """
    chance = np.asarray(weights, dtype=np.float64).copy()
    for value in (1, 2):
        if index[value].size == 0:
            chance[value] = 0.0
    if chance.sum() == 0:  # weights of (0, p, q) and no lesion at all
        chance[0] = 1.0
    value = int(rng.choice(3, p=chance / chance.sum()))
    flat = int(rng.choice(index[value])) if value else int(rng.integers(int(np.prod(shape))))
    z, y, x = np.unravel_index(flat, shape)
    return value, (int(z), int(y), int(x))


def patch_start(centre: Triple, patch: Triple, shape: Triple) -> Triple:
    """First voxel of a patch around ``centre``, moved inside the volume.

    Along an axis where the patch is longer than the volume it starts at a negative index, so that the volume sits in
    the middle of the patch and the margins are padded.

    >>> patch_start((5, 50, 99), (64, 64, 64), (40, 100, 100))
    (-12, 18, 36)
    """
    starts = []
    for c, p, n in zip(centre, patch, shape, strict=True):
        starts.append(min(max(c - p // 2, 0), n - p) if n >= p else -((p - n) // 2))
    return starts[0], starts[1], starts[2]
