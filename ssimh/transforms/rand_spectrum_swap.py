"""Spectrum swapping as augmentation: random donor, strength and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from monai.config import NdarrayOrTensor
from monai.transforms import RandomizableTransform

from ssimh._kernels.checks import check_range, check_strength
from ssimh._kernels.settings import SwapSettings
from ssimh.transforms import _adapter
from ssimh.transforms._forms import InvertibleDictionaryForm, RandomDictionaryForm
from ssimh.transforms.spectrum_swap import SwapTransform


class RandSpectrumSwap(RandomizableTransform, SwapTransform):
    """Swap the low frequencies with a random donor out of a bank, to a random degree: Fourier domain adaptation.

    Training on images with the low frequencies of others is the method of Yang & Soatto (CVPR 2020, doi
    10.1109/CVPR42600.2020.00414), here in three dimensions and with cosine coefficients, sign included, in place of
    Fourier amplitudes; a random share of the way is FedDG's (Liu et al., CVPR 2021). With the sign the donor's body
    outline comes along: between two patients soft tissue changes by a hundred HU at full strength.

    Conventions are those of :class:`SpectrumSwap`. Every number is drawn from the transform's own random state, in
    every call, so that the stream does not depend on ``prob``; where the coin says no, the image comes back in the
    floating dtype of a result.

    Args:
        references: donors, each a path, a :class:`ssimh.ReferenceSpectrum` or an image on the same grid; kept as
            coefficients, a few kilobytes each.
        prob: probability of a swap, 0 … 1.
        threshold_range: (lowest, highest) τ, both included, or one number for both.
        mode, slice_axis, region, grid, center_mm, landmark_mm, mask, background, clip, method, unit, allow_pet: as in
            :class:`SpectrumSwap`.
        strength_range: (lowest, highest) share of the way, or one number for both.

    Raises:
        ValueError, TypeError: an empty bank, settings out of range, or an image or donor that does not fit.

    >>> import numpy as np
    >>> bank = [np.full((1, 8, 8, 3), level, np.float32) for level in (-20.0, 0.0, 20.0)]
    >>> augment = RandSpectrumSwap(bank, prob=1.0, threshold_range=1, strength_range=1.0).set_random_state(seed=0)
    >>> sorted({round(float(augment(np.zeros((1, 8, 8, 3))).mean())) for _ in range(20)})
    [-20, 0, 20]
    """

    def __init__(
        self,
        references: Sequence[Any],
        *,
        prob: float = 0.1,
        threshold_range: int | Sequence[int] = (1, 3),
        mode: str = "slice",
        slice_axis: int | str = -1,
        region: str = "square",
        grid: str = "same",
        center_mm: Sequence[float] | None = None,
        landmark_mm: Sequence[Sequence[float]] | None = None,
        mask: Any = None,
        background: Any = None,
        strength_range: float | Sequence[float] = (0.0, 1.0),
        clip: tuple[float, float] | None = None,
        method: str = "auto",
        unit: str | None = None,
        allow_pet: bool = False,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be within 0 … 1; given {prob!r}.")
        RandomizableTransform.__init__(self, prob)
        settings = SwapSettings(region=region, grid=grid, clip=clip, method=method, unit=unit, allow_pet=allow_pet)
        SwapTransform.__init__(
            self,
            mode,
            slice_axis,
            settings,
            center_mm=center_mm,
            landmark_mm=landmark_mm,
            mask=mask,
            background=background,
        )
        self.threshold_range = check_range(threshold_range, "threshold_range")
        self.strength_range = tuple(check_strength(bound) for bound in check_range(strength_range, "strength_range"))
        if isinstance(references, str) or len(references) == 0:
            raise ValueError(f"references must be a sequence of at least one donor; given {references!r}.")
        self.references = tuple(self._fit(reference, self.threshold_range[1]) for reference in references)
        self._draw = (0, self.threshold_range[0], self.strength_range[0])

    def randomize(self, data: Any = None) -> None:
        """Draw whether to swap, the donor, the threshold and the strength."""
        super().randomize(data)
        donor = int(self.R.randint(len(self.references)))
        threshold = int(self.R.randint(self.threshold_range[0], self.threshold_range[1] + 1))
        self._draw = (donor, threshold, float(self.R.uniform(*self.strength_range)))

    def __call__(
        self,
        img: NdarrayOrTensor,
        randomize: bool = True,
        *,
        center_mm: Sequence[float] | None = None,
        landmark_mm: Sequence[Sequence[float]] | None = None,
        mask: Any = None,
    ) -> torch.Tensor:
        """Swapped or unchanged image; ``randomize=False`` repeats the last draw.

        What else is given takes the place of the constructor's for this call.
        """
        if randomize:
            self.randomize()
        donor, threshold, strength = self._draw
        record = None
        if self._do_transform:
            settings = replace(self.settings, threshold=threshold, strength=strength)
            _, result, record = self._swap(
                img, self.references[donor], settings, center_mm=center_mm, landmark_mm=landmark_mm, mask=mask
            )
        else:
            result = _adapter.unchanged(img)
        self.push_transform(result, extra_info=record)
        return result


class RandSpectrumSwapd(RandomDictionaryForm, InvertibleDictionaryForm, array=RandSpectrumSwap):
    """Dictionary form of :class:`RandSpectrumSwap`, one draw for all keys: its arguments after ``keys``.

    ``center_mm``, ``landmark_mm`` and ``mask`` may be :class:`FromSample`, to travel with the sample.

    Args:
        keys: keys of the images.
        allow_missing_keys: skip keys that a sample lacks.
    """


RandSpectrumSwapD = RandSpectrumSwapDict = RandSpectrumSwapd
