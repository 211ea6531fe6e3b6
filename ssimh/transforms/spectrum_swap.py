"""Spectrum swapping as MONAI transforms: array and dictionary form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from monai.config import NdarrayOrTensor
from monai.utils import TransformBackends

from ssimh._kernels.inside import check_background
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.swap import swap_with_delta
from ssimh.tissue_warning import BOUND_HU, give_tissue_warnings, warn_if_moved
from ssimh.transforms import _adapter
from ssimh.transforms._forms import InvertibleArrayTransform, InvertibleDictionaryForm
from ssimh.transforms._references import fit_reference, for_image


class SwapTransform(InvertibleArrayTransform):
    """What the swap transforms have in common: one swap with its record, and how to undo it."""

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(self, mode: str, slice_axis: int | str, settings: SwapSettings, mask: Any, background: Any) -> None:
        _adapter.check_mode(mode, slice_axis)
        check_background(background)
        self.mode, self.slice_axis, self.settings = mode, slice_axis, settings
        self.mask, self.background = mask, background

    def _fit(self, reference: Any, threshold: int) -> Any:
        return fit_reference(
            reference,
            threshold=threshold,
            mode=self.mode,
            slice_axis=self.slice_axis,
            region=self.settings.region,
        )

    def _swap(
        self, img: NdarrayOrTensor, reference: Any, settings: SwapSettings, mask: Any
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """The image as a tensor, swapped with its metadata, and what the inverse needs."""
        axes = _adapter.transform_axes(img, self.mode, self.slice_axis)
        image = _adapter.to_tensor(img)
        settings = replace(
            settings,
            axes=axes,
            spacing_mm=_adapter.spacing_mm(img),
            orientation=_adapter.orientation(img),
            unit=_adapter.unit(image, settings.unit),
        )
        if settings.grid != "same":  # an image on another grid is a reference by its coefficients alone
            reference = self._fit(reference, settings.threshold)
        donor = for_image(reference, image, settings)
        out, field = swap_with_delta(
            _adapter.plain(image),
            donor,
            settings,
            mask=self.mask if mask is None else mask,
            background=self.background,
        )
        return image, _adapter.wrap(out, image), field.to_record()

    def _undo(self, values: torch.Tensor, record: Mapping[str, Any]) -> torch.Tensor:
        """Subtract the field that was added."""
        give_tissue_warnings(stacklevel=3)
        restored: torch.Tensor = AppliedField.from_record(record).remove_from(values)
        return restored


class SpectrumSwap(SwapTransform):
    """Replace the low frequencies of an image by those of a reference; see :func:`ssimh.swap_spectrum`.

    Input is a channel-first array, tensor or MetaTensor (C, spatial…), output a tensor (a MetaTensor where metadata
    is tracked) of the same floating dtype, float32 for integers; metadata, device and history are kept. Deterministic,
    not lazy. The inverse subtracts the field that was added, so it is exact to rounding for every voxel that
    ``clip`` has not cut.

    Args:
        reference: path of a saved reference, a :class:`ssimh.ReferenceSpectrum`, or an image on the same grid
            (channel-first, or without the channel axis); None if a reference is given with every call. A reference
            that states another orientation than the image's affine is turned to it, which is exact.
        threshold: τ, coefficients per axis.
        mode: ``"slice"`` (published) or ``"volume"``. Two-dimensional images are one slice either way.
        slice_axis: index among the spatial axes along which the slices are stacked (-1 for MONAI's (x, y, z) order),
            or ``"axial"``: the head-foot axis, read off the MetaTensor's affine.
        region: ``"square"`` (published), ``"triangle"`` or ``"radial"``.
        grid: ``"same"`` (published): the image has the reference's grid; ``"field-of-view"``: another number of voxels
            over the same field of view.
        mask: boolean array or 0/1 integers, of the images' shape or without the channel axis; outside it every voxel
            keeps its value bit by bit. The coefficients are those of the whole image, as published.
        background: a number: voxels of exactly this value keep it; or a function of the (C, spatial…) tensor that
            returns a mask of the background. Name a function that can be pickled, if worker processes get it. With
            both, nothing moves outside either.
        strength: 0 … 1, share of the way towards the reference.
        clip: (lowest, highest) value of the result, or None.
        method: ``"auto"``, ``"projection"`` or ``"fft"``.
        unit: intensity unit of the images; None for what their metadata states. PET is refused.
        allow_pet: swap PET all the same.
        warn_above_hu: warn for every image whose soft tissue (-150 … 150 HU) moves by more than this many HU on
            average; None to be silent. Images that state another unit than HU are not examined. Nothing waits for a
            GPU: its images are warned of by a later call or inverse that finds the number there, by
            :func:`ssimh.flush_tissue_warnings`, or when the process ends.

    Raises:
        ValueError, TypeError: settings out of range, or an image or reference that does not fit: another matrix,
            other voxel sizes (where both are known), another orientation or unit.

    >>> import numpy as np
    >>> donor = np.full((1, 16, 16, 4), 40.0, np.float32)
    >>> swap = SpectrumSwap(donor, threshold=1, clip=(-1000, 1000))
    >>> float(swap(np.zeros((1, 16, 16, 4), np.int16)).mean().round())
    40.0
    """

    def __init__(
        self,
        reference: Any,
        *,
        threshold: int = 3,
        mode: str = "slice",
        slice_axis: int | str = -1,
        region: str = "square",
        grid: str = "same",
        mask: Any = None,
        background: Any = None,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        method: str = "auto",
        unit: str | None = None,
        allow_pet: bool = False,
        warn_above_hu: float | None = BOUND_HU,
    ) -> None:
        settings = SwapSettings(
            threshold,
            region=region,
            grid=grid,
            strength=strength,
            clip=clip,
            method=method,
            unit=unit,
            allow_pet=allow_pet,
        )
        super().__init__(mode, slice_axis, settings, mask, background)
        self.warn_above_hu = warn_above_hu
        self.reference = self._fit(reference, threshold)

    def __call__(self, img: NdarrayOrTensor, reference: Any = None, *, mask: Any = None) -> torch.Tensor:
        """Swapped image; what is given takes the place of the constructor's for this call."""
        reference = self.reference if reference is None else reference
        if reference is None:
            raise ValueError("SpectrumSwap: no reference, neither in the constructor nor with the call.")
        before, result, record = self._swap(img, reference, self.settings, mask)
        unit = _adapter.unit(before, self.settings.unit)
        warn_if_moved(_adapter.plain(before), _adapter.plain(result), self.warn_above_hu, unit, stacklevel=2)
        self.push_transform(result, extra_info=record)
        return result


class SpectrumSwapd(InvertibleDictionaryForm, array=SpectrumSwap):
    """Dictionary form of :class:`SpectrumSwap`: its arguments between ``keys`` and ``allow_missing_keys``.

    ``reference`` and ``mask`` may be :class:`FromSample`, to travel with the sample: an image, a
    :class:`ssimh.ReferenceSpectrum` or a path, and a mask of the image.

    Args:
        keys: keys of the images.
        allow_missing_keys: skip keys that a sample lacks.

    >>> import numpy as np
    >>> from ssimh import FromSample
    >>> swap = SpectrumSwapd("ct", FromSample("template"), threshold=1)
    >>> sample = {"ct": np.zeros((1, 16, 16, 4)), "template": np.full((1, 16, 16, 4), 40.0)}
    >>> float(swap(sample)["ct"].mean().round())
    40.0
    """


SpectrumSwapD = SpectrumSwapDict = SpectrumSwapd
