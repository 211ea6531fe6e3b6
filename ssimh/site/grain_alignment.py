"""A CT of one site with the grain of the smoother of two."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ssimh._kernels.arrays import ArrayT, check_array, check_finite, is_tensor, output_dtype, to_numpy
from ssimh._kernels.checks import check_mask
from ssimh._kernels.dispatch import kernel_for
from ssimh.site.grain_difference import GrainDifference
from ssimh.site.grain_filter import GrainFilter, filter_volume
from ssimh.site.scan_checks import check_tissue, check_without_air
from ssimh.site.volume import LAST_THREE, check_spacing, to_zyx

_LOG = logging.getLogger("ssimh")
_SAMPLES = 200_000


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


def check_hu(values: Any, tissue_window_hu: tuple[float, float], body_threshold_hu: float) -> None:
    """Refuse a volume that is no CT in HU, by some of its voxels.

    Args:
        values: (z, y, x) array or tensor.
        tissue_window_hu, body_threshold_hu: of the sites.

    Raises:
        ValueError: hardly any soft tissue, or a background that is not air.
    """
    flat = values.reshape(-1)
    sample = to_numpy(flat[:: max(1, len(flat) // _SAMPLES)])
    dense = int(np.count_nonzero(sample > body_threshold_hu))
    low, high = tissue_window_hu
    check_tissue(int(np.count_nonzero((sample >= low - 150) & (sample <= high + 150))), dense, tissue_window_hu)
    if dense == len(sample):
        ends = np.percentile(sample, (1, 99))
        lowest = float(sample.min())
        check_without_air(lowest, float(np.mean(sample == lowest)), float(ends[0]), float(ends[1]), body_threshold_hu)


def report_change(share: float, mean_square_hu2: float) -> None:
    """Say how many voxels changed and by how much.

    Args:
        share: of the voxels, 0 … 1.
        mean_square_hu2: mean of the squared change over all voxels.
    """
    root = np.sqrt(mean_square_hu2 / share) if share > 0 else 0.0
    _LOG.info("grain: %.0f %% of the voxels changed, by %.1f HU (root mean square)", 100 * share, root)
