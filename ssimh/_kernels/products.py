"""Thin matrix products along the axes of an array, in batches that BLAS computes on the calling thread.

OpenBLAS starts threads of its own above about 2^18 multiply-adds per product, and together with our threads these
thrash.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.blas import add_product

_SERIAL_PRODUCTS = 2**18


@dataclass(frozen=True)
class Axis:
    """One transformed axis: its basis (k, n) and the transpose, both contiguous (strided ones cost up to 3 times)."""

    basis: NDArray[Any]
    transposed: NDArray[Any]
    exact: NDArray[np.float64]


def contract(block: NDArray[Any], axes: Sequence[Axis | None]) -> NDArray[Any]:
    """Coefficients of a block.

    Every axis after the first is summed in float64, which costs nothing and saves nine tenths of the rounding error:
    sums over a whole slice of air are a million times the precision asked for.
    """
    for number in reversed(range(block.ndim)):
        axis = axes[number]
        if axis is not None:
            shape = (*block.shape[:number], len(axis.basis), *block.shape[number + 1 :])
            smaller = np.empty(shape, block.dtype)
            basis = axis.basis if block.dtype == axis.basis.dtype else axis.exact
            _multiply(block, number, basis, axis.transposed if basis is axis.basis else basis.T, smaller)
            block = smaller.astype(np.float64, copy=False)
    return block


def add_expanded(block: NDArray[Any], axes: Sequence[Axis | None], out: NDArray[Any]) -> None:
    """Add the synthesis of the coefficients ``block`` to ``out``, contiguous, in one pass over it."""
    numbers = [number for number in range(block.ndim) if axes[number] is not None]
    if not numbers:
        out += block
    for number in numbers:
        axis = axes[number]
        assert axis is not None
        if number == numbers[-1]:
            _add_multiplied(block, number, axis.transposed, axis.basis, out)
            return
        shape = (*block.shape[:number], len(axis.transposed), *block.shape[number + 1 :])
        larger = np.empty(shape, block.dtype)
        _multiply(block, number, axis.transposed, axis.basis, larger)
        block = larger


def _batch(rows: int, limit: int) -> int:
    """Rows per product, at most ``limit``, without a remainder where that costs less than twice as many products."""
    fewest = -(-rows // limit)
    return next((rows // count for count in range(fewest, 2 * fewest) if rows % count == 0), limit)


def _limit(matrix: NDArray[Any]) -> int:
    """Rows or columns per product with a matrix."""
    return max(1, _SERIAL_PRODUCTS // max(1, matrix.size))


def _multiply(block: NDArray[Any], axis: int, left: NDArray[Any], right: NDArray[Any], out: NDArray[Any]) -> None:
    """Replace ``axis`` of ``block`` by ``left @``; ``right`` is its transpose, for the last axis."""
    new, old = left.shape
    if axis == block.ndim - 1:
        rows, result = block.reshape(-1, old), out.reshape(-1, new)
        batch = _batch(len(rows), _limit(left))
        whole = len(rows) // batch * batch
        np.matmul(rows[:whole].reshape(-1, batch, old), right, out=result[:whole].reshape(-1, batch, new))
        if whole < len(rows):
            np.matmul(rows[whole:], right, out=result[whole:])
        return
    outer = math.prod(block.shape[:axis])
    columns, target = block.reshape(outer, old, -1), out.reshape(outer, new, -1)
    for part in _parts(columns.shape[-1], _limit(left)):
        np.matmul(left, columns[..., part], out=target[..., part])


def _add_multiplied(block: NDArray[Any], axis: int, left: NDArray[Any], right: NDArray[Any], out: NDArray[Any]) -> None:
    """As :func:`_multiply`, added to ``out``."""
    new, old = left.shape
    if axis == block.ndim - 1:
        rows, result = block.reshape(-1, old), out.reshape(-1, new)
        add_product(rows, right, result, _batch(len(rows), _limit(left)))
        return
    outer = math.prod(block.shape[:axis])
    columns, target = block.reshape(outer, old, -1), out.reshape(outer, new, -1)
    for part in _parts(columns.shape[-1], _limit(left)):
        for one, result in zip(columns, target, strict=True):
            add_product(left, one[:, part], result[:, part])


def _parts(count: int, limit: int) -> Iterator[slice]:
    """Slices of at most ``limit`` that cover ``count``."""
    for first in range(0, count, limit):
        yield slice(first, first + limit)
