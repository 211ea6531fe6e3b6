"""From HU and SUV to what the network sees; every output lies in (0, 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


def normalize_ct(ct_hu: NDArray[Any], window_hu: tuple[float, float]) -> NDArray[np.float32]:
    """CT window → [0, 1] → sigmoid.

    >>> [f"{value:.3f}" for value in normalize_ct(np.array([-1000.0, 0.0, 3000.0]), (-250.0, 250.0))]
    ['0.500', '0.622', '0.731']
    """
    low, high = window_hu
    if not high > low:
        raise ValueError(f"CT window {window_hu} HU: the upper end must exceed the lower")
    scaled = np.clip((np.asarray(ct_hu, dtype=np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    result: NDArray[np.float32] = expit(scaled)
    return result


def normalize_pet(pet_suv: NDArray[Any]) -> NDArray[np.float32]:
    """PET z-score over the crop → sigmoid.

    Raises
    ------
    ValueError
        The PET is constant over the crop, so that it has no z-score.
    """
    pet = np.asarray(pet_suv, dtype=np.float32)
    mean, deviation = float(pet.mean(dtype=np.float64)), float(pet.std(dtype=np.float64))
    if deviation == 0:
        raise ValueError(f"the PET is {mean:g} everywhere in the crop; it must vary")
    result: NDArray[np.float32] = expit((pet - np.float32(mean)) / np.float32(deviation))
    return result
