"""Record of one CT of a site: its smooth field, its tissues and its grain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_array, check_finite, to_numpy
from ssimh._kernels.checks import check_mask
from ssimh.site.body import body_box, find_body, strides
from ssimh.site.field import positions
from ssimh.site.grain_spectrum import grain_spectrum
from ssimh.site.mixture import SPACES, bin_edges, count_blocks, fit_tissues
from ssimh.site.subjects import SUBJECT
from ssimh.site.volume import check_spacing, to_zyx

_FEWEST_VOXELS = 500
_LEAST_TISSUE, _LEAST_AIR = 0.05, 0.001
# A tenth of the attenuation of water is 100 HU, more than any scanner in use is off by.
_LARGEST_SHIFT = 0.099
_VOLUME_ML = (50.0, 400_000.0)


def fit_ct_subject(
    image: Any,
    mask: Any,
    spacing_mm: Any,
    axes_zyx: tuple[int, ...],
    tissue_window_hu: tuple[float, float],
    body_threshold_hu: float,
) -> NDArray[Any]:
    """One subject, as an array of dtype ``SUBJECT`` without axes.

    Args:
        image: array or tensor of three axes, HU.
        mask: boolean or 0/1 array of its shape, or None for the body that is found.
        spacing_mm: voxel size along (z, y, x), or None; without it the grain is not measured.
        axes_zyx: axes that are z, y and x.
        tissue_window_hu: window of soft tissue.
        body_threshold_hu: HU above which a voxel can belong to the body.

    Raises:
        TypeError: not an array, or boolean or complex.
        ValueError: what :meth:`ssimh.SiteSpectrum.fit` refuses.
    """
    check_array(image, "image")
    values = to_zyx(to_numpy(image), axes_zyx, "image")
    check_finite(values, "image")
    if mask is None:
        body = find_body(values, body_threshold_hu)
        _check_air(values, body_threshold_hu)
    else:
        body = to_zyx(check_mask(mask, tuple(image.shape)), axes_zyx, "mask")
    subject = np.zeros((), SUBJECT)
    subject["body_box"] = box = body_box(body)
    subject["body_ml"] = _body_ml(body, spacing_mm)
    steps = strides(values.shape)
    coarse, inside = values[steps].astype(np.float64), body[steps]
    inside = inside & (coarse > body_threshold_hu)
    where = np.nonzero(inside)
    lines = [positions(size, *ends)[step] for size, ends, step in zip(values.shape, box, steps, strict=True)]
    points = np.stack([line[index] for line, index in zip(lines, where, strict=True)], axis=1)
    tissue_hu = coarse[inside]
    _check_tissue(tissue_hu, tissue_window_hu)
    edges = bin_edges(tissue_window_hu)
    counts = count_blocks(tissue_hu, points, edges)
    fits = {space: fit_tissues(counts, edges, space) for space in SPACES}
    _check_fit(fits["log"].field)
    for space, fit in fits.items():
        subject[f"{space}_field"] = fit.field
    subject["tissue_shares"] = fits["log"].shares
    subject["tissue_voxels"] = counts.sum()
    if spacing_mm is not None:
        subject["grain_hu2mm2"] = grain_spectrum(values, check_spacing(spacing_mm), tissue_window_hu)
    return subject


def _check_air(values: NDArray[Any], body_threshold_hu: float) -> None:
    if np.count_nonzero(values <= body_threshold_hu) < _LEAST_AIR * values.size:
        raise ValueError(
            f"less than {_LEAST_AIR:.1%} of the voxels lie below {body_threshold_hu} HU, so there is no air around the "
            "body; the values are not HU (stored values with an offset?), or pass masks."
        )


def _check_tissue(tissue_hu: NDArray[np.float64], tissue_window_hu: tuple[float, float]) -> None:
    low, high = tissue_window_hu
    within = np.count_nonzero((tissue_hu >= low) & (tissue_hu <= high))
    if within < max(_FEWEST_VOXELS, _LEAST_TISSUE * tissue_hu.size):
        raise ValueError(
            f"only {within} of {tissue_hu.size} voxels of the body lie within the tissue window {tissue_window_hu} HU; "
            f"at least {_FEWEST_VOXELS} and {_LEAST_TISSUE:.0%} are needed. Are the values in HU?"
        )


def _body_ml(body: NDArray[np.bool_], spacing_mm: Any) -> float:
    if spacing_mm is None:
        return 0.0
    volume = float(np.count_nonzero(body)) * float(np.prod(check_spacing(spacing_mm))) / 1000
    if not _VOLUME_ML[0] <= volume <= _VOLUME_ML[1]:
        raise ValueError(f"the body has {volume:.3g} ml with spacing_mm={spacing_mm}; are these millimeters?")
    return volume


def _check_fit(field: NDArray[np.float64]) -> None:
    if not np.isfinite(field).all() or abs(field[0]) > _LARGEST_SHIFT:
        raise ValueError(
            f"fat and muscle were found {1000 * field[0]:.0f} HU away from where they lie on a CT, which no scanner "
            "does; are the values in HU, and is the tissue window right?"
        )
