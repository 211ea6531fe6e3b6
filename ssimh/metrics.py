"""Measures of the change by a harmonizer: pure functions of two or three arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ssimh._kernels import numpy_kernel
from ssimh._kernels.arrays import check_array, check_finite, to_numpy
from ssimh._kernels.checks import check_mask
from ssimh._kernels.settings import SwapSettings

VALID_RANGE_HU = (-1024.0, 3071.0)
SOFT_TISSUE_HU = (-150.0, 150.0)
_BINS = 256


@dataclass(frozen=True)
class Comparison:
    """Result of :func:`compare`; values in the images' unit unless stated otherwise.

    ``histogram_correlation``, ``slice_cc``, ``psnr_db`` and ``ssim`` tell how alike ``after`` and the image named by
    ``against`` are; the same names with ``_before`` tell it of ``before`` and the reference, None without one.
    """

    against: str
    histogram_correlation: float
    slice_cc: float
    psnr_db: float
    ssim: float
    histogram_correlation_before: float | None
    slice_cc_before: float | None
    psnr_db_before: float | None
    ssim_before: float | None
    soft_tissue_mean_abs_delta: float
    soft_tissue_p95_abs_delta: float
    soft_tissue_voxels: int
    out_of_range_share: float
    high_frequency_energy_kept: float
    data_range: float
    voxels: int

    def as_dict(self) -> dict[str, str | float | None]:
        """The fields by name, for a table or JSON."""
        return asdict(self)


def compare(
    before: Any,
    after: Any,
    reference: Any = None,
    *,
    mask: Any = None,
    valid_range: tuple[float, float] = VALID_RANGE_HU,
    soft_tissue: tuple[float, float] = SOFT_TISSUE_HU,
    data_range: float | None = None,
    threshold: int = 3,
    axes: tuple[int, ...] = (-2, -1),
) -> Comparison:
    """Measure what harmonization has done to an image.

    Args:
        before: image before, (…, y, x), NumPy array or tensor, CT in HU unless the ranges say otherwise.
        after: the same image afterwards.
        reference: image that it was harmonized to, of the same shape, or None.
        mask: boolean array or 0/1 integers of the same shape; only voxels inside count. SSIM windows reach beyond it,
            and the high-frequency energy is that of the whole image.
        valid_range: values outside it count as out of range; the histogram covers it too.
        soft_tissue: range of ``before`` in which the change is measured.
        data_range: range for PSNR and SSIM; the width of ``valid_range`` unless given. It is stated in the result.
        threshold: coefficients per axis that count as low frequency.
        axes: axes of the transform.

    Returns:
        A :class:`Comparison`. Slices are the last two axes. The correlation of a constant slice counts as 0, as in the
        DomainATM toolbox (doi 10.1016/j.neuroimage.2023.119863); SSIM is that of Wang et al. 2004 (doi
        10.1109/TIP.2003.819861, Gaussian window σ = 1.5); equal images have an infinite PSNR; without soft-tissue
        voxels the two changes are NaN and ``soft_tissue_voxels`` is 0; ``high_frequency_energy_kept`` is the ratio of
        energies after and before, NaN for an image without high frequencies.

    Raises:
        TypeError: not arrays, or boolean or complex images.
        ValueError: shapes that differ, fewer than two axes, values that are not finite, an empty mask or range.

    >>> import numpy as np
    >>> scan = np.random.default_rng(0).normal(0, 50, (3, 32, 32))
    >>> result = compare(scan, scan + 10)
    >>> round(result.soft_tissue_mean_abs_delta, 6), round(result.high_frequency_energy_kept, 6), result.data_range
    (10.0, 1.0, 4095.0)
    """
    images = {"before": _image(before, "before"), "after": _image(after, "after")}
    if reference is not None:
        images["reference"] = _image(reference, "reference")
    shape = images["before"].shape
    for name, image in images.items():
        if image.shape != shape or image.ndim < 2:
            raise ValueError(
                f"{name} has shape {image.shape}, before {shape}; all must be equal, with two axes or more."
            )
    for name, limits in (("valid_range", valid_range), ("soft_tissue", soft_tissue)):
        if not limits[0] < limits[1]:
            raise ValueError(f"{name} must be (lowest, highest) with lowest < highest; given {limits!r}.")
    span = float(valid_range[1] - valid_range[0]) if data_range is None else float(data_range)
    if not 0 < span < np.inf:
        raise ValueError(f"data_range must be a positive number; given {data_range!r}.")
    low = SwapSettings(threshold=threshold, axes=axes).for_shape(shape, "before")
    inside = np.ones(shape, dtype=bool) if mask is None else check_mask(mask, shape)

    source, result = images["before"], images["after"]
    against = "before" if reference is None else "reference"
    now = _likeness(result, images[against], inside, valid_range, span)
    then: tuple[float, ...] | tuple[None, ...] = (None,) * 4
    if reference is not None:
        then = _likeness(source, images[against], inside, valid_range, span)
    tissue = inside & (source >= soft_tissue[0]) & (source <= soft_tissue[1])
    delta = np.abs(result[tissue] - source[tissue])
    outside = (result[inside] < valid_range[0]) | (result[inside] > valid_range[1])
    energy = _high_energy(source, low)
    return Comparison(
        against,
        now[0],
        now[1],
        now[2],
        now[3],
        then[0],
        then[1],
        then[2],
        then[3],
        soft_tissue_mean_abs_delta=float(delta.mean()) if delta.size else float("nan"),
        soft_tissue_p95_abs_delta=float(np.percentile(delta, 95)) if delta.size else float("nan"),
        soft_tissue_voxels=int(delta.size),
        out_of_range_share=float(outside.mean()),
        high_frequency_energy_kept=_high_energy(result, low) / energy if energy else float("nan"),
        data_range=span,
        voxels=int(inside.sum()),
    )


def histogram_correlation(first: NDArray[Any], second: NDArray[Any], limits: tuple[float, float]) -> float:
    """Pearson correlation of two histograms of 256 bins over ``limits``; values outside count in the outer bins."""
    counts = [np.histogram(np.clip(values, *limits), _BINS, limits)[0] for values in (first, second)]
    return _correlation(counts[0].astype(float), counts[1].astype(float))


def ssim_map(first: NDArray[Any], second: NDArray[Any], data_range: float) -> NDArray[np.float64]:
    """Structural similarity at every voxel, slice by slice over the last two axes (Wang et al. 2004)."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    sigma = (*[0.0] * (first.ndim - 2), 1.5, 1.5)

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(scipy.ndimage.gaussian_filter(values, sigma, truncate=3.5), np.float64)

    mean_1, mean_2 = smooth(first), smooth(second)
    variance_1, variance_2 = smooth(first * first) - mean_1**2, smooth(second * second) - mean_2**2
    covariance = smooth(first * second) - mean_1 * mean_2
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1**2 + mean_2**2 + c1)
    return np.asarray(luminance * (2 * covariance + c2) / (variance_1 + variance_2 + c2), np.float64)


def _image(value: Any, name: str) -> NDArray[Any]:
    check_array(value, name)
    image = to_numpy(value)
    check_finite(image, name)
    return image.astype(np.float64) if image.dtype != np.float32 else image


def _likeness(
    image: NDArray[Any], other: NDArray[Any], inside: NDArray[np.bool_], limits: tuple[float, float], span: float
) -> tuple[float, float, float, float]:
    """Histogram correlation, mean slice-wise correlation, PSNR in dB, SSIM."""
    first, second = image[inside], other[inside]
    error = float(np.mean((first - second).astype(np.float64) ** 2))
    psnr = float("inf") if error == 0 else float(10 * np.log10(span**2 / error))
    slices = [values.reshape(-1, *values.shape[-2:]) for values in (image, other, inside)]
    pairs = [_correlation(a[m], b[m]) for a, b, m in zip(*slices, strict=True) if m.any()]
    structure = ssim_map(image, other, span)
    return histogram_correlation(first, second, limits), float(np.mean(pairs)), psnr, float(structure[inside].mean())


def _correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Pearson correlation, 0 where one of the two is constant."""
    a, b = first - first.mean(dtype=np.float64), second - second.mean(dtype=np.float64)
    scale = float(np.sqrt(np.sum(a * a, dtype=np.float64) * np.sum(b * b, dtype=np.float64)))
    return float(np.sum(a * b, dtype=np.float64)) / scale if scale > 0 else 0.0


def _high_energy(image: NDArray[Any], settings: SwapSettings) -> float:
    """Sum of squares outside the low-frequency block; the basis is orthonormal, so energies subtract (Parseval)."""
    values = image.astype(np.float64)
    low = numpy_kernel.analyze(values, settings)
    total = float(np.vdot(values, values).real)
    rest = total - float(np.vdot(low, low).real)
    # What remains of an image without high frequencies is rounding.
    return rest if rest > 1e-12 * total else 0.0
