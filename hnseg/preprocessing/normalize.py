"""Normalization of HU and SUV to the network's input; with the sigmoid all values are in (0, 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hnseg.settings.prepare import PrepareConfig


def normalize_ct(
    ct_hu: NDArray[Any], window_hu: tuple[float, float], *, clip: bool = True, sigmoid: bool = True
) -> NDArray[np.float32]:
    """CT window → [0, 1] → sigmoid, if asked for.

    With neither ``clip`` nor ``sigmoid`` the values are linear in HU, below 0 and above 1 outside the window: what
    bounds them is the valid range that the CT was clipped to before.

    Args:
        ct_hu: CT in HU.
        window_hu: What becomes 0 and 1.
        clip: Clip to [0, 1] before the sigmoid. Without it the sigmoid alone bounds what lies outside the window.
        sigmoid: Pass the result through a sigmoid.

    >>> ct_hu = np.array([-1024.0, -250.0, 0.0, 250.0, 3071.0])
    >>> [f"{value:.3f}" for value in normalize_ct(ct_hu, (-250.0, 250.0))]
    ['0.500', '0.500', '0.622', '0.731', '0.731']
    >>> [f"{value:.3f}" for value in normalize_ct(ct_hu, (-250.0, 250.0), clip=False)]
    ['0.175', '0.500', '0.622', '0.731', '0.999']
    """
    low, high = window_hu
    if not high > low:
        raise ValueError(f"CT window {window_hu} HU: the upper end must exceed the lower")
    scaled = np.array(ct_hu, dtype=np.float32)
    scaled -= np.float32(low)
    scaled /= np.float32(high - low)
    if clip:
        np.clip(scaled, 0, 1, out=scaled)
    return expit(scaled, out=scaled) if sigmoid else scaled


def pad_values(config: PrepareConfig) -> tuple[float, float]:
    """CT and PET as the network sees them where a patch reaches beyond the crop.

    CT is what the crop has outside the scan: air, the low end of the valid range. PET is the crop's mean, whose z-score
    is 0, or SUV 0.

    >>> pad_values(PrepareConfig())
    (0.5, 0.5)
    >>> [round(value, 3) for value in pad_values(PrepareConfig(clip_ct_window=False))]
    [0.175, 0.5]
    """
    air = np.array([config.valid_hu[0]])
    (ct,) = normalize_ct(air, config.ct_window_hu, clip=config.clip_ct_window, sigmoid=config.sigmoid)
    return float(ct), 0.5 if config.sigmoid else 0.0


def normalize_pet(
    pet_suv: NDArray[Any], *, scale: Literal["z-score", "suv"] = "z-score", sigmoid: bool = True
) -> NDArray[np.float32]:
    """PET z-score over the crop, or SUV as it is → sigmoid, if asked for.

    Raises:
        ValueError: The PET is constant over the crop, so that it has no z-score.
    """
    return PetScale.of(np.asarray(pet_suv, dtype=np.float32), scale=scale, sigmoid=sigmoid).apply(pet_suv)


@dataclass(frozen=True)
class PetScale:
    """How the PET of one crop is scaled: what :func:`normalize_pet` takes from the whole, to apply it part by part.

    Attributes:
        mean_suv, sd_suv: Mean and standard deviation over the crop, in SUV.
        scale: ``z-score``, or ``suv`` for SUV as it is.
        sigmoid: Whether the scaled value goes through a sigmoid.
    """

    mean_suv: float
    sd_suv: float
    scale: Literal["z-score", "suv"]
    sigmoid: bool

    @classmethod
    def of(cls, pet_suv: NDArray[np.float32], *, scale: Literal["z-score", "suv"], sigmoid: bool) -> PetScale:
        """Mean and standard deviation, summed in double precision plane by plane.

        Raises:
            ValueError: The PET is constant.
        """
        mean = float(pet_suv.mean(dtype=np.float64))
        squares = sum(float(np.square(plane - np.float32(mean)).sum(dtype=np.float64)) for plane in pet_suv)
        deviation = float(np.sqrt(squares / pet_suv.size))
        if deviation == 0:
            raise ValueError(f"the PET is {mean:g} everywhere in the crop; it must vary")
        return cls(mean, deviation, scale, sigmoid)

    def apply(self, pet_suv: NDArray[Any]) -> NDArray[np.float32]:
        """Scaled values of the crop or a part of it."""
        pet = np.array(pet_suv, dtype=np.float32)
        if self.scale == "z-score":
            pet -= np.float32(self.mean_suv)
            pet /= np.float32(self.sd_suv)
        return expit(pet, out=pet) if self.sigmoid else pet
