"""Spectrum swapping as TorchIO augmentation: random donor, strength and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torchio as tio
from torchio.transforms.augmentation import RandomTransform
from torchio.transforms.intensity_transform import IntensityTransform

from ssimh._kernels.checks import check_mode, check_range, check_strength
from ssimh._kernels.settings import SwapSettings
from ssimh.torchio._references import as_reference
from ssimh.torchio.spectrum_swap import SpectrumSwap


class RandomSpectrumSwap(RandomTransform, IntensityTransform):
    """Swap the low frequencies with a random donor out of a bank, to a random degree: Fourier domain adaptation.

    The method of Yang & Soatto (CVPR 2020, doi 10.1109/CVPR42600.2020.00414) with cosine coefficients in place of
    Fourier amplitudes; see :class:`ssimh.RandSpectrumSwap` for what differs.

    Everything is drawn from torch's global generator, as in TorchIO's own transforms, once for all images of a subject.
    The history holds the :class:`SpectrumSwap` with the drawn parameters. Conventions are those of that transform; it
    does not warn.

    Args:
        references: donors, each in a form that :class:`SpectrumSwap` takes; kept as coefficients, a few kilobytes each.
        threshold_range: (lowest, highest) τ, both included, or one number for both.
        mode, region, grid, center_mm, landmark_mm, mask, background, clip, method, unit, allow_pet: as in
            :class:`SpectrumSwap`.
        strength_range: (lowest, highest) share of the way, or one number for both.
        kwargs: ``p`` (probability, 1 without it), ``copy``, ``include``, ``exclude``, ``keep``, ``label_keys`` of
            ``torchio.transforms.Transform``.

    Raises:
        ValueError, TypeError, KeyError: an empty bank, and as :class:`SpectrumSwap`.

    >>> import torch
    >>> import torchio as tio
    >>> bank = [tio.ScalarImage(tensor=torch.full((1, 8, 8, 3), level)) for level in (-20.0, 20.0)]
    >>> augment = RandomSpectrumSwap(bank, threshold_range=1, strength_range=1.0)
    >>> sorted({round(float(augment(torch.zeros(1, 8, 8, 3)).mean())) for _ in range(20)})
    [-20, 20]
    """

    def __init__(
        self,
        references: Sequence[Any],
        *,
        threshold_range: int | Sequence[int] = (1, 3),
        mode: str = "slice",
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_mode(mode)
        self.threshold_range = check_range(threshold_range, "threshold_range")
        self.strength_range = tuple(check_strength(bound) for bound in check_range(strength_range, "strength_range"))
        settings = SwapSettings(
            self.threshold_range[1], region=region, grid=grid, clip=clip, method=method, unit=unit, allow_pet=allow_pet
        )
        if isinstance(references, str) or len(references) == 0:
            raise ValueError(f"references must be a sequence of at least one donor; given {references!r}.")
        self.references = [as_reference(reference, settings, mode) for reference in references]
        self.mode, self.region, self.grid, self.clip = mode, region, grid, settings.clip
        self.center_mm, self.landmark_mm, self.mask, self.background = center_mm, landmark_mm, mask, background
        self.method, self.unit, self.allow_pet = method, unit, allow_pet

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Draw donor, threshold and strength, and apply the :class:`SpectrumSwap` that has them."""
        low, high = self.threshold_range
        base: dict[str, Any] = self._get_base_args()
        swap = SpectrumSwap(
            self.references[int(torch.randint(len(self.references), (1,)))],
            threshold=int(torch.randint(low, high + 1, (1,))),
            mode=self.mode,
            region=self.region,
            grid=self.grid,
            center_mm=self.center_mm,
            landmark_mm=self.landmark_mm,
            mask=self.mask,
            background=self.background,
            strength=min(max(self.sample_uniform(*self.strength_range), 0.0), 1.0),
            clip=self.clip,
            method=self.method,
            unit=self.unit,
            allow_pet=self.allow_pet,
            warn_above_hu=None,
            **base,
        )
        return swap(subject)
