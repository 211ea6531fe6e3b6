"""Site-aware alignment as MONAI transforms: array and dictionary form."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys, TransformBackends

from ssimh._kernels.arrays import to_numpy
from ssimh.orientation import orientation_map
from ssimh.site.alignment import SiteDifference, apply_difference, as_site, check_settings, site_difference
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.transforms import _adapter
from ssimh.transforms.spectrum_swap import shallow_copy

_ZYX = (-3, -2, -1)


class SpectrumAlign(InvertibleTransform):
    """Move an image by what its site differs in from a target site; see :func:`ssimh.align_spectrum`.

    Input is a channel-first array, tensor or MetaTensor (C, spatial…) of CT in HU with three spatial axes, output a
    tensor (a MetaTensor where metadata is tracked) of the same floating dtype, float32 for integers; metadata, device
    and history are kept; every channel is a volume of its own. Deterministic, not lazy, computed on the host. The
    inverse is exact to rounding for every voxel that ``clip`` has not cut.

    Args:
        source: site that the images come from, a :class:`ssimh.SiteSpectrum` or the path of a saved one; None if it
            is given with every call, or, without one there, for one-to-one: the scan itself is its site.
        target: site that they shall look like, in the same forms.
        space: ``"log"`` or ``"linear"``.
        shrink: weigh the difference by its evidence.
        strength: 0 … 1, share of the way.
        clip: (lowest, highest) HU of the result, or None.
        axes: which axes of an image are z (head–foot), y and x. None reads them off the affine of a MetaTensor, turned
            to the directions that the sites state if they state any; (-3, -2, -1) without an affine.
        unit: intensity unit of the images; None for what their metadata states. Anything but HU is refused.

    Raises:
        ValueError, TypeError: settings out of range, sites that do not fit each other, or an image that does not fit.

    >>> scan = np.full((1, 12, 24, 24), -1000.0)
    >>> scan[..., 4:20, 4:20] = -100
    >>> scan[..., 7:17, 7:17] = 40
    >>> brighter = np.where(scan > -500, scan * 1.04 + 40, scan)
    >>> align = SpectrumAlign(SiteSpectrum.fit(brighter), SiteSpectrum.fit(scan))
    >>> aligned = align(brighter)
    >>> bool(abs(aligned - scan).max() < abs(aligned - brighter).max())
    True
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(
        self,
        source: Any = None,
        target: Any = None,
        space: str = "log",
        shrink: bool = True,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        axes: Sequence[int] | None = None,
        unit: str | None = None,
    ) -> None:
        if target is None:
            raise ValueError("SpectrumAlign: no target; give a SiteSpectrum or the path of a saved one.")
        check_settings(strength, clip, unit)
        self.source = None if source is None else as_site(source, "source")
        self.target = as_site(target, "target")
        self.space, self.shrink, self.strength, self.unit = space, shrink, strength, unit
        self.clip = None if clip is None else (float(clip[0]), float(clip[1]))
        self.axes = None if axes is None else tuple(axes)
        self.difference = site_difference(self.source or self.target, self.target, space=space, shrink=shrink)

    def __call__(self, img: NdarrayOrTensor, source: Any = None, mask: Any = None) -> torch.Tensor:
        """Aligned image; ``source`` takes the place of the constructor's, ``mask`` that of the body found."""
        image = _adapter.to_tensor(img)
        plain = _adapter.plain(image)
        if plain.ndim != 4:
            raise ValueError(f"image must be (channel, z, y, x) with three spatial axes; its shape is {plain.shape}.")
        letters = self.target.orientation or (None if self.source is None else self.source.orientation)
        axes, flips = self._directions(img, letters)
        volume = torch.flip(plain, flips) if flips else plain
        inside = None if mask is None else to_numpy(mask).astype(bool)
        if inside is not None:
            inside = np.flip(np.broadcast_to(inside, plain.shape), flips)
        difference = self._difference(volume, source, inside, axes)
        out = apply_difference(
            volume,
            difference,
            strength=self.strength,
            mask=inside,
            clip=self.clip,
            axes=axes,
            unit=_adapter.unit(image, self.unit),
        )
        result = _adapter.wrap(torch.flip(out, flips) if flips else out, image)
        extra = {
            "coefficients": torch.from_numpy(difference.coefficients.copy()),
            "axes": list(axes),
            "flips": list(flips),
            "shrinkage": difference.shrinkage,
        }
        if inside is not None:
            extra["mask"] = torch.from_numpy(inside.copy())
        self.push_transform(result, extra_info=extra)
        return result

    def _difference(self, volume: torch.Tensor, source: Any, mask: Any, axes: tuple[int, ...]) -> SiteDifference:
        if source is None and self.source is not None:
            return self.difference
        if source is None:
            source = SiteSpectrum.fit(
                volume,
                masks=mask,
                axes=axes,
                tissue=self.target.tissue,
                threshold=self.target.threshold,
                orientation=self.target.orientation,
            )
        return site_difference(source, self.target, space=self.space, shrink=self.shrink)

    def _directions(self, img: Any, wanted: str | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Axes of the image that are z, y, x, and those to flip so that they run as the sites' do."""
        letters = None if self.axes is not None else _adapter.orientation(img)
        if letters is None:
            return self.axes or _ZYX, ()
        order = tuple(next(n for n, letter in enumerate(letters) if letter in pair) - 3 for pair in ("SI", "AP", "RL"))
        if wanted is None:
            return order, ()
        sources, flipped = orientation_map(letters, wanted)
        return tuple(axis - 3 for axis in sources), tuple(
            axis - 3 for axis, flip in zip(sources, flipped, strict=True) if flip
        )

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Image as it was before the alignment, where nothing was clipped."""
        if not isinstance(data, MetaTensor):
            raise TypeError(f"inverse needs the MetaTensor that carries the record; given {type(data).__name__}.")
        copy = shallow_copy(data)
        record = self.pop_transform(copy)
        if not record[TraceKeys.DO_TRANSFORM]:
            return copy
        extra = record[TraceKeys.EXTRA_INFO]
        flips = [int(axis) for axis in extra["flips"]]
        values = _adapter.plain(copy)
        mask = extra.get("mask")
        restored = apply_difference(
            torch.flip(values, flips) if flips else values,
            self.difference.with_coefficients(to_numpy(extra["coefficients"])),
            strength=-self.strength,
            mask=None if mask is None else to_numpy(mask),
            axes=[int(axis) for axis in extra["axes"]],
        )
        return _adapter.wrap(torch.flip(restored, flips) if flips else restored, copy)


class SpectrumAlignd(MapTransform, InvertibleTransform):
    """Dictionary form of :class:`SpectrumAlign`.

    Args:
        keys: keys of the images.
        source, target, space, shrink, strength, clip, axes, unit: as in :class:`SpectrumAlign`.
        source_key: key of the site that an image comes from and that travels with the sample.
        mask_key: key of a mask of the image's shape, in place of the body found.
        allow_missing_keys: skip keys that a sample lacks.
    """

    backend = SpectrumAlign.backend

    def __init__(
        self,
        keys: KeysCollection,
        source: Any = None,
        target: Any = None,
        space: str = "log",
        shrink: bool = True,
        strength: float = 1.0,
        clip: tuple[float, float] | None = None,
        axes: Sequence[int] | None = None,
        unit: str | None = None,
        source_key: str | None = None,
        mask_key: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if source is not None and source_key is not None:
            raise ValueError(f"give at most one of source and source_key; given both, {source_key=}.")
        self.source_key, self.mask_key = source_key, mask_key
        self.transform = SpectrumAlign(source, target, space, shrink, strength, clip, axes, unit)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary; the images under ``keys`` are aligned, everything else is the same."""
        result = dict(data)
        source = _adapter.get_from_sample(result, self.source_key, "source_key")
        mask = _adapter.get_from_sample(result, self.mask_key, "mask_key")
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key], source, mask)
        return result

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary with the images as they were before the alignment."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform.inverse(result[key])
        return result


SpectrumAlignD = SpectrumAlignDict = SpectrumAlignd
