"""Site-aware alignment as a TorchIO transform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchio as tio
from numpy.typing import NDArray

from ssimh._kernels.arrays import to_numpy
from ssimh._kernels.checks import check_clip, check_strength
from ssimh._kernels.inside import find_inside
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
from ssimh.site.site_difference import SiteDifference, check_space, site_difference
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.torchio import _image
from ssimh.torchio._recorded import Record, RecordedTransform, check_shape
from ssimh.torchio._references import as_site


@dataclass(frozen=True, eq=False)
class AlignRecord:
    """What undoes the alignment of one image.

    Args:
        field: that the image was moved along.
        strength: share of the way; 0 where the field had no part.
        axes: those that are z, y, x, counted from the end.
        flips: those that run against the sites' directions.
        mask: (C, x, y, z), flipped, or None.
        shape: of the image.
        modality: ``"CT"`` or ``"PT"``.
        invertible: whether nothing was filtered.
    """

    field: DifferenceField
    strength: float
    axes: tuple[int, ...]
    flips: tuple[int, ...]
    mask: NDArray[np.bool_] | None
    shape: tuple[int, ...]
    modality: str
    invertible: bool


class SpectrumAlign(RecordedTransform[AlignRecord]):
    """Move the scalar images by what their site differs in from a target site; see :func:`ssimh.align_spectrum`.

    The images are CT in HU or PET in SUV, as the sites are, with three dimensions; every channel is a volume of its
    own. A PET is blurred where its site is the sharper, and so is the grain of a CT where it is asked for, which cannot
    be undone. The directions are read off the affine and turned to those of the sites. Floating dtypes stay, integers
    become float32. Replay and inverse of CT are as in :class:`SpectrumSwap`.

    Args:
        source: site that the images come from: a :class:`ssimh.SiteSpectrum`; the path of a saved one (.npz); or the
            path of an image, which is a site of one scan. None for one-to-one: the scan itself is its site.
        target: site that the results look like, in the same forms.
        space: ``"log"``: a factor on HU + 1000; ``"linear"``: an offset in HU.
        shrink: weigh the difference by its evidence.
        parts, allow_sharpening: as in :func:`ssimh.align_spectrum`.
        mask: name of a label map in the subject, or an array of the images' shape or spatial shape; boolean or 0 and 1
            (label maps: 0 is outside). In place of the body found.
        strength: 0 … 1, share of the way.
        clip: (lowest, highest) value of the result, or None.
        spacing_mm: voxel size along (z, y, x); None for what the images state.
        unit: intensity unit of the images; None for what they state. Anything but HU (CT) or SUV (PET) is refused.
        record: what the history has recorded; not for new transforms.
        kwargs: ``p``, ``copy``, ``include``, ``exclude``, ``keep``, ``label_keys`` of
            ``torchio.transforms.Transform``.

    Raises:
        ValueError, TypeError: settings out of range, sites that do not fit each other, or an image that does not fit.
        KeyError: ``include`` or ``mask`` names what the subject does not have.
    """

    def __init__(
        self,
        source: Any,
        target: Any,
        *,
        space: str = "log",
        shrink: bool = True,
        parts: Sequence[str] = PARTS,
        allow_sharpening: float | None = None,
        mask: Any = None,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        spacing_mm: Sequence[float] | None = None,
        unit: str | None = None,
        record: Record[AlignRecord] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(record, **kwargs)
        check_space(space)
        self.source = None if source is None else as_site(source, "source")
        self.target = as_site(target, "target")
        check_unit(unit, self.target.modality)
        check_parts(parts, self.target.modality)
        check_sharpening(allow_sharpening, self.target.modality)
        self.parts, self.allow_sharpening, self.spacing_mm = parts, allow_sharpening, spacing_mm
        self.space, self.shrink, self.mask, self.unit = space, shrink, mask, unit
        self.strength, self.clip = check_strength(strength), check_clip(clip)
        self._difference = None if self.source is None else self._differ(self.source)
        self.args_names = ["source", "target", "space", "shrink", "parts", "allow_sharpening", "mask", "strength"]
        self.args_names += ["clip", "spacing_mm", "unit"]

    def _differ(self, source: SiteSpectrum) -> SiteDifference:
        return site_difference(source, self.target, space=self.space, shrink=self.shrink)

    def _apply(self, image: tio.ScalarImage, subject: tio.Subject) -> tuple[torch.Tensor, AlignRecord]:
        unit = _image.unit(image, self.unit)
        check_unit(unit, self.target.modality)
        wanted = self.target.orientation or (None if self.source is None else self.source.orientation)
        axes, flips = zyx_axes(_image.orientation(image), wanted)
        inside = self._inside(image, subject)
        if inside is not None:
            inside = np.flip(inside, flips)
        volume = torch.flip(image.data, flips)
        spacing_mm = tuple(self.spacing_mm or (image.spacing[axis] for axis in axes))
        difference = self._difference or self._differ(self._fit(volume, axes, inside, spacing_mm))
        moved = apply_difference(
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
        field = DifferenceField(
            difference.coefficients, difference.space, difference.tissue_window_hu, difference.body_threshold_hu
        )
        modality, shape = difference.modality, tuple(moved.shape)
        strength = self.strength if has_part(self.parts, "field") else 0.0
        invertible = is_invertible(difference, self.parts)
        record = AlignRecord(field, strength, axes, flips, inside, shape, modality, invertible)
        return torch.flip(moved, flips), record

    def _inside(self, image: tio.ScalarImage, subject: tio.Subject) -> NDArray[np.bool_] | None:
        """The mask of an image, of its shape."""
        mask = _image.find_mask(self.mask, image, subject)
        if mask is None:
            return None
        inside = to_numpy(find_inside(image.data, mask, None))
        return np.broadcast_to(inside, tuple(image.data.shape))

    def _fit(
        self,
        volume: torch.Tensor,
        axes: tuple[int, ...],
        mask: NDArray[np.bool_] | None,
        spacing_mm: tuple[float, ...],
    ) -> SiteSpectrum:
        """The site of one scan, fitted as the target was."""
        return SiteSpectrum.fit(
            volume,
            axes_zyx=axes,
            tissue_window_hu=self.target.tissue_window_hu,
            body_threshold_hu=self.target.body_threshold_hu,
            masks=mask,
            spacing_mm=spacing_mm if self.target.modality == "PT" or has_part(self.parts, "grain") else None,
            orientation=self.target.orientation,
            modality=self.target.modality,
        )

    def _undo(self, values: torch.Tensor, record: AlignRecord) -> torch.Tensor:
        check_shape(values, record.shape)
        if not record.invertible:
            kind = "PET" if record.modality == "PT" else "CT"
            raise ValueError(f"the image is a {kind} that was filtered; what a filter took is lost.")
        moved = move_by_field(
            torch.flip(values, record.flips), record.field, -record.strength, axes_zyx=record.axes, mask=record.mask
        )
        return torch.flip(moved, record.flips)
