"""Low frequencies in a box that is not the image's grid: weighted least squares, for NumPy arrays and tensors alike.

Sums and products are in float64 (float32 on devices that lack it), slab by slab, so that no float64 copy of the image
is made; what is solved has the size of the coefficients. Torch records the operations, so gradients pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import is_tensor
from ssimh._kernels.box_axis import BoxAxis
from ssimh._kernels.dispatch import kernel_for

Box = tuple[BoxAxis, BoxAxis, BoxAxis]
Matrices = dict[int, NDArray[np.float64]]

# Directions whose eigenvalue of the Gram matrix is below this part of the largest one are left out of the solution.
CUT_OFF = 1e-10
_CUT_OFF_FLOAT32 = 1e-4
_HOST_SLAB_BYTES = 4 * 2**20
_DEVICE_SLAB_BYTES = 64 * 2**20
_GRAM_BYTES = 64 * 2**20
_LARGEST_SYSTEM = 4096


def fit_in_box(image: Any, box: Box, inside: Any | None, threshold: int, axes: tuple[int, ...]) -> Any:
    """Coefficients of the reference's basis that fit the image best in the box.

    Minimizes the sum over the voxels of (share of the voxel in the box) · (value - fit)², inside the mask. Where the
    voxels do not determine the coefficients, those of the smallest norm are taken, without the directions below
    :data:`CUT_OFF`.

    Args:
        image: array or tensor, the last three axes are the box's.
        box: of each of these axes.
        inside: mask of the last three axes or more, or None.
        threshold: number of functions per axis, 1 or more.
        axes: transformed axes of the image, counted from the end.

    Returns:
        Array of the image's kind in the dtype of the computation: transformed axes have ``threshold`` places, others
        one for every slice whose center is in the box.

    Raises:
        ValueError: with a mask, more than 4096 coefficients that depend on each other.
    """
    shape, bases, shares = tuple(image.shape), {}, {}
    window = tuple(
        place.touched(n) if axis in axes else place.centered(n)
        for axis, place, n in zip((-3, -2, -1), box, shape[-3:], strict=True)
    )
    for axis in axes:
        place, part = box[axis + 3], window[axis + 3]
        bases[axis], shares[axis] = place.basis(shape[axis], threshold)[:, part], place.shares(shape[axis])[part]
    values = image[(..., *window)]
    if inside is None:
        return _solve_separable(values, bases, shares)
    count = threshold ** len(axes)
    if count > _LARGEST_SYSTEM:
        raise ValueError(
            f"threshold={threshold} along {len(axes)} axes makes {count} coefficients, and inside a mask all depend on "
            f"each other; at most {_LARGEST_SYSTEM} can be solved for. Lower the threshold, or leave out mask and "
            "background."
        )
    mask = inside[(..., *window)]
    stacked = next((axis for axis in (-3, -2, -1) if axis not in axes), None)
    if stacked is None:
        return _solve_masked(values, mask, bases, shares)
    step, found = max(1, _GRAM_BYTES // (8 * count**2)), []
    for first in range(0, values.shape[stacked], step):  # so many slices that their Gram matrices stay small
        group = [slice(None)] * 3
        group[stacked + 3] = slice(first, first + step)
        found.append(_solve_masked(values[(..., *group)], mask[(..., *group)], bases, shares))
    return _namespace(image).concatenate(found, axis=stacked)


def add_in_box(
    image: Any, delta: Any, box: Box, inside: Any | None, axes: tuple[int, ...], clip: tuple[float, float] | None = None
) -> Any:
    """Image plus the field made of ``delta``, where the voxel's center is in the box and inside the mask.

    Args:
        image: as in :func:`fit_in_box`; not modified.
        delta: change of the coefficients, as :func:`fit_in_box` returns them.
        box, inside, axes: as in :func:`fit_in_box`.
        clip: limits of the result there.

    Returns:
        Array of the image's kind, in the floating dtype of a result; everything else keeps its value bit by bit.
    """
    kernel = kernel_for(image)
    out = kernel.convert(_plain(image), None)
    window = tuple(place.centered(n) for place, n in zip(box, image.shape[-3:], strict=True))
    target = out[(..., *window)]
    mask = None if inside is None else inside[(..., *window)]
    source, field, xp = _plain(image)[(..., *window)], delta, _namespace(image)
    rows = {axis: box[axis + 3].basis(image.shape[axis], delta.shape[axis])[:, window[axis + 3]].T for axis in axes}
    for part in _slabs(source):
        slab = _along(rows[-3][part], field, -3) if -3 in axes else field[..., part, :, :]
        for axis in (-2, -1):
            slab = _along(rows[axis], slab, axis) if axis in axes else slab
        here = (..., part, slice(None), slice(None))
        slab = widen(source[here]) + slab
        slab = slab if clip is None else slab.clip(*clip)
        slab = slab.to(out.dtype) if is_tensor(slab) else slab.astype(out.dtype)
        target[here] = slab if mask is None else xp.where(mask[here], slab, target[here])
    return _like(out, image)


def interpolate_slices(coefficients: Any, box: Box, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The reference's coefficients at the image's slices whose center is in the box.

    Args:
        coefficients: in the order of the image's axes.
        box, axes: as in :func:`fit_in_box`.
        shape: of the image.
    """
    for axis in (-3, -2, -1):
        if axis not in axes:
            place, n = box[axis + 3], shape[axis]
            coefficients = _along(place.interpolation(n)[place.centered(n)], coefficients, axis)
    return coefficients


def widen(values: Any) -> Any:
    """Values in the dtype of the computation, in memory of their own order."""
    if not is_tensor(values):
        return np.array(values, dtype=np.float64, order="C")
    import torch

    return _plain(values).to(torch.float32 if values.device.type == "mps" else torch.float64)


def as_wide(array: Any, image: Any) -> Any:
    """A small array, or tensor, in the dtype of the computation, of the image's kind and on its device."""
    if not is_tensor(image):
        return np.asarray(array, dtype=np.float64)
    import torch

    if is_tensor(array):
        return widen(array.to(image.device))
    dtype = torch.float32 if image.device.type == "mps" else torch.float64
    return torch.tensor(np.asarray(array), dtype=dtype, device=image.device)


def _namespace(values: Any) -> Any:
    if not is_tensor(values):
        return np
    import torch

    return torch


def _plain(image: Any) -> Any:
    if not is_tensor(image):
        return np.asarray(image)
    from ssimh._kernels import torch_kernel

    return torch_kernel.plain(image)


def _like(out: Any, image: Any) -> Any:
    if not is_tensor(image):
        return out
    from ssimh._kernels import torch_kernel

    return torch_kernel.like(out, image)


def _along(matrix: Any, values: Any, axis: int) -> Any:
    """Product of ``matrix`` (new, old) with one of the last three axes."""
    matrix = as_wide(matrix, values)
    if axis == -1:
        return values @ matrix.T
    if axis == -2:
        return matrix @ values
    *lead, _, rows, columns = values.shape
    return (matrix @ values.reshape(*lead, -1, rows * columns)).reshape(*lead, len(matrix), rows, columns)


def _slabs(values: Any) -> list[slice]:
    """Parts of the third last axis whose float64 copy is small."""
    limit = _HOST_SLAB_BYTES if not is_tensor(values) or values.device.type == "cpu" else _DEVICE_SLAB_BYTES
    size = values.shape[-3]
    step = max(1, limit * size // max(1, 8 * math.prod(values.shape)))
    return [slice(first, min(first + step, size)) for first in range(0, size, step)]


def _contract(values: Any, matrices: Mapping[int, NDArray[np.float64]], mask: Any | None) -> Any:
    """Product of the values (0 outside the mask) with a matrix (rows, n) along each of its axes, slab by slab."""
    xp, found, values = _namespace(values), [], _plain(values)
    for part in _slabs(values):
        block = widen(values[..., part, :, :])
        if mask is not None:  # not a product: outside the mask, NaN is no more than padding
            block = xp.where(mask[..., part, :, :], block, xp.zeros_like(block))
        for axis in (-1, -2):
            block = _along(matrices[axis], block, axis) if axis in matrices else block
        if -3 not in matrices:
            found.append(block)
        else:
            block = _along(matrices[-3][:, part], block, -3)
            found = [found[0] + block] if found else [block]
    return found[0] if len(found) == 1 else xp.concatenate(found, axis=-3)


def _cut_off(values: Any) -> float:
    return _CUT_OFF_FLOAT32 if str(values.dtype) == "torch.float32" else CUT_OFF


def _solve_separable(values: Any, bases: Matrices, shares: Matrices) -> Any:
    """Solution for a box-shaped part: eigenvectors and eigenvalues are products over the axes."""
    moments = _contract(values, {axis: bases[axis] * shares[axis] for axis in bases}, None)
    systems = {axis: np.linalg.eigh((bases[axis] * shares[axis]) @ bases[axis].T) for axis in bases}
    spectrum = np.ones((1, 1, 1))
    for axis, (eigenvalues, vectors) in systems.items():
        spectrum = spectrum * eigenvalues.reshape([-1 if number == axis else 1 for number in (-3, -2, -1)])
        moments = _along(vectors.T, moments, axis)
    kept = spectrum > _cut_off(moments) * spectrum.max()
    moments = moments * as_wide(kept / np.where(kept, spectrum, 1.0), moments)
    for axis, (_, vectors) in systems.items():
        moments = _along(vectors, moments, axis)
    return moments


def _solve_masked(values: Any, mask: Any, bases: Matrices, shares: Matrices) -> Any:
    """Solution inside a mask: one Gram matrix for every slice, from the sums of products of two functions."""
    xp, axes, k = _namespace(values), tuple(bases), len(next(iter(bases.values())))
    first, second = np.triu_indices(k)
    place = np.zeros((k, k), dtype=np.int64)
    place[first, second] = place[second, first] = np.arange(len(first))
    weighted = {axis: bases[axis] * shares[axis] for axis in axes}
    pairs = _contract(mask, {axis: weighted[axis][first] * bases[axis][second] for axis in axes}, None)
    functions = np.array(list(product(range(k), repeat=len(axes)))).T
    index = [place[each[:, None], each[None, :]] for each in functions]
    if is_tensor(values):
        index = [xp.as_tensor(each, device=values.device) for each in index]
    ends = tuple(range(-len(axes), 0))
    gram = xp.moveaxis(pairs, axes, ends)[(..., *index)]
    moments = xp.moveaxis(_contract(values, weighted, mask), axes, ends)
    eigenvalues, vectors = xp.linalg.eigh(gram)
    kept = eigenvalues > _cut_off(gram) * eigenvalues[..., -1:]
    inverse = xp.where(kept, 1.0 / xp.where(kept, eigenvalues, xp.ones_like(eigenvalues)), xp.zeros_like(eigenvalues))
    flat = moments.reshape(*moments.shape[: moments.ndim - len(axes)], -1, 1)
    solved = vectors @ (inverse[..., None] * (vectors.swapaxes(-1, -2) @ flat))
    return xp.moveaxis(solved.reshape(moments.shape), ends, axes)
