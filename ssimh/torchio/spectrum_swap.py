"""Spectrum swapping as a TorchIO transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torchio as tio

from ssimh._kernels.checks import check_mode
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.swap import swap_with_delta
from ssimh.tissue_warning import BOUND_HU, warn_if_moved
from ssimh.torchio import _image
from ssimh.torchio._recorded import Record, RecordedTransform, check_shape
from ssimh.torchio._references import as_reference


@dataclass(frozen=True, eq=False)
class SwapRecord:
    """What undoes the swap of one image.

    Args:
        field: the :class:`ssimh.applied_field.AppliedField` that was added, as its record: small tensors, and one bit
            per voxel of a mask.
        shape: of the image.
    """

    field: Mapping[str, Any]
    shape: tuple[int, ...]


class SpectrumSwap(RecordedTransform[SwapRecord]):
    """Replace the low frequencies of the scalar images by those of a reference; see :func:`ssimh.swap_spectrum`.

    Floating dtypes stay, integers become float32. Replaying ``subject.get_composed_history()`` gives the identical
    image; ``subject.apply_inverse_transform()`` subtracts the field that was added, so it is exact to rounding for
    every voxel that ``clip`` has not cut.

    Args:
        reference: a :class:`ssimh.ReferenceSpectrum`; the path of a saved one (.npz) or of an image; or a
            ``torchio.ScalarImage``. Images are fitted at once and kept as coefficients. One that states another
            orientation than an image's affine is turned to it, which is exact.
        threshold: τ, coefficients per axis.
        mode: ``"slice"`` (published): the axial slices by the affine; or ``"volume"``. Images of one slice, (C, x, y,
            1), are that slice either way.
        region: ``"square"`` (published), ``"triangle"`` or ``"radial"``.
        grid: ``"same"``, as published: an image's grid is the reference's; or ``"field-of-view"``: another number of
            voxels over the same field of view, see :func:`ssimh.swap_spectrum`.
        mask: name of a label map in the subject (0 is outside), or an array of the images' shape or spatial shape,
            boolean or 0 and 1. Outside it every voxel keeps its value bit by bit; the coefficients are those of the
            whole image, as published.
        background: a number: voxels of exactly this value keep it; or a function of an image's tensor, (C, x, y, z),
            that returns a mask of the background; a lambda cannot be sent to workers. With a mask, nothing moves
            outside either.
        strength: 0 … 1, share of the way towards the reference.
        clip: (lowest, highest) value of the result, or None.
        method: ``"auto"``, ``"projection"`` or ``"fft"``.
        unit: intensity unit of the images; None for what they state, ``ScalarImage(path, unit="HU")``. PET is refused.
        allow_pet: swap PET all the same.
        warn_above_hu: warn for every image whose soft tissue (-150 … 150 HU) moves by more than this many HU on
            average; None to be silent. Images that state another unit than HU are not examined.
        record: what the history has recorded; not for new transforms.
        kwargs: ``p``, ``copy``, ``include``, ``exclude``, ``keep``, ``label_keys`` of
            ``torchio.transforms.Transform``. Give ``include=["ct"]`` where a subject holds PET, too.

    Raises:
        ValueError, TypeError: settings out of range, or an image that does not fit the reference: another matrix,
            other voxel sizes (where both are known), another unit. Names the image.
        KeyError: ``include`` or ``mask`` names what the subject does not have.

    >>> import torch
    >>> import torchio as tio
    >>> donor = tio.ScalarImage(tensor=torch.full((1, 16, 16, 4), 40.0))
    >>> subject = SpectrumSwap(donor, threshold=1)(tio.Subject(ct=tio.ScalarImage(tensor=torch.zeros(1, 16, 16, 4))))
    >>> round(float(subject.ct.data.mean())), round(float(subject.apply_inverse_transform().ct.data.mean()))
    (40, 0)
    """

    def __init__(
        self,
        reference: Any,
        *,
        threshold: int = 3,
        mode: str = "slice",
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
        record: Record[SwapRecord] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(record, **kwargs)
        check_mode(mode)
        self._settings = SwapSettings(
            threshold,
            region=region,
            grid=grid,
            strength=strength,
            clip=clip,
            method=method,
            unit=unit,
            allow_pet=allow_pet,
        )
        self.reference = as_reference(reference, self._settings, mode)
        self.threshold, self.mode, self.region, self.grid = threshold, mode, region, grid
        self.mask, self.background, self.strength = mask, background, self._settings.strength
        self.clip, self.method, self.unit, self.allow_pet = self._settings.clip, method, unit, allow_pet
        self.warn_above_hu = warn_above_hu
        self.args_names = [
            *("reference", "threshold", "mode", "region", "grid", "mask", "background", "strength", "clip", "method"),
            *("unit", "allow_pet", "warn_above_hu"),
        ]

    def _apply(self, image: tio.ScalarImage, subject: tio.Subject) -> tuple[torch.Tensor, SwapRecord]:
        letters, unit = _image.orientation(image), _image.unit(image, self.unit)
        axes = _image.transform_axes(image, self.mode)
        settings = replace(
            self._settings, axes=axes, spacing_mm=_image.spacing_mm(image), orientation=letters, unit=unit
        )
        turned = self.reference.orientation not in (None, letters)
        donor = self.reference.for_orientation(letters) if turned else self.reference
        mask = _image.find_mask(self.mask, image, subject)
        values, field = swap_with_delta(image.data, donor, settings, mask=mask, background=self.background)
        # Counted from here: apply_transform, TorchIO's __call__, the caller.
        warn_if_moved(image.data, values, self.warn_above_hu, unit, stacklevel=4)
        return values, SwapRecord(field.to_record(), tuple(image.data.shape))

    def _undo(self, values: torch.Tensor, record: SwapRecord) -> torch.Tensor:
        check_shape(values, record.shape)
        restored: torch.Tensor = AppliedField.from_record(record.field).remove_from(values)
        return restored
