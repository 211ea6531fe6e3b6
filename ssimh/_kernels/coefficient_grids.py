"""Coefficients of the same image on another grid or in another orientation, without the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def resize_coefficients(
    coefficients: NDArray[Any], axes: Sequence[int], old: Sequence[int], new: Sequence[int]
) -> NDArray[np.float64]:
    r"""Coefficients on a grid of another size over the same field of view.

    A coefficient of N samples becomes :math:`\sqrt{N'/N}` times as large on N' samples; axes that are not transformed
    are resampled by their own cosine series.

    Args:
        coefficients: of an image of shape ``old``.
        axes: transformed axes, counted from the end.
        old: shape of the image.
        new: shape of the other grid.
    """
    values = coefficients.astype(np.float64)
    for axis, (size, other) in enumerate(zip(old, new, strict=True)):
        if size != other:
            transformed = axis - len(new) in axes
            values = values * np.sqrt(other / size) if transformed else _resample(values, axis, other)
    return values


def turn_coefficients(
    coefficients: NDArray[Any], transformed: set[int], order: Sequence[int], flips: Sequence[bool]
) -> NDArray[Any]:
    """Coefficients of the image with its axes permuted and flipped; exact.

    Args:
        coefficients: of the image as it is.
        transformed: transformed axes of the image as it is, counted from the start.
        order: axis of the image for every axis of the result.
        flips: whether each axis of the result is flipped. Flipping multiplies coefficient k by (-1)^k.
    """
    values = coefficients.transpose(order)
    for axis, flip in enumerate(flips):
        if flip and order[axis] in transformed:
            signs = (-1.0) ** np.arange(values.shape[axis])
            values = values * signs.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1 - axis))
        elif flip:
            values = np.flip(values, axis)
    return values


def _resample(values: NDArray[np.float64], axis: int, new: int) -> NDArray[np.float64]:
    """Samples of the axis' cosine series on ``new`` points over the same extent."""
    import scipy.fft

    series = np.moveaxis(scipy.fft.dct(values, axis=axis, norm="ortho"), axis, -1)
    old = series.shape[-1]
    padded = np.zeros((*series.shape[:-1], new))
    padded[..., : min(old, new)] = series[..., :new]
    return np.moveaxis(scipy.fft.idct(padded, axis=-1, norm="ortho") * np.sqrt(new / old), -1, axis)
