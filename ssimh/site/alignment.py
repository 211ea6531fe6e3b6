"""Site-aware alignment: an image changes by the difference between two sites, supported by tissue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import ArrayT, check_array, check_finite, is_tensor, output_dtype, to_numpy
from ssimh._kernels.checks import check_clip, check_mask, check_strength
from ssimh._kernels.dispatch import kernel_for
from ssimh.site.body import body_box, find_body
from ssimh.site.difference_field import DifferenceField
from ssimh.site.field import FieldOnGrid
from ssimh.site.flow import apply_flow
from ssimh.site.grain_alignment import match_grain, plan_filter
from ssimh.site.resolution_alignment import match_resolution
from ssimh.site.resolution_filter import check_sharpening
from ssimh.site.scan_checks import EMPTY_MASK, check_tissue, check_without_air
from ssimh.site.site_difference import SiteDifference, site_difference
from ssimh.site.volume import LAST_THREE, to_zyx
from ssimh.units import is_suv_unit, refuse_pet

PARTS = ("field", "resolution")
GRAIN = "grain"
ALL_PARTS = (*PARTS, GRAIN)
_PARTS_OF = {"CT": ("field", GRAIN), "PT": ("resolution",)}


def align_spectrum(
    image: ArrayT,
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
) -> ArrayT:
    r"""Move an image of the source site to where the target site is.

    The difference of the two sites (:func:`site_difference`) is a smooth field :math:`d`, a polynomial of
    degree 2; inside the body :math:`\mathrm{HU}' + 1000 = (\mathrm{HU} + 1000)\,e^{-d}` (``"log"``) or
    :math:`\mathrm{HU}' = \mathrm{HU} - 1000\,d` (``"linear"``). Voxels up to 10 HU above the body threshold of -500 HU
    (air, background) and from 3000 HU (metal) keep their value; over the next 100 HU, and between 2000 and 3000 HU,
    the move sets in and fades out in such a way that the same function with source and target exchanged undoes it
    exactly where nothing was clipped. The tissue model is the bias-field model of unified segmentation (Ashburner &
    Friston 2005, doi 10.1016/j.neuroimage.2005.02.018), the shrinkage ComBat's (doi 10.1093/biostatistics/kxj037).

    A PET is brought to the resolution of the coarser of the two sites: along each direction in which the source is the
    sharper, by the factor :math:`e^{-2\pi^2 k^2 \Delta\sigma^2}` on frequency :math:`k`. The sum over the image stays.
    Where the source is the coarser, it keeps its values; exchange the sites to bring the target's images to it.

    With ``"grain"`` among the parts, a CT gets the grain of the smoother of the two sites: soft tissue away from strong
    edges is filtered in plane by the square root of the ratio of the sites' power spectra, where that is below 1. Fat
    and muscle keep their mean HU; air, lung, bone, the surface of the body and the airways keep their values.

    One scan against a target is ``align_spectrum(scan, SiteSpectrum.fit([scan]), target)``.

    Args:
        image: NumPy array or torch tensor of CT in HU or PET in SUV, as the sites are, with three axes; leading batch
            axes are further images. Never modified.
        source: site that the image comes from: a :class:`SiteSpectrum` or the path of a saved one.
        target: site that the result looks like, in the same forms.
        space, shrink: as in :func:`site_difference`.
        parts: what to align, of ``"field"`` and ``"grain"`` (CT) and ``"resolution"`` (PET); what the sites' modality
            lacks is skipped.
        allow_sharpening: largest gain at any frequency, above 1 and at most 2, where the source is the coarser; None
            never sharpens. Noise grows with it; the logger ``ssimh`` states by how much. PET only.
        axes_zyx: which axes of the image are z (head–foot), y and x; None for the last three in this order.
        mask: boolean array or 0/1 integers of the image's shape, in place of the body above the threshold that the
            sites were fitted with. An image without a voxel of air counts as body throughout. CT only.
        strength: 0 … 1, share of the way.
        clip: (lowest, highest) value of the result, or None.
        spacing_mm: voxel size along (z, y, x); PET and the grain of CT need it.
        unit: intensity unit of the image, if known; anything but HU (CT) or SUV (PET) is refused.

    Returns:
        Array of the input's kind, shape and device; floating dtypes stay, integers become float32. Tensors on a
        device are computed there and equal the host's result to rounding; they carry no gradient.

    Raises:
        TypeError: neither array nor tensor, boolean or complex values; sites that are none.
        ValueError: sites of another modality, or fitted with another window, threshold or orientation; fewer than three
            axes; NaN or infinite values; no body, or almost none of it in the tissue window; another unit than HU or
            SUV; PET or grain without spacing, or an image smaller than the filter; grain that was not measured at both
            sites; settings out of range.

    >>> from ssimh import SiteSpectrum
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
    return apply_difference(
        image,
        difference,
        parts=parts,
        allow_sharpening=allow_sharpening,
        axes_zyx=axes_zyx,
        mask=mask,
        strength=strength,
        clip=clip,
        spacing_mm=spacing_mm,
        unit=unit,
    )


def apply_difference(
    image: ArrayT,
    difference: SiteDifference,
    *,
    parts: Sequence[str] = PARTS,
    allow_sharpening: float | None = None,
    axes_zyx: Sequence[int] | None = None,
    mask: Any = None,
    strength: float = 1.0,
    clip: tuple[float, float] | None = None,
    spacing_mm: Sequence[float] | None = None,
    unit: str | None = None,
) -> ArrayT:
    """As :func:`align_spectrum`, with a difference that is already known; arguments and errors are the same."""
    share, limits = check_strength(strength), check_clip(clip)
    gain = check_sharpening(allow_sharpening, difference.modality)
    check_parts(parts, difference.modality)
    check_unit(unit, difference.modality)
    if difference.resolution is None:
        if not has_part(parts, GRAIN):
            return move_by_field(image, difference, share, axes_zyx=axes_zyx, mask=mask, clip=limits)
        filtering = plan_filter(difference.grain, share, spacing_mm)
        if has_part(parts, "field"):
            image = move_by_field(image, difference, share, axes_zyx=axes_zyx, mask=mask)
        window, threshold = difference.tissue_window_hu, difference.body_threshold_hu
        return match_grain(
            image,
            filtering,
            tissue_window_hu=window,
            body_threshold_hu=threshold,
            axes_zyx=axes_zyx,
            mask=mask,
            clip=limits,
        )
    if mask is not None:
        raise ValueError("mask is for CT; the resolution of a PET is matched in the whole image.")
    return match_resolution(
        image, difference.resolution, share, spacing_mm=spacing_mm, axes_zyx=axes_zyx, clip=limits, largest_gain=gain
    )


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


def check_parts(parts: Sequence[str], modality: str) -> None:
    """Refuse parts that are unknown, or of which the modality has none.

    Raises:
        ValueError: says which.
    """
    given = _as_parts(parts)
    if not given or not set(given) <= set(ALL_PARTS):
        raise ValueError(f"parts must be one or more of {', '.join(ALL_PARTS)}; given {parts!r}.")
    if not set(given) & set(_PARTS_OF[modality]):
        raise ValueError(f"sites of {modality} have the parts {', '.join(_PARTS_OF[modality])}; given {parts!r}.")


def has_part(parts: Sequence[str], part: str) -> bool:
    """Whether a part was asked for."""
    return part in _as_parts(parts)


def is_invertible(difference: SiteDifference, parts: Sequence[str]) -> bool:
    """Whether nothing of an image was filtered: a CT, of which the field alone moved."""
    filtered = difference.grain is not None and has_part(parts, GRAIN) and max(difference.grain.applied) > 0
    return difference.modality == "CT" and not filtered


def _as_parts(parts: Sequence[str]) -> tuple[str, ...]:
    return (parts,) if isinstance(parts, str) else tuple(parts)


def check_unit(unit: str | None, modality: str = "CT") -> None:
    """Refuse an image that states another unit than that of its sites.

    Raises:
        ValueError: for CT anything but HU, for PET anything but SUV.
    """
    if modality == "PT":
        if unit is not None and not is_suv_unit(unit):
            raise ValueError(f"the image has unit {unit!r}; PET is aligned in SUV. Convert it first.")
        return
    refuse_pet(unit, "the image", False)
    if unit is not None and unit.strip().lower() not in ("hu", "hounsfield", "hounsfield units"):
        raise ValueError(f"the image has unit {unit!r}; alignment of CT is defined in HU.")


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
