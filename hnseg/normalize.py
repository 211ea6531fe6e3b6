"""From HU and SUV to what the network sees; by default every value lies in (0, 1)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


def normalize_ct(ct_hu: NDArray[Any], window_hu: tuple[float, float], *, sigmoid: bool = True) -> NDArray[np.float32]:
    """CT window → [0, 1] → sigmoid, if asked for.

    >>> [f"{value:.3f}" for value in normalize_ct(np.array([-1000.0, 0.0, 3000.0]), (-250.0, 250.0))]
    ['0.500', '0.622', '0.731']
    """
    low, high = window_hu
    if not high > low:
        raise ValueError(f"CT window {window_hu} HU: the upper end must exceed the lower")
    scaled = np.array(ct_hu, dtype=np.float32)
    scaled -= np.float32(low)
    scaled /= np.float32(high - low)
    np.clip(scaled, 0, 1, out=scaled)
    return expit(scaled, out=scaled) if sigmoid else scaled


def normalize_pet(
    pet_suv: NDArray[Any], *, scale: Literal["z-score", "suv"] = "z-score", sigmoid: bool = True
) -> NDArray[np.float32]:
    """PET z-score over the crop, or SUV as it is → sigmoid, if asked for.

    Raises
    ------
    ValueError
        The PET is constant over the crop, so that it has no z-score.
    """
    pet = np.array(pet_suv, dtype=np.float32)
    mean, deviation = mean_and_deviation(pet)
    if deviation == 0:
        raise ValueError(f"the PET is {mean:g} everywhere in the crop; it must vary")
    if scale == "z-score":
        pet -= np.float32(mean)
        pet /= np.float32(deviation)
    return expit(pet, out=pet) if sigmoid else pet


def mean_and_deviation(image: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and standard deviation, summed in double precision plane by plane, without a copy of the whole."""
    mean = float(image.mean(dtype=np.float64))
    squares = sum(float(np.square(plane - np.float32(mean)).sum(dtype=np.float64)) for plane in image)
    return mean, float(np.sqrt(squares / image.size))
