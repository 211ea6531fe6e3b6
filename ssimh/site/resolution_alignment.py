"""An image of one PET site at the resolution of the coarser of two."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ssimh._kernels.arrays import ArrayT, check_array, check_finite, is_tensor, output_dtype, to_numpy
from ssimh._kernels.dispatch import kernel_for
from ssimh.site.resolution import ResolutionDifference
from ssimh.site.resolution_filter import ResolutionFilter, filter_volume
from ssimh.site.scan_checks import check_suv
from ssimh.site.volume import LAST_THREE, check_spacing, to_zyx

_LOG = logging.getLogger("ssimh")


def plan_filter(
    difference: ResolutionDifference, strength: float, spacing_mm: Sequence[float] | None, largest_gain: float = 1.0
) -> ResolutionFilter:
    """The filter that takes the source's images to the target.

    Args:
        difference: of the two sites.
        strength: 0 … 1, share of the way.
        spacing_mm: voxel size along (z, y, x).
        largest_gain: bound on the gain; 1 never sharpens.

    Raises:
        ValueError: no spacing, or none of three positive sizes.
    """
    if spacing_mm is None:
        raise ValueError("spacing_mm is missing; the resolution of a PET is matched in mm along (z, y, x).")
    in_plane, axial = (-strength * value if value < 0 or largest_gain > 1 else 0.0 for value in difference.applied_mm2)
    return ResolutionFilter((in_plane + 0.0, axial + 0.0), check_spacing(spacing_mm), largest_gain)


def match_resolution(
    image: ArrayT,
    difference: ResolutionDifference,
    strength: float,
    *,
    spacing_mm: Sequence[float] | None,
    axes_zyx: Sequence[int] | None = None,
    clip: tuple[float, float] | None = None,
    largest_gain: float = 1.0,
) -> ArrayT:
    """A copy of a PET at the resolution of the target where the source is the sharper.

    Args:
        image: array or tensor of PET in SUV with three axes or more.
        difference, strength, spacing_mm, largest_gain: as in :func:`plan_filter`.
        axes_zyx, clip: as in :func:`ssimh.align_spectrum`.

    Raises:
        TypeError: not an array, or boolean or complex.
        ValueError: fewer than three axes, no spacing, values that are not finite or no SUV, an image that is smaller
            than the filter.
    """
    filtering = plan_filter(difference, strength, spacing_mm, largest_gain)
    return filter_image(image, filtering, axes_zyx=axes_zyx, clip=clip)


def filter_image(
    image: ArrayT,
    filtering: ResolutionFilter,
    *,
    axes_zyx: Sequence[int] | None = None,
    clip: tuple[float, float] | None = None,
    is_suv: bool = True,
) -> ArrayT:
    """A filtered copy of an image.

    Args:
        image: array or tensor with three axes or more.
        filtering: the filter.
        axes_zyx, clip: as in :func:`ssimh.align_spectrum`.
        is_suv: whether values that are no SUV are refused.

    Raises:
        TypeError, ValueError: as :func:`match_resolution`.
    """
    check_array(image, "image")
    axes = LAST_THREE if axes_zyx is None else tuple(axes_zyx)
    if image.ndim < 3:
        raise ValueError(f"image must have three axes or more, (…, z, y, x); its shape is {tuple(image.shape)}.")
    if is_tensor(image) and image.device.type != "cpu":
        from ssimh.site.torch_resolution_filter import filter_image as filter_tensor

        filtered: Any = filter_tensor(image, filtering, axes_zyx=axes, clip=clip, is_suv=is_suv)
        return cast(ArrayT, filtered)
    values = to_numpy(image)
    check_finite(values, "image")
    if is_suv:
        check_suv(float(values.min()), float(values.max()))
    result = values.astype(output_dtype(values.dtype), copy=True)
    for index in np.ndindex(values.shape[:-3]):
        part = to_zyx(result[index], axes, "image")
        report_noise(filtering, part.shape)
        if not filtering.is_identity:
            part[...] = filter_volume(part, filtering)
    if clip is not None:
        np.clip(result, *clip, out=result)
    return cast(ArrayT, kernel_for(image).from_host(result, image))


def report_noise(filtering: ResolutionFilter, shape: Sequence[int]) -> None:
    """Say by how much a filter that sharpens raises white noise."""
    if min(filtering.variance_mm2) < 0:
        _LOG.info("sharpened: white noise is %.2f times as large", filtering.noise_gain(shape))
