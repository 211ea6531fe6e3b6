"""Random donor, strength and threshold: harmonization turned augmentation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform, Randomizable, RandomizableTransform

from ssimh.swap import SwapSettings
from ssimh.transforms import _adapter
from ssimh.transforms.spectrum_swap import SpectrumSwap, invert_swap, shallow_copy, swapped


def _range(given: Any, name: str) -> tuple[Any, Any]:
    low, high = given if isinstance(given, Sequence) and len(given) == 2 else (given, given)
    if isinstance(low, str) or not low <= high:
        raise ValueError(f"{name} must be a number or (lowest, highest); given {given!r}.")
    return low, high


class RandSpectrumSwap(RandomizableTransform, InvertibleTransform):
    """Swap the low frequencies with a random donor out of a bank, to a random degree.

    Conventions are those of :class:`SpectrumSwap`. Every number is drawn from the transform's own random state, in
    every call, so that the stream does not depend on ``prob``; where the coin says no, the image comes back in the
    floating dtype of a result.

    Args:
        references: donors, each a path, a :class:`ssimh.ReferenceSpectrum` or a channel-first image; kept as
            coefficients, a few kilobytes each.
        prob: probability of a swap.
        threshold: τ, or (lowest, highest), both included.
        strength: share of the way, or (lowest, highest).
        mode, slice_axis, region, clip, method, unit, allow_pet: as in :class:`SpectrumSwap`.

    Raises:
        ValueError, TypeError: an empty bank, settings out of range, or an image or donor that does not fit.

    >>> import numpy as np
    >>> bank = [np.full((1, 8, 8, 3), level, np.float32) for level in (-20.0, 0.0, 20.0)]
    >>> augment = RandSpectrumSwap(bank, prob=1.0, threshold=1, strength=1.0).set_random_state(seed=0)
    >>> sorted({round(float(augment(np.zeros((1, 8, 8, 3))).mean())) for _ in range(20)})
    [-20, 0, 20]
    """

    backend = SpectrumSwap.backend

    def __init__(
        self,
        references: Sequence[Any],
        prob: float = 0.5,
        threshold: int | Sequence[int] = (1, 3),
        strength: float | Sequence[float] = (0.0, 1.0),
        mode: str = "slice",
        slice_axis: int | str = -1,
        region: str = "square",
        clip: tuple[float, float] | None = None,
        method: str = "auto",
        unit: str | None = None,
        allow_pet: bool = False,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be within 0 … 1; given {prob!r}.")
        RandomizableTransform.__init__(self, prob)
        _adapter.check_mode(mode, slice_axis)
        self.threshold, self.strength = _range(threshold, "threshold"), _range(strength, "strength")
        self.mode, self.slice_axis = mode, slice_axis
        self.settings = SwapSettings(region=region, clip=clip, method=method, unit=unit, allow_pet=allow_pet)
        for bound in self.strength:
            replace(self.settings, strength=bound)  # raises for a strength out of range
        if isinstance(references, str) or len(references) == 0:
            raise ValueError(f"references must be a sequence of at least one donor; given {references!r}.")
        highest = self.threshold[1]
        self.references = tuple(
            _adapter.fit_reference(reference, highest, mode, slice_axis, region) for reference in references
        )
        self._draw = (0, self.threshold[0], self.strength[0])

    def randomize(self, data: Any = None) -> None:
        """Draw whether to swap, the donor, the threshold and the strength."""
        super().randomize(data)
        donor = int(self.R.randint(len(self.references)))
        threshold = int(self.R.randint(self.threshold[0], self.threshold[1] + 1))
        self._draw = (donor, threshold, float(self.R.uniform(*self.strength)))

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> torch.Tensor:
        """Swapped or unchanged image; ``randomize=False`` repeats the last draw."""
        if randomize:
            self.randomize()
        donor, threshold, strength = self._draw
        extra = None
        if self._do_transform:
            settings = replace(self.settings, threshold=threshold, strength=strength)
            result, extra = swapped(img, self.references[donor], settings, self.mode, self.slice_axis)
        else:
            result = _adapter.unchanged(img)
        self.push_transform(result, extra_info=extra)
        return result

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Image as it was before the swap, where nothing was clipped."""
        if not isinstance(data, MetaTensor):
            raise TypeError(f"inverse needs the MetaTensor that carries the record; given {type(data).__name__}.")
        copy = shallow_copy(data)
        return invert_swap(copy, self.pop_transform(copy))


class RandSpectrumSwapd(Randomizable, MapTransform, InvertibleTransform):
    """Dictionary form of :class:`RandSpectrumSwap`: one draw for all keys.

    Args:
        keys: keys of the images.
        references, prob, threshold, strength, mode, slice_axis, region, clip, method, unit, allow_pet: as in
            :class:`RandSpectrumSwap`.
        allow_missing_keys: skip keys that a sample lacks.
    """

    backend = SpectrumSwap.backend

    def __init__(
        self,
        keys: KeysCollection,
        references: Sequence[Any],
        prob: float = 0.5,
        threshold: int | Sequence[int] = (1, 3),
        strength: float | Sequence[float] = (0.0, 1.0),
        mode: str = "slice",
        slice_axis: int | str = -1,
        region: str = "square",
        clip: tuple[float, float] | None = None,
        method: str = "auto",
        unit: str | None = None,
        allow_pet: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.transform = RandSpectrumSwap(
            references, prob, threshold, strength, mode, slice_axis, region, clip, method, unit, allow_pet
        )

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandSpectrumSwapd:
        """Hand the state on to the array transform, which makes all draws."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(seed, state)
        return self

    def randomize(self, data: Any = None) -> None:
        """Draw once for all keys."""
        self.transform.randomize(data)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary; the images under ``keys`` are swapped alike, everything else is the same."""
        result = dict(data)
        self.randomize()
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key], randomize=False)
        return result

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary with the images as they were before the swap."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform.inverse(result[key])
        return result


RandSpectrumSwapD = RandSpectrumSwapDict = RandSpectrumSwapd
