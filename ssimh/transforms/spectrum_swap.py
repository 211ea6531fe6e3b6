"""Spectrum swapping as MONAI transforms: array and dictionary form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from monai.config import NdarrayOrTensor
from monai.utils import TransformBackends

from ssimh._kernels.inside import check_background
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.box_swap import Placement
from ssimh.swap import swap_with_delta
from ssimh.tissue_warning import BOUND_HU, give_tissue_warnings, warn_if_moved
from ssimh.transforms import _adapter
from ssimh.transforms._forms import InvertibleArrayTransform, InvertibleDictionaryForm
from ssimh.transforms._references import fit_reference, for_box, for_image


class SwapTransform(InvertibleArrayTransform):
    """What the swap transforms have in common: one swap with its record, and how to undo it."""

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(
        self,
        mode: str,
        slice_axis: int | str,
        settings: SwapSettings,
        *,
        center_mm: Sequence[float] | None,
        landmark_mm: Sequence[Sequence[float]] | None,
        mask: Any,
        background: Any,
    ) -> None:
        _adapter.check_mode(mode, slice_axis)
        check_background(background)
        self.mode, self.slice_axis, self.settings = mode, slice_axis, settings
        self.center_mm, self.landmark_mm, self.mask, self.background = center_mm, landmark_mm, mask, background
        if settings.grid != "physical":
            Placement(None, center_mm, landmark_mm).refuse(settings.grid)

    def _fit(self, reference: Any, threshold: int) -> Any:
        return fit_reference(
            reference,
            threshold=threshold,
            mode=self.mode,
            slice_axis=self.slice_axis,
            region=self.settings.region,
        )

    def _swap(
        self, img: NdarrayOrTensor, reference: Any, settings: SwapSettings, **given: Any
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """The image as a tensor, swapped with its metadata, and what the inverse needs.

        Args:
            img, reference: of the call.
            settings: of the call, without what the image states.
            given: ``center_mm``, ``landmark_mm`` and ``mask`` of the call; None for the constructor's.
        """
        image = _adapter.to_tensor(img)
        settings = replace(settings, unit=_adapter.unit(image, settings.unit))
        where = {name: getattr(self, name) if value is None else value for name, value in given.items()}
        mask, placement = where.pop("mask"), Placement(**where)
        if settings.grid != "same":  # an image on another grid is a reference by its coefficients alone
            reference = self._fit(reference, settings.threshold)
        if settings.grid == "physical":
            donor = for_box(reference, self.mode)
            settings = replace(settings, axes=donor.axes)
            placement = replace(placement, affine=_stated_affine(img))
        else:
            settings = replace(
                settings,
                axes=_adapter.transform_axes(img, self.mode, self.slice_axis),
                spacing_mm=_adapter.spacing_mm(img),
                orientation=_adapter.orientation(img),
            )
            donor = for_image(reference, image, settings)
        values = _adapter.plain(image)
        out, field = swap_with_delta(values, donor, settings, placement, mask=mask, background=self.background)
        return image, _adapter.wrap(out, image), field.to_record()

    def _undo(self, values: torch.Tensor, record: Mapping[str, Any]) -> torch.Tensor:
        """Subtract the field that was added."""
        give_tissue_warnings(stacklevel=3)
        restored: torch.Tensor = AppliedField.from_record(record).remove_from(values)
        return restored


def _stated_affine(img: Any) -> Any:
    """The image's affine.

    Raises:
        ValueError: it has none.
    """
    affine = _adapter.affine(img)
    if affine is None:
        raise ValueError(
            'grid="physical" needs the affine of a MetaTensor with three spatial axes, and the identity, which MONAI '
            f"gives to images without one, states nothing; given is {type(img).__name__} of shape {tuple(img.shape)}. "
            "Read the image with LoadImage, or set it: MetaTensor(image, affine=…)."
        )
    return affine


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
            over the same field of view; ``"physical"``: any grid, flipped, permuted, padded or sampled otherwise: the
            basis lives in the reference's box, which the affines of both place, and outside it nothing moves. Then the
            reference is one with an affine, or a MetaTensor with one, and its own slice axis counts.
        center_mm: with ``"physical"``, world point (x, y, z) of the images, RAS+, for the center of the box.
        landmark_mm: with ``"physical"``, two world points (in the image, in the reference) that are to coincide.
        mask: boolean array or 0/1 integers, of the images' shape or without the channel axis; outside it every voxel
            keeps its value bit by bit. The coefficients are those of the whole image, as published; with
            ``"physical"``, those that fit inside the mask.
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
        center_mm: Sequence[float] | None = None,
        landmark_mm: Sequence[Sequence[float]] | None = None,
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
        super().__init__(
            mode,
            slice_axis,
            settings,
            center_mm=center_mm,
            landmark_mm=landmark_mm,
            mask=mask,
            background=background,
        )
        self.warn_above_hu = warn_above_hu
        self.reference = self._fit(reference, threshold)

    def __call__(
        self,
        img: NdarrayOrTensor,
        reference: Any = None,
        *,
        center_mm: Sequence[float] | None = None,
        landmark_mm: Sequence[Sequence[float]] | None = None,
        mask: Any = None,
    ) -> torch.Tensor:
        """Swapped image; what is given takes the place of the constructor's for this call."""
        reference = self.reference if reference is None else reference
        if reference is None:
            raise ValueError("SpectrumSwap: no reference, neither in the constructor nor with the call.")
        before, result, record = self._swap(
            img, reference, self.settings, center_mm=center_mm, landmark_mm=landmark_mm, mask=mask
        )
        unit = _adapter.unit(before, self.settings.unit)
        warn_if_moved(_adapter.plain(before), _adapter.plain(result), self.warn_above_hu, unit, stacklevel=2)
        self.push_transform(result, extra_info=record)
        return result


class SpectrumSwapd(InvertibleDictionaryForm, array=SpectrumSwap):
    """Dictionary form of :class:`SpectrumSwap`: its arguments between ``keys`` and ``allow_missing_keys``.

    ``reference``, ``center_mm``, ``landmark_mm`` and ``mask`` may be :class:`FromSample`, to travel with the sample.

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
