"""A CT of one site with the grain of the smoother of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ssimh._kernels.arrays import ArrayT, check_array, check_finite, is_tensor, output_dtype, to_numpy
from ssimh._kernels.checks import check_mask
from ssimh._kernels.dispatch import kernel_for
from ssimh.site.grain_difference import GrainDifference
from ssimh.site.grain_filter import GrainFilter, filter_volume, report_change
from ssimh.site.scan_checks import check_hu
from ssimh.site.volume import LAST_THREE, check_spacing, to_zyx


def plan_filter(difference: GrainDifference | None, strength: float, spacing_mm: Sequence[float] | None) -> GrainFilter:
    """The filter that takes the source's images to the target.

    Args:
        difference: of the two sites; None where it was not measured.
        strength: 0 … 1, share of the way.
        spacing_mm: voxel size along (z, y, x).

    Raises:
        ValueError: no difference, no spacing, or none of three positive sizes.
    """
    if spacing_mm is None:
        raise ValueError("spacing_mm is missing; the grain of a CT is matched in mm along (z, y, x).")
    if difference is None:
        raise ValueError(
            "the grain of one of the sites was not measured: fit it with spacing_mm, from scans with pixels of at most "
            "2 mm and windows of 16 mm in soft tissue."
        )
    _, y_mm, x_mm = check_spacing(spacing_mm)
    return difference.filter(strength, (y_mm, x_mm))


def match_grain(
    image: ArrayT,
    filtering: GrainFilter,
    *,
    tissue_window_hu: tuple[float, float],
    body_threshold_hu: float,
    axes_zyx: Sequence[int] | None = None,
    mask: Any = None,
    clip: tuple[float, float] | None = None,
) -> ArrayT:
    """A copy of a CT with the grain of the target where the source has more.

    Args:
        image: array or tensor of CT in HU with three axes or more.
        filtering: from :func:`plan_filter`.
        tissue_window_hu, body_threshold_hu: of the sites, for the checks.
        axes_zyx, mask, clip: as in :func:`ssimh.align_spectrum`.

    Raises:
        TypeError: not an array, or boolean or complex.
        ValueError: fewer than three axes, values that are not finite or no HU, an image smaller than a window.
    """
    check_array(image, "image")
    axes = LAST_THREE if axes_zyx is None else tuple(axes_zyx)
    if image.ndim < 3:
        raise ValueError(f"image must have three axes or more, (…, z, y, x); its shape is {tuple(image.shape)}.")
    if is_tensor(image) and image.device.type != "cpu":
        from ssimh.site.torch_grain_filter import match_grain as match_tensor

        limits = tissue_window_hu, body_threshold_hu
        matched: Any = match_tensor(image, filtering, limits=limits, axes_zyx=axes, mask=mask, clip=clip)
        return cast(ArrayT, matched)
    values = to_numpy(image)
    check_finite(values, "image")
    masks = None if mask is None else check_mask(mask, values.shape)
    result = values.astype(output_dtype(values.dtype), copy=True)
    for index in np.ndindex(values.shape[:-3]):
        part = to_zyx(result[index], axes, "image")
        filtering.check(part.shape)
        check_hu(part, tissue_window_hu, body_threshold_hu)
        if not filtering.is_identity:
            inside = None if masks is None else to_zyx(masks[index], axes, "mask")
            after = filter_volume(part, filtering, inside)
            change = after - part
            report_change(float(np.mean(change != 0)), float(np.mean(change**2)))
            part[...] = after
    if clip is not None:
        np.clip(result, *clip, out=result)
    return cast(ArrayT, kernel_for(image).from_host(result, image))
