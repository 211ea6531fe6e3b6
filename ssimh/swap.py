"""Spectrum swapping, the published method, on NumPy arrays and torch tensors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ssimh._kernels.arrays import ArrayT, check_array, check_finite, is_array, to_numpy
from ssimh._kernels.dispatch import kernel_for
from ssimh._kernels.inside import find_inside, keep_outside
from ssimh._kernels.output import check_out
from ssimh._kernels.settings import SwapSettings
from ssimh.applied_field import AppliedField
from ssimh.box_swap import NOWHERE, Placement, swap_in_box
from ssimh.reference import ReferenceSpectrum

Reference = Any  # array of the image's kind, ReferenceSpectrum, or path


def swap_spectrum(
    image: ArrayT,
    reference: Reference,
    *,
    threshold: int = 3,
    axes: int | Sequence[int] = (-2, -1),
    region: str = "square",
    grid: str = "same",
    center_mm: Sequence[float] | None = None,
    landmark_mm: Sequence[Sequence[float]] | None = None,
    mask: Any = None,
    background: Any = None,
    strength: float = 1.0,
    clip: tuple[float, float] | None = None,
    method: str = "auto",
    spacing_mm: Sequence[float] | None = None,
    orientation: str | None = None,
    affine: Any = None,
    unit: str | None = None,
    allow_pet: bool = False,
    workers: int | None = None,
    out: ArrayT | None = None,
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
        grid: ``"same"``, the published method: the image's grid is the reference's. ``"field-of-view"``: another number
            of voxels over the same field of view (:meth:`ReferenceSpectrum.for_grid`). Both assume that image and
            reference show the same part of the body. ``"physical"``: the basis lives in the reference's box in
            millimeters, placed by the affines. The image's own coefficients are found by least squares over its voxels
            in the box and inside the mask, and the field is applied where a voxel's center is there; everything else
            keeps its value bit by bit, so that flips, permutations, padding and sampling do not change the result. It
            assumes that the reference's world and the image's are one, up to ``center_mm`` or ``landmark_mm``, and
            parallel axes (to 1 degree). ``axes`` are then those of the reference, whose slice axis is followed in the
            image, and its coefficients are interpolated linearly between its slices.
        center_mm: with ``grid="physical"``: world point (x, y, z) of the image, RAS+, for the center of the
            reference's box.
        landmark_mm: with ``grid="physical"``: (point in the image, point in the reference), RAS+; the box moves so
            that the two coincide.
        mask: boolean array or 0/1 integers of the image's shape, or that of its last axes; outside it every voxel
            keeps its value bit by bit. With ``grid="same"`` and ``"field-of-view"`` the coefficients are those of the
            whole image, as published, and only the application is limited; with ``"physical"`` the fit is limited, too.
        background: a number: voxels of exactly this value keep it; or a function of the image that returns a mask of
            the background, as ``mask`` is one of the inside. With both, nothing moves outside either.
        strength: 0 … 1, share of the way from the image's coefficients to the reference's.
        clip: (lowest, highest) value of the result, in the image's unit, or None.
        method: ``"projection"`` (thin matrix products), ``"fft"`` (full transform; scipy.fft on the CPU, torch
            elsewhere) or ``"auto"``: the faster of the two for this threshold.
        spacing_mm: voxel size of each spatial (last) axis of the image; compared with the reference's own.
        orientation: letters of the image's spatial axes, such as ``"SPL"``; compared with the reference's own.
        affine: 4 × 4, voxel index of the image's last three axes to RAS+ millimeters (as NIfTI, MONAI and TorchIO have
            it); needed by ``grid="physical"``, which takes it in place of ``spacing_mm`` and ``orientation``.
        unit: intensity unit of the image; compared with the reference's own, PET units are refused.
        allow_pet: swap PET all the same.
        workers: threads on the CPU; None for as many as the process may use. Refused with ``grid="physical"``, whose
            own products are not shared among threads.
        out: memory for the result, of its kind, shape, dtype and device, which no input shares; reused from scan to
            scan it spares the system clearing fresh pages, a third of the time of a large image. A projection on the
            CPU (``grid`` other than ``"physical"``) works in it; other results are copied into it. After an error its
            values are undefined.

    Returns:
        ``out`` if it was given, else an array of the input's kind, shape and device; float16, bfloat16, float32 and
        float64 stay what they are (half precision is computed in float32), integers become float32. Differentiable in
        image and reference.

    Raises:
        TypeError: neither array nor tensor, boolean or complex values, a threshold that is not an integer, a mask of
            floats, ``out`` of another kind or dtype than the result.
        ValueError: shapes, axes, voxel sizes, orientation or units that do not fit; a threshold outside the grid; NaN
            or infinite values; PET; settings out of range; a mask of another shape or without a voxel inside; a
            background function that fails; ``out`` of another shape or device, read-only, overlapping an input, or
            where a gradient is to pass.
        ReferenceFileError: a path that leads to something else than a reference.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> scan, other = rng.normal(0, 100, (4, 32, 32)), rng.normal(40, 100, (4, 32, 32))
    >>> harmonized = swap_spectrum(scan, other, threshold=1)
    >>> np.allclose(harmonized.mean(axis=(1, 2)), other.mean(axis=(1, 2)))
    True
    """
    settings = SwapSettings(
        threshold=threshold,
        axes=(axes,) if isinstance(axes, int | np.integer) else tuple(axes),
        region=region,
        grid=grid,
        strength=strength,
        clip=clip,
        method=method,
        spacing_mm=None if spacing_mm is None else tuple(spacing_mm),
        orientation=orientation,
        unit=unit,
        allow_pet=allow_pet,
        workers=workers,
    )
    placement = Placement(affine, center_mm, landmark_mm)
    swapped = swap_with_delta(image, reference, settings, placement, mask=mask, background=background, out=out)[0]
    return cast(ArrayT, swapped)


def swap_with_delta(
    image: Any,
    reference: Reference,
    settings: SwapSettings,
    placement: Placement = NOWHERE,
    *,
    mask: Any = None,
    background: Any = None,
    out: Any = None,
) -> tuple[Any, AppliedField]:
    """Swapped image, and the field that was added (before clipping), which undoes it.

    The one door: the image is checked here, goes straight to the kernel of its kind, and comes back as that kind.
    """
    check_array(image, "image")
    if out is not None:
        check_out(out, image, (("the image", image), ("the reference", reference), ("the mask", mask)))
    inside = find_inside(image, mask, background)
    if settings.grid == "physical":
        if isinstance(reference, str | os.PathLike):
            reference = ReferenceSpectrum.load(reference)
        result, field = swap_in_box(image, reference, settings, placement, inside)
        _check_delta(field.delta, image)
        return kernel_for(image).store(result, out), field
    placement.refuse(settings.grid)
    settings, kernel = settings.for_shape(image.shape), kernel_for(image)
    target = kernel.as_target(_coefficients(image.shape, reference, settings), image, settings)
    if settings.threshold == 0:
        check_finite(image, "image")
        result, delta = kernel.store(kernel.convert(image, settings.clip), out), target
    else:
        result, delta = kernel.swap(image, target, settings, out)
    _check_delta(delta, image)
    return keep_outside(result, image, inside), AppliedField(delta, settings.axes, inside)


def _check_delta(delta: Any, image: Any) -> None:
    if not kernel_for(image).all_finite(delta):
        check_finite(image, "image")
        raise ValueError(
            f"image holds values so large (up to {np.abs(to_numpy(image)).max():.3g}) that their sums leave the range "
            "of float32; pass it as float64 or rescale it."
        )


def _coefficients(shape: Sequence[int], reference: Reference, settings: SwapSettings) -> Any:
    """The reference's coefficients, checked against the image: an array, or a tensor for a reference that is one."""
    if isinstance(reference, str | os.PathLike):
        reference = ReferenceSpectrum.load(reference)
    if is_array(reference):
        check_array(reference, "reference")
        if settings.grid == "field-of-view" and tuple(reference.shape) != tuple(shape[-reference.ndim :]):
            reference = _spectrum(reference, settings)
    if isinstance(reference, ReferenceSpectrum):
        if settings.grid == "field-of-view":
            reference = reference.for_grid(shape[-len(reference.shape) :], settings.spacing_mm)
        return reference.coefficients_for(shape, settings)
    if not is_array(reference):
        raise TypeError(f"reference must be an array, a ReferenceSpectrum or a path; given {type(reference).__name__}.")
    if reference.ndim < -min(settings.axes) or tuple(shape[-reference.ndim :]) != tuple(reference.shape):
        raise ValueError(
            f"reference has shape {tuple(reference.shape)}, image {tuple(shape)}; they must be equal, or the image may "
            "have further leading batch axes."
        )
    kernel = kernel_for(reference)
    found = kernel.analyze(reference, settings)
    if settings.threshold == 0 or not kernel.all_finite(found):
        check_finite(reference, "reference")
    return found


def _spectrum(reference: Any, settings: SwapSettings) -> ReferenceSpectrum:
    """Coefficients of a reference on another grid than the image's; no gradient passes through their resampling."""
    if getattr(reference, "requires_grad", False):
        raise ValueError(
            f"reference has shape {tuple(reference.shape)}, which is not the image's, and requires a gradient, which "
            'grid="field-of-view" does not pass on; detach it, or bring it to the image\'s grid.'
        )
    return ReferenceSpectrum.from_image(
        reference, threshold=settings.threshold, axes=settings.axes, region=settings.region
    )
