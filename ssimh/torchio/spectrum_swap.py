"""Spectrum swapping as a TorchIO transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torchio as tio

from ssimh._kernels.checks import check_mode
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.box_swap import Placement
from ssimh.reference import ReferenceSpectrum
from ssimh.swap import swap_with_delta
from ssimh.tissue_warning import BOUND_HU, warn_if_moved
from ssimh.torchio import _image
from ssimh.torchio._recorded import Record, RecordedTransform, check_shape
from ssimh.torchio._references import as_reference, check_mode_of


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
        grid: ``"same"``, as published: an image's grid is the reference's; ``"field-of-view"``: another number of
            voxels over the same field of view; or ``"physical"``: the basis lives in the reference's box in
            millimeters, placed by the affines, so that flips, permutations, padding and sampling do not matter. What
            each assumes: :func:`ssimh.swap_spectrum`. ``"physical"`` refuses the identity as an affine, which TorchIO
            gives where nothing is known.
        center_mm, landmark_mm: with ``grid="physical"``, where the box lies if not by the affines:
            :func:`ssimh.swap_spectrum`.
        mask: name of a label map in the subject (0 is outside), or an array of the images' shape or spatial shape,
            boolean or 0 and 1. Outside it every voxel keeps its value bit by bit. The coefficients are those of the
            whole image, as published; with ``grid="physical"`` those inside.
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
        self.center_mm, self.landmark_mm = center_mm, landmark_mm
        if grid == "physical":
            check_mode_of(self.reference, mode)
        else:
            Placement(None, center_mm, landmark_mm).refuse(grid)
        self.threshold, self.mode, self.region, self.grid = threshold, mode, region, grid
        self.mask, self.background, self.strength = mask, background, self._settings.strength
        self.clip, self.method, self.unit, self.allow_pet = self._settings.clip, method, unit, allow_pet
        self.warn_above_hu = warn_above_hu
        self.args_names = [
            *("reference", "threshold", "mode", "region", "grid", "center_mm", "landmark_mm", "mask", "background"),
            *("strength", "clip", "method", "unit", "allow_pet", "warn_above_hu"),
        ]

    def _apply(self, image: tio.ScalarImage, subject: tio.Subject) -> tuple[torch.Tensor, SwapRecord]:
        unit = _image.unit(image, self.unit)
        mask = _image.find_mask(self.mask, image, subject)
        donor, settings, placement = self._fit_to(image)
        settings = replace(settings, unit=unit)
        values, field = swap_with_delta(image.data, donor, settings, placement, mask=mask, background=self.background)
        # Counted from here: apply_transform, TorchIO's __call__, the caller.
        warn_if_moved(image.data, values, self.warn_above_hu, unit, stacklevel=4)
        return values, SwapRecord(field.to_record(), tuple(image.data.shape))

    def _fit_to(self, image: tio.ScalarImage) -> tuple[ReferenceSpectrum, SwapSettings, Placement]:
        """The reference for an image, what the settings state about the image, and where it lies."""
        if self.grid == "physical":
            placement = Placement(_image.known_affine(image), self.center_mm, self.landmark_mm)
            return self.reference, replace(self._settings, axes=self.reference.axes), placement
        letters = _image.orientation(image)
        settings = replace(
            self._settings,
            axes=_image.transform_axes(image, self.mode),
            spacing_mm=_image.spacing_mm(image),
            orientation=letters,
        )
        turned = self.reference.orientation not in (None, letters)
        return self.reference.for_orientation(letters) if turned else self.reference, settings, Placement()

    def _undo(self, values: torch.Tensor, record: SwapRecord) -> torch.Tensor:
        check_shape(values, record.shape)
        restored: torch.Tensor = AppliedField.from_record(record.field).remove_from(values)
        return restored
