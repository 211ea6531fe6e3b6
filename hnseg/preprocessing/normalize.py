"""Normalization of HU and SUV to the network's input; by default all values are in (0, 1)."""

from __future__ import annotations

from dataclasses import dataclass
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


def pad_value(*, sigmoid: bool) -> float:
    """What the network sees where a patch reaches beyond the crop: air in CT, in PET the crop's mean or SUV 0.

    That is the low end of the CT window; the z-score of the mean, or the SUV itself.

    >>> pad_value(sigmoid=True), pad_value(sigmoid=False)
    (0.5, 0.0)
    """
    return float(expit(0.0)) if sigmoid else 0.0


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
