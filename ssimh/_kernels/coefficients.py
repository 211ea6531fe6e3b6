"""Low-frequency coefficients of an image, and back: the analysis and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ssimh._kernels.arrays import ArrayT, check_array, normalize_axes
from ssimh._kernels.dispatch import kernel_for
from ssimh._kernels.settings import SwapSettings


def low_frequency(image: ArrayT, *, threshold: int = 3, axes: int | Sequence[int] = (-2, -1)) -> ArrayT:
    r"""First ``threshold`` orthonormal DCT-II coefficients along each of ``axes``.

    For two axes :math:`F = C_y X C_x^T`, with ``C`` from :func:`ssimh.cosine_basis`; equal to the corner of
    ``scipy.fft.dctn(image, axes=axes, norm="ortho")`` without computing the rest of it.

    Args:
        image: NumPy array or torch tensor of any shape; integer or floating. Not modified.
        threshold: coefficients per axis, 0 to the smallest size along ``axes``.
        axes: one or several axes, as in ``scipy.fft``; all others are batch axes.

    Returns:
        Same kind and device as ``image``; its shape with every transformed axis cut to ``threshold``; float64 for
        float64 images, float32 for all others. Differentiable for tensors.

    Raises:
        TypeError: not an array, or boolean or complex; ``threshold`` or ``axes`` not integers.
        ValueError: ``threshold`` outside the grid, ``axes`` outside the array or repeated, an empty array.

    >>> import numpy as np
    >>> low_frequency(np.full((4, 4), 10.0), threshold=2).round(6) + 0.0
    array([[40.,  0.],
           [ 0.,  0.]])
    """
    check_array(image, "image")
    settings = SwapSettings(threshold=threshold, axes=normalize_axes(axes, image.ndim, "image"))
    return cast(ArrayT, kernel_for(image).analyze(image, settings.for_shape(image.shape)))


def from_low_frequency(coefficients: ArrayT, shape: Sequence[int], *, axes: int | Sequence[int] = (-2, -1)) -> ArrayT:
    r"""Smooth image made of the given coefficients: the adjoint of :func:`low_frequency`.

    For two axes :math:`X = C_y^T F C_x`. Analysis after synthesis gives the coefficients back; synthesis after
    analysis is the projection of an image onto its low frequencies.

    Args:
        coefficients: array whose size along each of ``axes`` is the number of coefficients.
        shape: shape of the image; equal to that of ``coefficients`` along all other axes.
        axes: the transformed axes.

    Returns:
        Array of ``shape``, of the coefficients' kind, device and floating dtype (float32 for integers).

    Raises:
        TypeError: not an array, or boolean or complex.
        ValueError: ``shape`` does not fit the coefficients.

    >>> import numpy as np
    >>> from_low_frequency(np.array([[40.0]]), (4, 4))[0]
    array([10., 10., 10., 10.])
    """
    check_array(coefficients, "coefficients")
    normal_axes = normalize_axes(axes, coefficients.ndim, "coefficients")
    fits = len(shape) == coefficients.ndim and all(
        have <= want if axis - coefficients.ndim in normal_axes else have == want
        for axis, (have, want) in enumerate(zip(coefficients.shape, shape, strict=False))
    )
    if not fits:
        raise ValueError(
            f"shape {tuple(shape)} does not fit coefficients of shape {tuple(coefficients.shape)}: along the axes "
            f"{normal_axes} it must be at least as large, along all others equal."
        )
    square = {coefficients.shape[axis] for axis in normal_axes}
    if len(square) > 1:
        raise ValueError(f"coefficients of shape {tuple(coefficients.shape)} differ in number along {normal_axes}.")
    sizes = tuple(int(size) for size in shape)
    settings = SwapSettings(threshold=square.pop(), axes=normal_axes)
    return cast(ArrayT, kernel_for(coefficients).synthesize(coefficients, sizes, settings))


def add_field(image: Any, delta: Any, axes: tuple[int, ...]) -> Any:
    """``image`` plus the smooth field made of ``delta``; kind of the image, dtype of a result."""
    return kernel_for(image).add(image, delta, SwapSettings(threshold=delta.shape[axes[0]], axes=axes))
