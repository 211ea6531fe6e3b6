"""Spectrum swapping as MONAI transforms: array and dictionary form."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys, TransformBackends

from ssimh._kernels.coefficients import add_field
from ssimh.swap import SwapSettings, swap_with_delta
from ssimh.tissue_warning import BOUND_HU, warn_if_moved
from ssimh.transforms import _adapter


def swapped(
    img: NdarrayOrTensor, reference: Any, settings: SwapSettings, mode: str, slice_axis: int | str
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Swapped image with its metadata, and what the inverse will need."""
    axes = _adapter.transform_axes(img, mode, slice_axis)
    image = _adapter.to_tensor(img)
    settings = replace(settings, axes=axes, unit=_adapter.unit(image, settings.unit))
    donor = _adapter.for_image(reference, image, axes, _adapter.orientation(img))
    out, delta = swap_with_delta(_adapter.plain(image), donor, settings)
    return _adapter.wrap(out, image), {"delta": delta.detach().cpu(), "axes": list(axes)}


def invert_swap(data: torch.Tensor, record: Mapping[Hashable, Any]) -> torch.Tensor:
    """Subtract the field that a swap has added, as its record in the applied operations states it."""
    if not record[TraceKeys.DO_TRANSFORM]:
        return data
    extra = record[TraceKeys.EXTRA_INFO]
    values = _adapter.plain(data)
    restored = add_field(values, -extra["delta"].to(values.device), tuple(extra["axes"]))
    return _adapter.wrap(restored, data)


def shallow_copy(data: torch.Tensor) -> torch.Tensor:
    """Same values, own list of applied operations: taking a record off it leaves the caller's data as it is."""
    return _adapter.wrap(_adapter.plain(data), data)


class SpectrumSwap(InvertibleTransform):
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
        strength: 0 … 1, share of the way towards the reference.
        clip: (lowest, highest) value of the result, or None.
        method: ``"auto"``, ``"projection"`` or ``"fft"``.
        unit: intensity unit of the images; None for what their metadata states. PET is refused.
        allow_pet: swap PET all the same.
        warn_above: warn for every image whose soft tissue (-150 … 150 HU) moves by more than this many HU on average;
            None to be silent. Nothing is said of images that state another unit than HU.

    Raises:
        ValueError, TypeError: settings out of range, or an image or reference that does not fit.

    >>> import numpy as np
    >>> donor = np.full((1, 16, 16, 4), 40.0, np.float32)
    >>> swap = SpectrumSwap(donor, threshold=1, clip=(-1000, 1000))
    >>> float(swap(np.zeros((1, 16, 16, 4), np.int16)).mean().round())
    40.0
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(
        self,
        reference: Any = None,
        threshold: int = 3,
        mode: str = "slice",
        slice_axis: int | str = -1,
        region: str = "square",
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        method: str = "auto",
        unit: str | None = None,
        allow_pet: bool = False,
        warn_above: float | None = BOUND_HU,
    ) -> None:
        _adapter.check_mode(mode, slice_axis)
        self.settings = SwapSettings(
            threshold,
            region=region,
            strength=strength,
            clip=clip,
            method=method,
            unit=unit,
            allow_pet=allow_pet,
        )
        self.mode, self.slice_axis, self.warn_above = mode, slice_axis, warn_above
        self.reference = _adapter.fit_reference(reference, threshold, mode, slice_axis, region)

    def __call__(self, img: NdarrayOrTensor, reference: Any = None) -> torch.Tensor:
        """Swapped image; ``reference`` takes the place of the constructor's for this call."""
        reference = self.reference if reference is None else reference
        if reference is None:
            raise ValueError("SpectrumSwap: no reference, neither in the constructor nor with the call.")
        result, extra = swapped(img, reference, self.settings, self.mode, self.slice_axis)
        before = _adapter.to_tensor(img)
        unit = _adapter.unit(before, self.settings.unit)
        warn_if_moved(_adapter.plain(before), _adapter.plain(result), self.warn_above, unit, stacklevel=2)
        self.push_transform(result, extra_info=extra)
        return result

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Image as it was before the swap, where nothing was clipped."""
        if not isinstance(data, MetaTensor):
            raise TypeError(f"inverse needs the MetaTensor that carries the record; given {type(data).__name__}.")
        copy = shallow_copy(data)
        return invert_swap(copy, self.pop_transform(copy))


class SpectrumSwapd(MapTransform, InvertibleTransform):
    """Dictionary form of :class:`SpectrumSwap`.

    Args:
        keys: keys of the images.
        reference: as in :class:`SpectrumSwap`; exactly one of ``reference`` and ``reference_key`` is given.
        threshold, mode, slice_axis, region, strength, clip, method, unit, allow_pet, warn_above: as
            in :class:`SpectrumSwap`.
        reference_key: key of a reference that travels with the sample: an image on the same grid, a
            :class:`ssimh.ReferenceSpectrum` or a path.
        allow_missing_keys: skip keys that a sample lacks.
    """

    backend = SpectrumSwap.backend

    def __init__(
        self,
        keys: KeysCollection,
        reference: Any = None,
        threshold: int = 3,
        mode: str = "slice",
        slice_axis: int | str = -1,
        region: str = "square",
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        method: str = "auto",
        unit: str | None = None,
        allow_pet: bool = False,
        warn_above: float | None = BOUND_HU,
        reference_key: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        _adapter.check_one_reference(reference, reference_key)
        self.reference_key = reference_key
        self.transform = SpectrumSwap(
            reference, threshold, mode, slice_axis, region, strength, clip, method, unit, allow_pet, warn_above
        )

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary; the images under ``keys`` are swapped, everything else is the same."""
        result = dict(data)
        reference = _adapter.get_from_sample(result, self.reference_key, "reference_key")
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key], reference)
        return result

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary with the images as they were before the swap."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform.inverse(result[key])
        return result


SpectrumSwapD = SpectrumSwapDict = SpectrumSwapd
