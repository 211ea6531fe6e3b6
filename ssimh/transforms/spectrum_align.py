"""Site-aware alignment as MONAI transforms: array and dictionary form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.config import NdarrayOrTensor
from monai.utils import TransformBackends

from ssimh._kernels.arrays import to_numpy
from ssimh._kernels.boolean import as_boolean
from ssimh._kernels.checks import check_clip, check_strength
from ssimh.orientation import zyx_axes
from ssimh.site.alignment import (
    PARTS,
    apply_difference,
    check_parts,
    check_unit,
    has_part,
    is_invertible,
    move_by_field,
)
from ssimh.site.difference_field import DifferenceField
from ssimh.site.resolution_filter import check_sharpening
from ssimh.site.site_difference import SiteDifference, as_site, check_space, site_difference
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.site.volume import LAST_THREE
from ssimh.transforms import _adapter
from ssimh.transforms._forms import InvertibleArrayTransform, InvertibleDictionaryForm


class SpectrumAlign(InvertibleArrayTransform):
    """Move an image by what its site differs in from a target site; see :func:`ssimh.align_spectrum`.

    Input is a channel-first array, tensor or MetaTensor (C, spatial…) of CT in HU or PET in SUV, as the sites are, with
    three spatial axes; output a tensor (a MetaTensor where metadata is tracked) of the same floating dtype, float32 for
    integers. Metadata, device and history are kept; every channel is a volume of its own. Deterministic, not lazy,
    computed on the image's device; only a fit of the scan itself, for one-to-one, runs on the host. The inverse of CT
    is exact to rounding for every voxel that ``clip`` has not cut. The resolution of PET and the grain of CT cannot be
    restored: their inverse is an error.

    Args:
        source: site that the images come from, a :class:`ssimh.SiteSpectrum` or the path of a saved one; None if it
            is given with every call, or, without one there, for one-to-one: the scan itself is its site.
        target: site that the results look like, in the same forms; None if it is given with every call.
        space: ``"log"``: a factor on HU + 1000; ``"linear"``: an offset in HU.
        shrink: weigh the difference by its evidence.
        parts, allow_sharpening: as in :func:`ssimh.align_spectrum`.
        axes_zyx: which axes of an image are z (head–foot), y and x. None reads them off the affine of a MetaTensor,
            turned to the directions that the sites state if they state any; without an affine, the last three.
        mask: boolean array or 0/1 integers, of the images' shape or without the channel axis, in place of the body.
        strength: 0 … 1, share of the way.
        clip: (lowest, highest) value of the result, or None.
        spacing_mm: voxel size along (z, y, x), which PET and grain need; None for what a MetaTensor states.
        unit: intensity unit of the images; None for what their metadata states. Anything but HU (CT) or SUV (PET) is
            refused.

    Raises:
        ValueError, TypeError: settings out of range, sites that do not fit each other, or an image that does not fit.

    >>> import numpy as np
    >>> scan = np.full((1, 12, 24, 24), -1000.0)
    >>> scan[..., 4:20, 4:20] = -100
    >>> scan[..., 7:17, 7:17] = 40
    >>> brighter = np.where(scan > -500, scan * 1.04 + 40, scan)
    >>> align = SpectrumAlign(SiteSpectrum.fit(brighter), SiteSpectrum.fit(scan))
    >>> aligned = align(brighter)
    >>> bool(abs(aligned - scan).max() < abs(aligned - brighter).max())
    True
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(
        self,
        source: Any,
        target: Any,
        *,
        space: str = "log",
        shrink: bool = True,
        parts: Sequence[str] = PARTS,
        allow_sharpening: float | None = None,
        axes_zyx: Sequence[int] | None = None,
        mask: Any = None,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        spacing_mm: Sequence[float] | None = None,
        unit: str | None = None,
    ) -> None:
        check_space(space)
        self.parts, self.allow_sharpening, self.spacing_mm = parts, allow_sharpening, spacing_mm
        self.strength, self.clip, self.unit = check_strength(strength), check_clip(clip), unit
        self.source = None if source is None else as_site(source, "source")
        self.target = None if target is None else as_site(target, "target")
        self.space, self.shrink, self.mask = space, shrink, mask
        self.axes_zyx = None if axes_zyx is None else tuple(axes_zyx)
        known = self.target or self.source
        modality = "CT" if known is None else known.modality
        check_unit(unit, modality)
        check_parts(parts, modality)
        check_sharpening(allow_sharpening, "PT" if known is None else modality)
        self.difference: SiteDifference | None = None
        if self.source is not None and self.target is not None:
            self.difference = site_difference(self.source, self.target, space=space, shrink=shrink)

    def __call__(
        self, img: NdarrayOrTensor, source: Any = None, target: Any = None, *, mask: Any = None
    ) -> torch.Tensor:
        """Aligned image; what is given takes the place of the constructor's for this call."""
        image = _adapter.to_tensor(img)
        plain = _adapter.plain(image)
        if plain.ndim != 4:
            raise ValueError(
                f"image must be (channel, z, y, x) with three spatial axes; its shape is {tuple(plain.shape)}."
            )
        first = self.source if source is None else as_site(source, "source")
        second = self.target if target is None else as_site(target, "target")
        if second is None:
            raise ValueError("SpectrumAlign: no target, neither in the constructor nor with the call.")
        unit = _adapter.unit(image, self.unit)
        check_unit(unit, second.modality)
        axes, flips = self._directions(img, second.orientation or (None if first is None else first.orientation))
        inside = self.mask if mask is None else mask
        if inside is not None:
            inside = _flip(_mask(inside, plain), flips)
        volume, spacing_mm = _flip(plain, flips), _adapter.zyx_spacing_mm(img, axes, self.spacing_mm)
        difference = self.difference
        if difference is None or source is not None or target is not None:
            difference = self._difference(volume, first, second, inside, axes, spacing_mm)
        out = apply_difference(
            volume,
            difference,
            parts=self.parts,
            allow_sharpening=self.allow_sharpening,
            axes_zyx=axes,
            mask=inside,
            strength=self.strength,
            clip=self.clip,
            spacing_mm=spacing_mm,
            unit=unit,
        )
        result = _adapter.wrap(_flip(out, flips), image)
        self.push_transform(result, extra_info=_record(difference, self.parts, axes, flips, inside))
        return result

    def _difference(
        self,
        volume: torch.Tensor,
        source: SiteSpectrum | None,
        target: SiteSpectrum,
        mask: Any,
        axes: tuple[int, ...],
        spacing_mm: tuple[float, ...] | None,
    ) -> SiteDifference:
        if source is None:
            source = SiteSpectrum.fit(
                volume,
                axes_zyx=axes,
                tissue_window_hu=target.tissue_window_hu,
                body_threshold_hu=target.body_threshold_hu,
                masks=mask,
                spacing_mm=spacing_mm if target.modality == "PT" or has_part(self.parts, "grain") else None,
                orientation=target.orientation,
                modality=target.modality,
            )
        return site_difference(source, target, space=self.space, shrink=self.shrink)

    def _directions(self, img: Any, wanted: str | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Axes of the image that are z, y, x, and those to flip so that they run as the sites' do."""
        letters = None if self.axes_zyx is not None else _adapter.orientation(img)
        if letters is None:
            return self.axes_zyx or LAST_THREE, ()
        return zyx_axes(letters, wanted)

    def _undo(self, values: torch.Tensor, record: Mapping[str, Any]) -> torch.Tensor:
        """Move the other way by the difference that was applied.

        Raises:
            ValueError: a PET or a CT that was filtered.
        """
        if not bool(record["invertible"]):
            kind = "PET" if record["modality"] == "PT" else "CT"
            raise ValueError(f"the image is a {kind} that was filtered; what a filter took is lost.")
        flips = tuple(int(axis) for axis in record["flips"])
        low, high = (float(hu) for hu in record["tissue_window_hu"])
        field = DifferenceField(
            to_numpy(record["coefficients"]), self.space, (low, high), float(record["body_threshold_hu"])
        )
        restored = move_by_field(
            _flip(values, flips),
            field,
            -self.strength if bool(record["field"]) else 0.0,
            axes_zyx=[int(axis) for axis in record["axes"]],
            mask=record.get("mask"),
        )
        return _flip(restored, flips)


def _mask(given: Any, image: torch.Tensor) -> torch.Tensor:
    """The mask as booleans of the image's shape; a tensor stays where it is, and the channels may be left out.

    Raises:
        TypeError: neither boolean nor integer.
        ValueError: another shape, or integers other than 0 and 1.
    """
    mask = as_boolean(_adapter.plain(given) if isinstance(given, torch.Tensor) else given, "mask")
    shape = tuple(image.shape)
    if tuple(mask.shape) not in (shape, shape[1:], (1, *shape[1:])):
        raise ValueError(f"mask must have the image's shape {shape}; its shape is {tuple(mask.shape)}.")
    return torch.as_tensor(mask).expand(shape)


def _flip(values: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    return torch.flip(values, axes) if axes else values


def _record(
    difference: SiteDifference, parts: Sequence[str], axes: tuple[int, ...], flips: tuple[int, ...], mask: Any
) -> dict[str, Any]:
    """What the inverse needs, as tensors and lists that MONAI can collate."""
    record = {
        "coefficients": torch.from_numpy(difference.coefficients.copy()),
        "tissue_window_hu": list(difference.tissue_window_hu),
        "body_threshold_hu": difference.body_threshold_hu,
        "axes": list(axes),
        "flips": list(flips),
        "shrinkage": difference.shrinkage,
        "modality": difference.modality,
        "invertible": is_invertible(difference, parts),
        "field": difference.modality == "CT" and has_part(parts, "field"),
    }
    if mask is not None:
        record["mask"] = mask.clone()
    return record


class SpectrumAlignd(InvertibleDictionaryForm, array=SpectrumAlign):
    """Dictionary form of :class:`SpectrumAlign`: its arguments between ``keys`` and ``allow_missing_keys``.

    ``source``, ``target`` and ``mask`` may be :class:`FromSample`, to travel with the sample.

    Args:
        keys: keys of the images.
        allow_missing_keys: skip keys that a sample lacks.
    """


SpectrumAlignD = SpectrumAlignDict = SpectrumAlignd
