"""NumPy kernel: low-frequency analysis and synthesis in slabs that stay in the cache.

Three facts decide its shape, each measured on two cores with 310 × 200 × 200 float32:

* Two thin matrix products per slice cost little more than reading the slice, so memory traffic is what counts. A slab
  is first copied into the output (a streaming read, which the prefetcher serves; the row-wise products alone read
  main memory at a fifth of that speed), then analyzed, synthesized and added while it is in the second-level cache.
* OpenBLAS starts threads of its own above about 2^18 multiply-adds per product, and together with our threads these
  thrash. Products are therefore issued in batches below that size.
* The order of the axes in memory, not their meaning, decides the speed: everything works on a view whose strides fall.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import output_dtype, work_dtype

Index = tuple[int | slice, ...]
Change = Callable[[NDArray[Any], Index], NDArray[Any]]

_SLAB_BYTES = 2048 * 1024
_ONE_PASS_BYTES = 4 * 2**20
_SERIAL_BYTES = 2**20
_SERIAL_PRODUCTS = 2**18


def worker_count(workers: int | None) -> int:
    """Number of threads: the given one, else what the process may use.

    Torch's own setting counts where torch is loaded, since a data-loader worker runs with one thread.
    """
    if workers is not None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers must be an integer of at least 1, or None; given {workers!r}.")
        return workers
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    setting = os.environ.get("OMP_NUM_THREADS", "")
    if setting.isdigit() and int(setting) > 0:
        allowed = min(allowed, int(setting))
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        allowed = min(allowed, torch.get_num_threads())
    return max(1, allowed)


@dataclass(frozen=True)
class _Axis:
    """One transformed axis: its basis (k, n) and the transpose, both contiguous (strided ones cost up to 3 times)."""

    basis: NDArray[Any]
    transposed: NDArray[Any]
    exact: NDArray[np.float64]


def _batch(rows: int, limit: int) -> int:
    """Rows per product, at most ``limit``, without a remainder where that costs less than twice as many products."""
    fewest = -(-rows // limit)
    return next((rows // count for count in range(fewest, 2 * fewest) if rows % count == 0), limit)


def _multiply(block: NDArray[Any], axis: int, left: NDArray[Any], right: NDArray[Any], out: NDArray[Any]) -> None:
    """Replace ``axis`` of ``block`` by ``left @``; ``right`` is its transpose, for the last axis."""
    new, old = left.shape
    if axis == block.ndim - 1:
        rows, result = block.reshape(-1, old), out.reshape(-1, new)
        batch = _batch(len(rows), max(1, _SERIAL_PRODUCTS // max(1, new * old)))
        whole = len(rows) // batch * batch
        np.matmul(rows[:whole].reshape(-1, batch, old), right, out=result[:whole].reshape(-1, batch, new))
        if whole < len(rows):
            np.matmul(rows[whole:], right, out=result[whole:])
        return
    outer = math.prod(block.shape[:axis])
    columns, target = block.reshape(outer, old, -1), out.reshape(outer, new, -1)
    step = max(1, _SERIAL_PRODUCTS // max(1, new * old))
    for first in range(0, columns.shape[-1], step):
        part = slice(first, first + step)
        np.matmul(left, columns[..., part], out=target[..., part])


def _contract(block: NDArray[Any], axes: Sequence[_Axis | None]) -> NDArray[Any]:
    """Coefficients; every axis after the first is summed in float64, which costs nothing and saves nine tenths of the
    rounding error: sums over a whole slice of air are a million times the precision asked for."""
    for number in reversed(range(block.ndim)):
        axis = axes[number]
        if axis is not None:
            shape = (*block.shape[:number], len(axis.basis), *block.shape[number + 1 :])
            smaller = np.empty(shape, block.dtype)
            basis = axis.basis if block.dtype == axis.basis.dtype else axis.exact
            _multiply(block, number, basis, axis.transposed if basis is axis.basis else basis.T, smaller)
            block = smaller.astype(np.float64, copy=False)
    return block


def _expand(block: NDArray[Any], axes: Sequence[_Axis | None], out: NDArray[Any]) -> None:
    numbers = [number for number in range(block.ndim) if axes[number] is not None]
    if not numbers:
        np.copyto(out, block)
    for number in numbers:
        axis = axes[number]
        assert axis is not None
        shape = (*block.shape[:number], len(axis.transposed), *block.shape[number + 1 :])
        larger = out if number == numbers[-1] else np.empty(shape, block.dtype)
        _multiply(block, number, axis.transposed, axis.basis, larger)
        block = larger


def _each(tasks: Sequence[Any], start: Callable[[], Callable[[Any], None]], workers: int) -> None:
    """Run every task once; ``start`` makes one worker with scratch memory of its own."""
    queue = iter(tasks)

    def drain() -> None:
        # Values that are not finite are found in the coefficients and reported there.
        with np.errstate(all="ignore"):
            step = start()
            for task in queue:
                step(task)

    workers = min(workers, len(tasks))
    if workers <= 1:
        drain()
        return
    with ThreadPoolExecutor(workers - 1) as pool:
        futures = [pool.submit(drain) for _ in range(workers - 1)]
        drain()
        for future in futures:
            future.result()


@dataclass(frozen=True)
class _Job:
    """What to do: ``change`` turns the coefficients of a slab into the move that is synthesized and added."""

    change: Change
    out: NDArray[Any] | None
    clip: tuple[float, float] | None
    analyze: bool


class Kernel:
    """Analysis, synthesis and both in one go over one image; the image itself is never written to.

    Args:
        image: array of any strides and of a dtype that ``check_array`` admits.
        bases: for every transformed axis (counted from the end) its float64 basis of shape (k, n).
        workers: number of threads, None for all that the process may use.
    """

    def __init__(self, image: NDArray[Any], bases: dict[int, NDArray[np.float64]], workers: int | None = None) -> None:
        self.dtype = work_dtype(image.dtype)
        self.out_dtype = output_dtype(image.dtype)
        self.workers = 1 if image.nbytes < _SERIAL_BYTES else worker_count(workers)
        by_stride = sorted(range(image.ndim), key=lambda axis: (image.shape[axis] > 1, -abs(image.strides[axis])))
        self.order = tuple(by_stride)
        # Along an axis with one sample the transform is the identity; left out, it cannot stand in the way of slabs.
        bases = {axis: basis for axis, basis in bases.items() if image.shape[axis] > 1} or bases
        # One leading axis of size 1, so that there always is something to cut slabs from.
        self.image = np.asarray(image).transpose(self.order)[None]
        axes: list[_Axis | None] = [None]
        for axis in self.order:
            basis = bases.get(axis - image.ndim)
            axes.append(None if basis is None else self._axis(basis))
        self.axes = tuple(axes)
        self.lead = next(number for number, axis in enumerate(self.axes) if axis is not None)
        core = math.prod(self.image.shape[self.lead :])
        self.one_pass = core * self.dtype.itemsize <= _ONE_PASS_BYTES
        self.coefficient_shape = tuple(
            size if axis is None else len(axis.basis) for size, axis in zip(self.image.shape, self.axes, strict=True)
        )

    def _axis(self, basis: NDArray[np.float64]) -> _Axis:
        rows = np.ascontiguousarray(basis, dtype=self.dtype)
        return _Axis(rows, np.ascontiguousarray(rows.T), np.ascontiguousarray(basis))

    def _to_memory_order(self, coefficients: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(coefficients.transpose(self.order)[None], dtype=self.dtype)

    def _to_image_order(self, array: NDArray[Any]) -> NDArray[Any]:
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return np.asarray(array[0].transpose(inverse))

    def analyze(self) -> NDArray[Any]:
        """Coefficients, in the axis order of the image."""
        found = np.empty(self.coefficient_shape, self.dtype)

        def keep(coefficients: NDArray[Any], index: Index) -> NDArray[Any]:
            found[index] = coefficients
            return coefficients

        self._run(keep, None)
        return self._to_image_order(found)

    def add(self, delta: NDArray[Any]) -> NDArray[Any]:
        """Image plus the synthesis of ``delta``."""
        stored = self._to_memory_order(delta)
        out = np.empty(self.image.shape, self.out_dtype)
        self._run(lambda _, index: stored[index], out, analyze=False)
        return self._to_image_order(out)

    def swap(
        self, target: NDArray[Any], weight: NDArray[Any], clip: tuple[float, float] | None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Image with its coefficients moved by ``weight`` towards ``target``, and the move itself (delta).

        ``target`` and ``weight`` broadcast to the coefficients' shape in the axis order of the image.
        """
        shape = tuple(size for _, size in sorted(zip(self.order, self.coefficient_shape[1:], strict=True)))
        wanted = self._to_memory_order(np.broadcast_to(target, shape))
        share = self._to_memory_order(np.broadcast_to(weight, shape))
        delta = np.empty(self.coefficient_shape, self.dtype)
        out = np.empty(self.image.shape, self.out_dtype)

        def change(coefficients: NDArray[Any], index: Index) -> NDArray[Any]:
            delta[index] = (wanted[index] - coefficients) * share[index]
            return delta[index]

        self._run(change, out, clip)
        return self._to_image_order(out), self._to_image_order(delta)

    def _run(
        self,
        change: Change,
        out: NDArray[Any] | None,
        clip: tuple[float, float] | None = None,
        *,
        analyze: bool = True,
    ) -> None:
        job = _Job(change, out, clip, analyze)
        if self.one_pass:
            _each(list(self._slabs(self.lead - 1)), lambda: self._single(job), self.workers)
            return
        for index in np.ndindex(*self.image.shape[: self.lead]):
            self._double(index, job)

    def _slabs(self, axis: int, fixed: Sequence[int] | None = None) -> Iterator[Index]:
        """Index tuples that cut ``axis`` into slabs, for every (or one fixed) position on the axes before it."""
        item = math.prod(self.image.shape[axis + 1 :]) * self.dtype.itemsize
        size, thickness = self.image.shape[axis], max(1, _SLAB_BYTES // item)
        for index in [tuple(fixed)] if fixed is not None else np.ndindex(*self.image.shape[:axis]):
            for first in range(0, size, thickness):
                yield (*index, slice(first, min(first + thickness, size)))

    def _borrower(self, out: NDArray[Any] | None) -> Callable[[Index], NDArray[Any]]:
        """Function that lends memory for a slab in the working dtype: the output's own where the dtypes agree."""
        if out is not None and out.dtype == self.dtype:
            return lambda index: out[index]
        scratch: dict[tuple[int, ...], NDArray[Any]] = {}

        def borrow(index: Index) -> NDArray[Any]:
            shape = self.image[index].shape
            if shape not in scratch:
                scratch.clear()
                scratch[shape] = np.empty(shape, self.dtype)
            return scratch[shape]

        return borrow

    def _load(self, slab: NDArray[Any], index: Index) -> None:
        np.copyto(slab, self.image[index], casting="unsafe")

    def _finish(self, job: _Job, index: Index, slab: NDArray[Any], field: NDArray[Any]) -> None:
        assert job.out is not None
        np.add(slab, field, out=slab)
        if job.clip is not None:
            np.clip(slab, *job.clip, out=slab)
        if job.out.dtype != self.dtype:
            np.copyto(job.out[index], slab, casting="same_kind")

    def _single(self, job: _Job) -> Callable[[Index], None]:
        """Worker for items that fit in the cache: load, analyze, synthesize, add, store."""
        slab_of, field_of = self._borrower(job.out), self._borrower(None)
        axes = self.axes[self.lead - 1 :]

        def work(index: Index) -> None:
            slab = slab_of(index)
            self._load(slab, index)
            move = job.change(_contract(slab, axes) if job.analyze else slab, index)
            if job.out is not None:
                field = field_of(index)
                _expand(move, axes, field)
                self._finish(job, index, slab, field)

        return work

    def _double(self, index: tuple[int, ...], job: _Job) -> None:
        """Large items: one pass collects the coefficients slab by slab, a second one adds the field."""
        tasks = list(enumerate(self._slabs(self.lead, index)))
        first = self.axes[self.lead]
        assert first is not None
        axes = (None, *self.axes[self.lead + 1 :])
        parts: list[Any] = [None] * len(tasks)

        def collect() -> Callable[[tuple[int, Index]], None]:
            slab_of = self._borrower(job.out)

            def work(task: tuple[int, Index]) -> None:
                number, where = task
                slab = slab_of(where)
                self._load(slab, where)
                part = _contract(slab, axes)
                rows = first.exact[:, where[-1]] @ part.reshape(len(part), -1)
                parts[number] = rows.reshape(-1, *part.shape[1:])

            return work

        def add() -> Callable[[tuple[int, Index]], None]:
            slab_of, field_of = self._borrower(job.out), self._borrower(None)

            def work(task: tuple[int, Index]) -> None:
                where = task[1]
                slab, field = slab_of(where), field_of(where)
                if not loaded:
                    self._load(slab, where)
                rows = first.transposed[where[-1]] @ move.reshape(len(move), -1)
                _expand(rows.reshape(-1, *move.shape[1:]), axes, field)
                self._finish(job, where, slab, field)

            return work

        coefficients = np.empty(0, self.dtype)
        if job.analyze:
            _each(tasks, collect, self.workers)
            # Summed in slab order, so that the result does not depend on which thread was first.
            with np.errstate(all="ignore"):
                coefficients = np.sum(parts, axis=0, dtype=np.float64).astype(self.dtype)
        move = job.change(coefficients, index)
        loaded = job.analyze and job.out is not None and job.out.dtype == self.dtype
        if job.out is not None:
            _each(tasks, add, self.workers)
