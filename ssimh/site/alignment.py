"""Site-aware alignment: an image changes by the difference between two sites, supported by tissue."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import ArrayT, check_array, check_finite, is_tensor, output_dtype, to_numpy
from ssimh._kernels.checks import check_clip, check_mask, check_strength
from ssimh._kernels.dispatch import kernel_for
from ssimh.site.body import body_box
from ssimh.site.difference_field import DifferenceField
from ssimh.site.field import FRAMES, FieldOnGrid, grid_to_body, sampling_points
from ssimh.site.flow import apply_flow
from ssimh.site.mixture import SPACES
from ssimh.site.scan_checks import EMPTY_MASK, check_tissue, check_without_air
from ssimh.site.shrinkage import posterior_difference, spread
from ssimh.site.site_spectrum import LAST_THREE, SiteSpectrum, find_body, to_zyx
from ssimh.units import refuse_pet

_LOG = logging.getLogger("ssimh")


@dataclass(frozen=True, eq=False)
class SiteDifference(DifferenceField):
    """Result of :func:`site_difference`: how one site differs from another, and how sure that is.

    Args:
        coefficients, space, tissue_window_hu, body_threshold_hu: as in :class:`DifferenceField`.
        raw: (10,) difference of the mean fields in body coordinates, before shrinkage.
        grid_frame_probability: probability that the difference lives with the grid and not with the body; 0 without
            shrinkage.
        raw_hu: root mean square of the raw difference over the body, HU at 0 HU.
        applied_hu: the same of what is applied.
        error_hu: standard error of the raw difference, HU: the spread between subjects, over their number.
        n_subjects: number of subjects of the source and of the target.
    """

    raw: NDArray[np.float64]
    grid_frame_probability: float
    raw_hu: float
    applied_hu: float
    error_hu: float
    n_subjects: tuple[int, int]

    @property
    def shrinkage(self) -> float:
        """Share of the raw difference that shrinkage has held back, 0 … 1."""
        return max(0.0, 1 - self.applied_hu / self.raw_hu) if self.raw_hu > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"{self.n_subjects[0]} against {self.n_subjects[1]} subject(s): sites differ by {self.raw_hu:.1f} ± "
            f"{self.error_hu:.1f} HU, {self.applied_hu:.1f} HU applied, {self.shrinkage:.0%} held back"
        )


def site_difference(source: Any, target: Any, *, space: str = "log", shrink: bool = True) -> SiteDifference:
    """What the source site adds to its images in comparison with the target site.

    Args:
        source: :class:`SiteSpectrum` or the path of a saved one.
        target: the same.
        space: ``"log"``: a factor on HU + 1000, as gain, cupping and drift are; ``"linear"``: an offset in HU.
        shrink: weigh the difference by its evidence against the spread between subjects (empirical Bayes), choosing
            strength, degree and frame; without it, the plain difference of the mean fields in body coordinates.

    Raises:
        TypeError: neither a site nor a path.
        ValueError: sites fitted with another window, threshold or orientation; an unknown space.
        ReferenceFileError: a path that leads to something else than a site.

    >>> scan = np.full((12, 24, 24), -1000.0)
    >>> scan[:, 4:20, 4:20] = -100
    >>> scan[:, 7:17, 7:17] = 40
    >>> site = SiteSpectrum.fit([scan] * 3)
    >>> print(site_difference(site, site))
    3 against 3 subject(s): sites differ by 0.0 ± 9.9 HU, 0.0 HU applied, 0% held back
    """
    first, second = as_site(source, "source"), as_site(target, "target")
    first.check_comparable(second)
    check_space(space)
    # Both directions are computed as one, so that they cancel to the last bit.
    sign = 1.0
    if first.content_hash > second.content_hash:
        first, second, sign = second, first, -1.0
    one, other = first.coefficients(space), second.coefficients(space)
    raw = one.mean(axis=0) - other.mean(axis=0)
    coefficients, likely = np.stack([raw, np.zeros_like(raw)]), np.array([1.0, 0.0])
    if shrink:
        coefficients, likely = posterior_difference(one, other, first.boxes, second.boxes)
    if first == second:
        coefficients = np.zeros_like(coefficients)
    boxes = np.concatenate([first.boxes, second.boxes])
    to_body = np.mean([grid_to_body(box) for box in boxes], axis=0)
    _, terms, _ = sampling_points()
    noise = spread([one, other]) * (1 / len(one) + 1 / len(other))
    sizes = (first.n_subjects, second.n_subjects)
    difference = SiteDifference(
        coefficients=sign * coefficients,
        raw=sign * raw,
        space=space,
        tissue_window_hu=first.tissue_window_hu,
        body_threshold_hu=first.body_threshold_hu,
        grid_frame_probability=float(likely[FRAMES.index("grid")]),
        raw_hu=_rms_hu(terms @ raw),
        applied_hu=_rms_hu(terms @ (coefficients[0] + to_body @ coefficients[1])),
        error_hu=1000 * float(np.sqrt(np.mean(np.sum((terms @ noise) * terms, axis=1)))),
        n_subjects=sizes if sign > 0 else sizes[::-1],
    )
    _LOG.info("site difference: %s", difference)
    return difference


def align_spectrum(
    image: ArrayT,
    source: Any,
    target: Any,
    *,
    space: str = "log",
    shrink: bool = True,
    axes_zyx: Sequence[int] | None = None,
    mask: Any = None,
    strength: float = 1.0,
    clip: tuple[float, float] | None = None,
    unit: str | None = None,
) -> ArrayT:
    r"""Move an image of the source site to where the target site is.

    The difference of the two sites (:func:`site_difference`) is a smooth field :math:`d` on a few cosines of low
    degree; inside the body :math:`\mathrm{HU}' + 1000 = (\mathrm{HU} + 1000)\,e^{-d}` (``"log"``) or
    :math:`\mathrm{HU}' = \mathrm{HU} - 1000\,d` (``"linear"``). Voxels up to 10 HU above the body threshold of -500 HU
    (air, background) and from 3000 HU (metal) keep their value; over the next 100 HU, and between 2000 and 3000 HU,
    the move sets in and fades out in such a way that the same function with source and target exchanged undoes it
    exactly where nothing was clipped. The tissue model is the bias-field model of unified segmentation (Ashburner &
    Friston 2005, doi 10.1016/j.neuroimage.2005.02.018), the shrinkage ComBat's (doi 10.1093/biostatistics/kxj037).

    One scan against a target is ``align_spectrum(scan, SiteSpectrum.fit([scan]), target)``.

    Args:
        image: NumPy array or torch tensor of CT in HU with three axes; leading batch axes are further images. Never
            modified.
        source: site that the image comes from: a :class:`SiteSpectrum` or the path of a saved one.
        target: site that the result looks like, in the same forms.
        space, shrink: as in :func:`site_difference`.
        axes_zyx: which axes of the image are z (head–foot), y and x; None for the last three in this order.
        mask: boolean array or 0/1 integers of the image's shape, in place of the body above the threshold that the
            sites were fitted with. An image without a voxel of air counts as body throughout.
        strength: 0 … 1, share of the way.
        clip: (lowest, highest) HU of the result, or None.
        unit: intensity unit of the image, if known; anything but HU is refused.

    Returns:
        Array of the input's kind, shape and device; floating dtypes stay, integers become float32. Tensors on a
        device are computed there and equal the host's result to rounding; they carry no gradient.

    Raises:
        TypeError: neither array nor tensor, boolean or complex values; sites that are none.
        ValueError: sites fitted with another window, threshold or orientation; fewer than three axes; NaN or infinite
            values; no body, or almost none of it in the tissue window; another unit than HU; settings out of range.

    >>> scan = np.full((12, 24, 24), -1000.0)
    >>> scan[:, 4:20, 4:20] = -100
    >>> scan[:, 7:17, 7:17] = 40
    >>> brighter = np.where(scan > -500, scan * 1.04 + 40, scan)
    >>> here, there = SiteSpectrum.fit([brighter] * 9), SiteSpectrum.fit([scan] * 9)
    >>> aligned = align_spectrum(brighter, here, there)
    >>> bool(np.abs(aligned - scan).max() < 3), bool((aligned[scan < -500] == -1000).all())
    (True, True)
    >>> np.allclose(align_spectrum(aligned, there, here), brighter)
    True
    """
    difference = site_difference(source, target, space=space, shrink=shrink)
    return apply_difference(image, difference, axes_zyx=axes_zyx, mask=mask, strength=strength, clip=clip, unit=unit)


def apply_difference(
    image: ArrayT,
    difference: SiteDifference,
    *,
    axes_zyx: Sequence[int] | None = None,
    mask: Any = None,
    strength: float = 1.0,
    clip: tuple[float, float] | None = None,
    unit: str | None = None,
) -> ArrayT:
    """As :func:`align_spectrum`, with a difference that is already known; arguments and errors are the same."""
    share, limits = check_strength(strength), check_clip(clip)
    check_unit(unit)
    return move_by_field(image, difference, share, axes_zyx=axes_zyx, mask=mask, clip=limits)


def move_by_field(
    image: ArrayT,
    field: DifferenceField,
    strength: float,
    *,
    axes_zyx: Sequence[int] | None = None,
    mask: Any = None,
    clip: tuple[float, float] | None = None,
) -> ArrayT:
    """:func:`apply_difference` for settings that have been checked; a negative strength moves the other way.

    Args:
        image: as in :func:`align_spectrum`.
        field: what to move along.
        strength: -1 … 1, share of the way.
        axes_zyx, mask, clip: as in :func:`align_spectrum`.
    """
    check_array(image, "image")
    axes = LAST_THREE if axes_zyx is None else tuple(axes_zyx)
    if image.ndim < 3:
        raise ValueError(f"image must have three axes or more, (…, z, y, x); its shape is {tuple(image.shape)}.")
    if is_tensor(image) and image.device.type != "cpu":
        from ssimh.site.torch_alignment import move_by_field as move_tensor

        moved: Any = move_tensor(image, field, strength, axes_zyx=axes, mask=mask, clip=clip)
        return cast(ArrayT, moved)
    values = to_numpy(image)
    check_finite(values, "image")
    masks = None if mask is None else check_mask(mask, values.shape)
    result = values.astype(output_dtype(values.dtype), copy=True)
    for index in np.ndindex(values.shape[:-3]):
        part = to_zyx(result[index], axes, "image")
        body = None if masks is None else to_zyx(masks[index], axes, "mask")
        _align_volume(part, body, field, strength)
    if clip is not None:
        np.clip(result, *clip, out=result)
    return cast(ArrayT, kernel_for(image).from_host(result, image))


def check_space(space: str) -> None:
    """Refuse an unknown space.

    Raises:
        ValueError: neither ``"log"`` nor ``"linear"``.
    """
    if space not in SPACES:
        raise ValueError(f"space must be one of {', '.join(SPACES)}; given {space!r}.")


def check_unit(unit: str | None) -> None:
    """Refuse an image that states another unit than HU.

    Raises:
        ValueError: PET, or any other unit.
    """
    refuse_pet(unit, "the image", False)
    if unit is not None and unit.strip().lower() not in ("hu", "hounsfield", "hounsfield units"):
        raise ValueError(f"the image has unit {unit!r}; alignment is defined for CT in HU.")


def _align_volume(values: NDArray[Any], mask: Any, field: DifferenceField, strength: float) -> None:
    """Move the values of one (z, y, x) volume in place, slice by slice."""
    threshold, window = field.body_threshold_hu, field.tissue_window_hu
    body = find_body(values, threshold) if mask is None else mask
    if not body.any():
        raise ValueError(EMPTY_MASK)
    if mask is None and values.min() > threshold:
        low, high = np.percentile(values, (1, 99))
        check_without_air(values.min(), float(np.mean(values == values.min())), low, high, threshold)
    tissue = (values >= window[0] - 150) & (values <= window[1] + 150) & body
    check_tissue(int(np.count_nonzero(tissue)), int(np.count_nonzero(body & (values > threshold))), window)
    on_grid = FieldOnGrid(field.coefficients, values.shape, body_box(body))
    for z in range(len(values)):
        inside = body[z] & (values[z] > threshold)
        before = values[z][inside].astype(np.float64)
        shift = -strength * on_grid.slice(z)[inside]
        values[z][inside] = apply_flow(before, shift, field.space, threshold)


def as_site(site: Any, name: str) -> SiteSpectrum:
    """The site, loaded if its path was given.

    Raises:
        TypeError: neither.
        ReferenceFileError: a path that leads to something else.
    """
    if isinstance(site, str | os.PathLike):
        return SiteSpectrum.load(site)
    if not isinstance(site, SiteSpectrum):
        raise TypeError(f"{name} must be a SiteSpectrum or the path of a saved one; given {type(site).__name__}.")
    return site


def _rms_hu(field: NDArray[np.float64]) -> float:
    return 1000 * float(np.sqrt(np.mean(field**2)))
