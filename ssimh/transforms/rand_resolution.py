"""Resolution as augmentation: a random blur, from the spread of sites of PET or within a given range."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from monai.config import NdarrayOrTensor
from monai.transforms import RandomizableTransform
from monai.utils import TransformBackends

from ssimh._kernels.checks import check_clip, check_range, check_strength
from ssimh.orientation import zyx_axes
from ssimh.site.power_spectrum import FWHM_PER_SIGMA
from ssimh.site.resolution_alignment import filter_image
from ssimh.site.resolution_filter import ResolutionFilter
from ssimh.site.site_difference import as_site, site_difference
from ssimh.site.volume import LAST_THREE, check_spacing
from ssimh.transforms import _adapter
from ssimh.transforms._forms import DictionaryForm, RandomDictionaryForm

Pair = tuple[float, float]


class RandResolution(RandomizableTransform):
    """Blur an image by a random Gaussian, in plane and axially apart, so that a network sees many scanners.

    With ``sites``, two of them are drawn, and the image is blurred by a random share of what their resolutions differ
    in, as far as the scans give evidence for it. With ranges, both widths are drawn from theirs. The sum over the image
    stays, and what was not negative stays so.

    Input is a channel-first array, tensor or MetaTensor (C, spatial…) with three spatial axes, of any unit; output a
    tensor (a MetaTensor where metadata is tracked) of the same floating dtype, float32 for integers. Metadata, device
    and history are kept; every channel is a volume of its own. Not lazy, computed on the image's device. A blur cannot
    be undone, so there is no inverse. Every number is drawn from the transform's own random state, in every call, so
    that the stream does not depend on ``prob``.

    Args:
        sites: two sites of PET or more, each a :class:`ssimh.SiteSpectrum` or the path of a saved one, or None for
            ranges.
        prob: probability of a blur, 0 … 1.
        in_plane_range_mm: (lowest, highest) FWHM of the blur in plane, mm, or one number for both; None with sites.
        axial_range_mm: the same along z; None for that in plane, drawn by itself.
        axes_zyx: which axes of an image are z (head–foot), y and x. None reads them off the affine of a MetaTensor;
            without an affine, the last three.
        strength_range: with sites, (lowest, highest) share of a difference, or one number for both.
        clip: (lowest, highest) value of the result, or None.
        spacing_mm: voxel size along (z, y, x); None for what a MetaTensor states.

    Raises:
        ValueError, TypeError: settings out of range; sites of CT, or without a difference that is well supported;
            neither or both of sites and ranges; an image without spacing, or smaller than twice the width of the blur.

    >>> import numpy as np
    >>> image = np.zeros((1, 16, 16, 16), np.float32)
    >>> image[0, 8, 8, 8] = 100
    >>> augment = RandResolution(None, prob=1.0, in_plane_range_mm=(4, 8), spacing_mm=(2, 2, 2))
    >>> blurred = augment.set_random_state(seed=0)(image)
    >>> bool(blurred.max() < 30), round(float(blurred.sum()))
    (True, 100)
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012  (MONAI's own class attribute)

    def __init__(
        self,
        sites: Sequence[Any] | None,
        *,
        prob: float = 0.1,
        in_plane_range_mm: float | Sequence[float] | None = None,
        axial_range_mm: float | Sequence[float] | None = None,
        axes_zyx: Sequence[int] | None = None,
        strength_range: float | Sequence[float] = (0.0, 1.0),
        clip: tuple[float, float] | None = None,
        spacing_mm: Sequence[float] | None = None,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be within 0 … 1; given {prob!r}.")
        RandomizableTransform.__init__(self, prob)
        self.strength_range = tuple(check_strength(bound) for bound in check_range(strength_range, "strength_range"))
        self.clip = check_clip(clip)
        self.axes_zyx = None if axes_zyx is None else tuple(axes_zyx)
        self.spacing_mm = None if spacing_mm is None else check_spacing(spacing_mm)
        if (sites is None) == (in_plane_range_mm is None) or (sites is not None and axial_range_mm is not None):
            raise ValueError(
                "give either sites or in_plane_range_mm (and axial_range_mm with it); given "
                f"sites={'None' if sites is None else '…'}, in_plane_range_mm={in_plane_range_mm}, "
                f"axial_range_mm={axial_range_mm}."
            )
        self.differences_mm2 = () if sites is None else find_differences_mm2(sites)
        self.in_plane_range_mm = _check_width(in_plane_range_mm, "in_plane_range_mm")
        axial = in_plane_range_mm if axial_range_mm is None else axial_range_mm
        self.axial_range_mm = _check_width(axial, "axial_range_mm")
        self._blur_mm2: Pair = (0.0, 0.0)

    @property
    def blur_fwhm_mm(self) -> Pair:
        """Width of the last draw, in plane and axial."""
        in_plane, axial = (FWHM_PER_SIGMA * mm2**0.5 for mm2 in self._blur_mm2)
        return in_plane, axial

    def randomize(self, data: Any = None) -> None:
        """Draw whether to blur, and the widths."""
        super().randomize(data)
        if self.differences_mm2:
            in_plane, axial = self.differences_mm2[int(self.R.randint(len(self.differences_mm2)))]
            share = float(self.R.uniform(*self.strength_range))
            self._blur_mm2 = share * in_plane, share * axial
        else:
            widths = [float(self.R.uniform(*bounds)) for bounds in (self.in_plane_range_mm, self.axial_range_mm)]
            self._blur_mm2 = (widths[0] / FWHM_PER_SIGMA) ** 2, (widths[1] / FWHM_PER_SIGMA) ** 2

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> torch.Tensor:
        """Blurred or unchanged image; ``randomize=False`` repeats the last draw."""
        if randomize:
            self.randomize()
        if not self._do_transform:
            return _adapter.unchanged(img)
        image = _adapter.to_tensor(img)
        values = _adapter.plain(image)
        if values.ndim != 4:
            raise ValueError(
                f"image must be (channel, z, y, x) with three spatial axes; its shape is {tuple(values.shape)}."
            )
        letters = None if self.axes_zyx is not None else _adapter.orientation(img)
        axes = zyx_axes(letters, None)[0] if letters is not None else self.axes_zyx or LAST_THREE
        spacing_mm = _adapter.zyx_spacing_mm(img, axes, self.spacing_mm)
        if spacing_mm is None:
            raise ValueError("spacing_mm is missing; the blur is in mm, and the image states no voxel size.")
        filtering = ResolutionFilter(self._blur_mm2, check_spacing(spacing_mm))
        return _adapter.wrap(filter_image(values, filtering, axes_zyx=axes, clip=self.clip, is_suv=False), image)


def find_differences_mm2(sites: Sequence[Any]) -> tuple[Pair, ...]:
    """Differences of σ² in plane and axial, one for each pair of sites that differ.

    Args:
        sites: of PET, or paths of saved ones.

    Raises:
        ValueError: fewer than two, sites of CT, or none that differ as far as their scans tell.
        TypeError: something else than a site or a path.
    """
    if isinstance(sites, str) or len(sites) < 2:
        raise ValueError(f"sites must be a sequence of two sites or more; given {sites!r}.")
    loaded = [as_site(site, f"sites[{number}]") for number, site in enumerate(sites)]
    found = []
    for one, other in combinations(loaded, 2):
        resolution = site_difference(one, other).resolution
        if resolution is None:
            raise ValueError("sites must be of PET; CT has no resolution to draw from.")
        in_plane, axial = (abs(value) for value in resolution.applied_mm2)
        if in_plane or axial:
            found.append((in_plane, axial))
    if not found:
        raise ValueError(
            f"the {len(loaded)} sites are alike in resolution as far as their scans tell; give in_plane_range_mm."
        )
    return tuple(found)


def _check_width(given: float | Sequence[float] | None, name: str) -> Pair:
    """(lowest, highest) width, mm.

    Raises:
        ValueError: below 0, or not in this order.
    """
    low, high = check_range(0.0 if given is None else given, name)
    if not 0 <= low <= high < float("inf"):
        raise ValueError(f"{name} must be 0 mm or more; given {given!r}.")
    return float(low), float(high)


class RandResolutiond(RandomDictionaryForm, DictionaryForm, array=RandResolution):
    """Dictionary form of :class:`RandResolution`, one draw for all keys: its arguments after ``keys``.

    Args:
        keys: keys of the images.
        allow_missing_keys: skip keys that a sample lacks.
    """


RandResolutionD = RandResolutionDict = RandResolutiond
