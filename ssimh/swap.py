"""Spectrum swapping, the published method, on NumPy arrays and torch tensors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import (
    ArrayT,
    check_array,
    check_finite,
    check_threshold,
    is_array,
    is_tensor,
    normalize_axes,
    output_dtype,
    to_numpy,
)
from ssimh._kernels.basis import cosine_basis
from ssimh._kernels.coefficients import analyze
from ssimh._kernels.fft import FullTransform
from ssimh._kernels.numpy_kernel import Kernel
from ssimh._kernels.regions import region_mask
from ssimh.reference import ReferenceSpectrum
from ssimh.tissue_warning import warn_if_moved
from ssimh.units import refuse_pet

Reference = Any  # array of the image's kind, ReferenceSpectrum, or path
METHODS = ("auto", "projection", "fft")
# Where the two routes take equal time on two cores, at 200 × 200 as at 512 × 512.
_FFT_FROM_THRESHOLD = 96


@dataclass(frozen=True)
class SwapSettings:
    """The numbers of a swap, checked once; ``threshold`` and ``axes`` meet the image later."""

    threshold: int = 3
    axes: tuple[int, ...] = (-2, -1)
    region: str = "square"
    strength: float = 1.0
    clip: tuple[float, float] | None = None
    method: str = "auto"
    unit: str | None = None
    orientation: str | None = None
    allow_pet: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        region_mask(self.region, 0, 1)
        if not isinstance(self.strength, int | float | np.number) or not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be a number within 0 … 1; given {self.strength!r}.")
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}; given {self.method!r}.")
        if self.clip is not None:
            limits = tuple(self.clip)
            if len(limits) != 2 or not limits[0] < limits[1]:
                raise ValueError(f"clip must be (lowest, highest) with lowest < highest; given {self.clip!r}.")
            object.__setattr__(self, "clip", (float(limits[0]), float(limits[1])))
        refuse_pet(self.unit, "the image", self.allow_pet)


def swap_spectrum(
    image: ArrayT,
    reference: Reference,
    threshold: int = 3,
    *,
    axes: int | Sequence[int] = (-2, -1),
    region: str = "square",
    strength: float = 1.0,
    clip: tuple[float, float] | None = None,
    method: str = "auto",
    unit: str | None = None,
    orientation: str | None = None,
    allow_pet: bool = False,
    workers: int | None = None,
    warn_above: float | None = None,
) -> ArrayT:
    r"""Replace the low frequencies of ``image`` by those of ``reference``.

    With the orthonormal DCT-II, :math:`F = \mathrm{DCT}(X)`, the coefficients inside the low-frequency region Ω(τ)
    become those of the reference, all others stay, and :math:`X' = \mathrm{DCT}^{-1}(F')`. Spectrum-Swapping
    Image-level Harmonization: Guan et al., MLMI 2022, doi 10.1007/978-3-031-21014-3_21; toolbox DomainATM: Guan & Liu,
    NeuroImage 2023, doi 10.1016/j.neuroimage.2023.119863. The defaults are the published ones: slice by slice, the
    3 × 3 corner with the mean included, no clipping.

    Only the corner is ever computed: :math:`X' = X + C_y^T\,[M \circ (R - C_y X C_x^T)]\,C_x`.

    Args:
        image: NumPy array or torch tensor, integer or floating, in any unit (CT in HU); leading axes are batches.
            Never modified.
        reference: array on the same grid, a :class:`ReferenceSpectrum`, or the path of a saved one. It may lack the
            image's leading batch axes.
        threshold: τ, coefficients per axis, 0 to the smallest size along ``axes``; 0 changes nothing, 1 matches the
            means, the whole size returns the reference.
        axes: axes of the transform: (-2, -1) slice by slice, (-3, -2, -1) on the volume.
        region: ``"square"`` (published), ``"triangle"`` or ``"radial"`` part of the corner.
        strength: 0 … 1, share of the way from the image's coefficients to the reference's.
        clip: (lowest, highest) value of the result, in the image's unit, or None.
        method: ``"projection"`` (thin matrix products), ``"fft"`` (full transform; scipy.fft on the CPU, torch
            elsewhere) or ``"auto"``: the faster of the two for this threshold.
        unit: intensity unit of the image; PET units are refused.
        orientation: letters of the image's spatial axes, such as ``"SPL"``; compared with the reference's own.
        allow_pet: swap PET all the same.
        workers: threads on the CPU; None for as many as the process may use.
        warn_above: warn (:class:`ssimh.tissue_warning.TissueMovedWarning`) if soft tissue, -150 … 150 HU, moves by
            more than this many HU on average; None, the default, does not look. :class:`ssimh.SpectrumSwap` looks.

    Returns:
        Array of the input's kind, shape and device; float16, bfloat16, float32 and float64 stay what they are (half
        precision is computed in float32), integers become float32. Differentiable in image and reference.

    Raises:
        TypeError: neither array nor tensor, boolean or complex values, a threshold that is not an integer.
        ValueError: shapes, axes, orientation or units that do not fit; a threshold outside the grid; NaN or infinite
            values; PET; settings out of range.
        ReferenceFileError: a path that leads to something else than a reference.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> scan, other = rng.normal(0, 100, (4, 32, 32)), rng.normal(40, 100, (4, 32, 32))
    >>> harmonized = swap_spectrum(scan, other, threshold=1)
    >>> np.allclose(harmonized.mean(axis=(1, 2)), other.mean(axis=(1, 2)))
    True
    """
    check_array(image, "image")
    settings = SwapSettings(
        threshold,
        normalize_axes(axes, image.ndim, "image"),
        region,
        strength,
        clip,
        method,
        unit,
        orientation,
        allow_pet,
        workers,
    )
    result = swap_with_delta(image, reference, settings)[0]
    warn_if_moved(image, result, warn_above, unit, stacklevel=2)
    return cast(ArrayT, result)


def swap_with_delta(image: Any, reference: Reference, settings: SwapSettings) -> tuple[Any, Any]:
    """Swapped image, and the coefficients of the field that was added (before clipping), which undo it."""
    check_array(image, "image")
    axes = settings.axes
    threshold = check_threshold(settings.threshold, image.shape, axes, "image")
    target = _target(image, reference, settings)
    mask = region_mask(settings.region, threshold, len(axes)) * float(settings.strength)
    weight = mask.reshape([threshold if axis - image.ndim in axes else 1 for axis in range(image.ndim)])
    if threshold == 0:
        return _unchanged(image, settings), target
    method = settings.method
    if method == "auto":
        method = "fft" if threshold >= _FFT_FROM_THRESHOLD else "projection"
    if is_tensor(image):
        out, delta = _swap_tensor(image, target, weight, method, settings)
        finite = bool(delta.isfinite().all())
    else:
        out, delta = _swap_array(image, target, weight, method, settings)
        finite = bool(np.isfinite(delta).all())
    if not finite:
        check_finite(image, "image")
        raise ValueError(
            f"image holds values so large (up to {np.abs(to_numpy(image)).max():.3g}) that their sums leave the range "
            "of float32; pass it as float64 or rescale it."
        )
    return out, delta


def _swap_array(
    image: NDArray[Any], target: Any, weight: NDArray[Any], method: str, settings: SwapSettings
) -> tuple[NDArray[Any], NDArray[Any]]:
    axes, threshold = settings.axes, settings.threshold
    if method == "fft":
        return FullTransform(image, axes, threshold, settings.workers).swap(target, weight, settings.clip)
    bases = {axis: cosine_basis(image.shape[axis], threshold) for axis in axes}
    return Kernel(image, bases, settings.workers).swap(target, weight, settings.clip)


def _swap_tensor(image: Any, target: Any, weight: NDArray[Any], method: str, settings: SwapSettings) -> tuple[Any, Any]:
    from ssimh._kernels import torch_kernel

    plan = torch_kernel.Plan(settings.axes, settings.threshold, method, settings.workers)
    out, delta = torch_kernel.swap(torch_kernel.plain(image), target, weight, settings.clip, plan)
    return torch_kernel.like(out, image), delta


def _unchanged(image: Any, settings: SwapSettings) -> Any:
    """Threshold 0: a copy in the floating dtype, checked and clipped as any other result."""
    check_finite(image, "image")
    if is_tensor(image):
        from ssimh._kernels import torch_kernel

        copy = torch_kernel.plain(image).to(torch_kernel.output_dtype(image.dtype), copy=True)
        return torch_kernel.like(copy if settings.clip is None else copy.clamp(*settings.clip), image)
    copy = image.astype(output_dtype(image.dtype))
    return copy if settings.clip is None else np.clip(copy, *settings.clip)


def _target(image: Any, reference: Reference, settings: SwapSettings) -> Any:
    """The reference's coefficients, checked against the image: a tensor on its device for tensors, else an array."""
    if isinstance(reference, str | os.PathLike):
        reference = ReferenceSpectrum.load(reference)
    if isinstance(reference, ReferenceSpectrum):
        target: Any = reference.target(
            image.shape,
            settings.threshold,
            settings.axes,
            settings.region,
            unit=settings.unit,
            orientation=settings.orientation,
            allow_pet=settings.allow_pet,
        )
    elif is_array(reference):
        target = _array_target(image, reference, settings)
    else:
        raise TypeError(f"reference must be an array, a ReferenceSpectrum or a path; given {type(reference).__name__}.")
    if not is_tensor(image):
        return to_numpy(target)
    import torch

    tensor = target if is_tensor(target) else torch.tensor(target)
    shape = list(image.shape)
    for axis in settings.axes:
        shape[axis] = settings.threshold
    return tensor.to(image.device).expand(shape)


def _array_target(image: Any, reference: Any, settings: SwapSettings) -> Any:
    check_array(reference, "reference")
    if len(reference.shape) < -min(settings.axes) or tuple(image.shape[-reference.ndim :]) != tuple(reference.shape):
        raise ValueError(
            f"reference has shape {tuple(reference.shape)}, image {tuple(image.shape)}; they must be equal, or the "
            "image may have further leading batch axes."
        )
    target = analyze(reference, settings.threshold, settings.axes, settings.workers)
    finite = target.isfinite().all() if is_tensor(target) else np.isfinite(target).all()
    if settings.threshold == 0 or not bool(finite):
        check_finite(reference, "reference")
    return target
