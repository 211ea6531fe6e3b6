"""NumPy kernel: low-frequency analysis and synthesis in slabs that stay in the cache.

Two facts decide its shape, each measured on two cores with 310 × 200 × 200 float32:

* Two thin matrix products per slice cost little more than reading the slice, so memory traffic is what counts. A slab
  is first copied into the output (a streaming read, which the prefetcher serves; the row-wise products alone read
  main memory at a fifth of that speed), then analyzed, and the synthesis added by BLAS in one pass, while the slab is
  in the cache.
* The order of the axes in memory, not their meaning, decides the speed: everything works on a view whose strides fall.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels import fft
from ssimh._kernels.arrays import output_dtype, to_numpy, work_dtype
from ssimh._kernels.products import Axis, add_expanded, contract
from ssimh._kernels.settings import SwapSettings
from ssimh._kernels.threads import worker_count

Index = tuple[int | slice, ...]
Change = Callable[[NDArray[Any], Index], NDArray[Any]]

# Whoever waits for the interpreter's lock is woken late: slabs larger than the second-level cache mean fewer calls.
# With half a megabyte a swap takes 1.7 times as long on two threads.
_SLAB_BYTES = 2**22
_ONE_PASS_BYTES = 4 * 2**20
_SERIAL_BYTES = 2**20


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
class _Layout:
    """One image as the kernel works on it; the image itself is never written to.

    Args:
        image: read-only view in memory order, strides falling, with one leading axis of size 1 so that there always is
            something to cut slabs from.
        order: axis of the caller's image for every axis of the view after the first.
        axes: the basis of every axis of the view, None where it is not transformed.
        lead: the first transformed axis of the view.
        dtype: working dtype.
        workers: number of threads.
    """

    image: NDArray[Any]
    order: tuple[int, ...]
    axes: tuple[Axis | None, ...]
    lead: int
    dtype: np.dtype[Any]
    workers: int

    @property
    def coefficient_shape(self) -> tuple[int, ...]:
        return tuple(
            size if axis is None else len(axis.basis) for size, axis in zip(self.image.shape, self.axes, strict=True)
        )

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array of the image's shape as the kernel works on it."""
        return array.transpose(self.order)[None]

    def to_memory_order(self, coefficients: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(coefficients.transpose(self.order)[None], dtype=self.dtype)

    def to_image_order(self, array: NDArray[Any]) -> NDArray[Any]:
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return np.asarray(array[0].transpose(inverse))

    def slabs(self, axis: int, fixed: Sequence[int] | None = None) -> Iterator[Index]:
        """Index tuples that cut ``axis`` into slabs, for every (or one fixed) position on the axes before it."""
        item = math.prod(self.image.shape[axis + 1 :]) * self.dtype.itemsize
        size = self.image.shape[axis]
        count = -(-size // max(1, _SLAB_BYTES // item))
        if count > 1:  # as many for each of two or four workers; results do not depend on the number of workers
            count = min(size, -(-count // 4) * 4)
        thickness = -(-size // count)
        for index in [tuple(fixed)] if fixed is not None else np.ndindex(*self.image.shape[:axis]):
            for first in range(0, size, thickness):
                yield (*index, slice(first, min(first + thickness, size)))

    def works_in(self, out: NDArray[Any] | None) -> bool:
        """Whether slabs are computed in the output's own memory: of the working dtype, and in the image's order."""
        return out is not None and out.dtype == self.dtype and out.flags.c_contiguous

    def lender(self, out: NDArray[Any] | None) -> Callable[[Index], NDArray[Any]]:
        """Function that lends memory for a slab in the working dtype: the output's own where that serves."""
        if self.works_in(out):
            assert out is not None
            return lambda index: out[index]
        scratch: dict[tuple[int, ...], NDArray[Any]] = {}

        def lend(index: Index) -> NDArray[Any]:
            shape = self.image[index].shape
            if shape not in scratch:
                scratch.clear()
                scratch[shape] = np.empty(shape, self.dtype)
            return scratch[shape]

        return lend

    def load(self, slab: NDArray[Any], index: Index) -> None:
        np.copyto(slab, self.image[index], casting="unsafe")


def _arrange(image: NDArray[Any], settings: SwapSettings) -> _Layout:
    dtype = work_dtype(image.dtype)
    workers = 1 if image.nbytes < _SERIAL_BYTES else worker_count(settings.workers)
    order = tuple(sorted(range(image.ndim), key=lambda axis: (image.shape[axis] > 1, -abs(image.strides[axis]))))
    bases = settings.bases(image.shape)
    # Along an axis with one sample the transform is the identity; left out, it cannot stand in the way of slabs.
    bases = {axis: basis for axis, basis in bases.items() if image.shape[axis] > 1} or bases
    axes: list[Axis | None] = [None]
    for axis in order:
        basis = bases.get(axis - image.ndim)
        if basis is None:
            axes.append(None)
        else:
            rows = np.ascontiguousarray(basis, dtype=dtype)
            axes.append(Axis(rows, np.ascontiguousarray(rows.T), np.ascontiguousarray(basis)))
    lead = next(number for number, axis in enumerate(axes) if axis is not None)
    return _Layout(np.asarray(image).transpose(order)[None], order, tuple(axes), lead, dtype, workers)


@dataclass(frozen=True)
class _Job:
    """What to do: ``change`` turns the coefficients of a slab into the move that is synthesized and added."""

    change: Change
    out: NDArray[Any] | None
    clip: tuple[float, float] | None = None
    analyze: bool = True

    def finish(self, index: Index, slab: NDArray[Any], move: NDArray[Any], axes: Sequence[Axis | None]) -> None:
        """Add the synthesis of a move to a slab, clip it, and store it where it is not the output's own memory."""
        assert self.out is not None
        add_expanded(move, axes, slab)
        if self.clip is not None:
            np.clip(slab, *self.clip, out=slab)
        if not np.may_share_memory(self.out, slab):
            np.copyto(self.out[index], slab, casting="same_kind")


def analyze(image: NDArray[Any], settings: SwapSettings) -> NDArray[Any]:
    """Low-frequency coefficients in the working dtype; ``settings`` have been checked against the image's shape."""
    if settings.threshold == 0:
        return np.zeros(settings.corner_shape(image.shape), work_dtype(image.dtype))
    layout = _arrange(image, settings)
    found = np.empty(layout.coefficient_shape, layout.dtype)

    def keep(coefficients: NDArray[Any], index: Index) -> NDArray[Any]:
        found[index] = coefficients
        return coefficients

    _run(layout, _Job(keep, None))
    return layout.to_image_order(found)


def add(image: NDArray[Any], delta: NDArray[Any], settings: SwapSettings) -> NDArray[Any]:
    """Image plus the synthesis of ``delta``, in the floating dtype of a result."""
    layout = _arrange(image, settings)
    stored = layout.to_memory_order(delta)
    out = np.empty(layout.image.shape, output_dtype(image.dtype))
    _run(layout, _Job(lambda _, index: stored[index], out, analyze=False))
    return layout.to_image_order(out)


def synthesize(coefficients: NDArray[Any], shape: tuple[int, ...], settings: SwapSettings) -> NDArray[Any]:
    """Smooth image made of the coefficients, in their floating dtype."""
    return add(np.zeros(shape, output_dtype(coefficients.dtype)), coefficients, settings)


def swap(
    image: NDArray[Any], target: NDArray[Any], settings: SwapSettings, out: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Image with its coefficients moved towards ``target``, and the move itself (delta).

    Args:
        image: any strides, of a dtype that ``check_array`` admits.
        target: coefficients to swap in; broadcasts to those of the image.
        settings: checked against the image's shape.
        out: memory for the result, checked (``check_out``); None for fresh memory.
    """
    if settings.route == "fft":
        result, delta = fft.swap(image, target, settings)
        return store(result, out), delta
    layout = _arrange(image, settings)
    shape = tuple(size for _, size in sorted(zip(layout.order, layout.coefficient_shape[1:], strict=True)))
    wanted = layout.to_memory_order(np.broadcast_to(target, shape))
    share = layout.to_memory_order(np.broadcast_to(settings.weight(image.ndim), shape))
    delta = np.empty(layout.coefficient_shape, layout.dtype)
    memory = np.empty(layout.image.shape, output_dtype(image.dtype)) if out is None else layout.view(out)

    def change(coefficients: NDArray[Any], index: Index) -> NDArray[Any]:
        delta[index] = (wanted[index] - coefficients) * share[index]
        return delta[index]

    _run(layout, _Job(change, memory, settings.clip))
    return layout.to_image_order(memory) if out is None else out, layout.to_image_order(delta)


def store(result: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    """A result in the memory that was given for it, if any."""
    if out is None or result is out:
        return result
    np.copyto(out, result)
    return out


def convert(image: NDArray[Any], clip: tuple[float, float] | None) -> NDArray[Any]:
    """Copy in the floating dtype of a result, clipped as any other."""
    copy = image.astype(output_dtype(image.dtype))
    return copy if clip is None else np.clip(copy, *clip)


def as_target(coefficients: Any, image: NDArray[Any], settings: SwapSettings) -> NDArray[Any]:
    """Coefficients of a reference, array or tensor, as ``swap`` takes them for this image."""
    return to_numpy(coefficients)


def from_host(array: NDArray[Any], image: NDArray[Any]) -> NDArray[Any]:
    """A result computed in NumPy as the image's kind, in the floating dtype of a result."""
    return array.astype(output_dtype(image.dtype), copy=False)


def all_finite(values: NDArray[Any]) -> bool:
    """Whether no value is NaN or infinite."""
    return bool(np.isfinite(values).all())


def _run(layout: _Layout, job: _Job) -> None:
    core = math.prod(layout.image.shape[layout.lead :])
    if core * layout.dtype.itemsize <= _ONE_PASS_BYTES:
        _one_pass(layout, job)
        return
    for index in np.ndindex(*layout.image.shape[: layout.lead]):
        _two_passes(layout, job, index)


def _one_pass(layout: _Layout, job: _Job) -> None:
    """Items that fit in the cache: load, analyze, synthesize, add, store."""
    axes = layout.axes[layout.lead - 1 :]

    def start() -> Callable[[Index], None]:
        slab_of = layout.lender(job.out)

        def work(index: Index) -> None:
            slab = slab_of(index)
            layout.load(slab, index)
            move = job.change(contract(slab, axes) if job.analyze else slab, index)
            if job.out is not None:
                job.finish(index, slab, move, axes)

        return work

    _each(list(layout.slabs(layout.lead - 1)), start, layout.workers)


def _two_passes(layout: _Layout, job: _Job, index: tuple[int, ...]) -> None:
    """One large item: a first pass collects the coefficients slab by slab, a second one adds the field."""
    tasks = list(enumerate(layout.slabs(layout.lead, index)))
    first = layout.axes[layout.lead]
    assert first is not None
    axes = (None, *layout.axes[layout.lead + 1 :])
    parts: list[Any] = [None] * len(tasks)

    def collect() -> Callable[[tuple[int, Index]], None]:
        slab_of = layout.lender(job.out)

        def work(task: tuple[int, Index]) -> None:
            number, where = task
            slab = slab_of(where)
            layout.load(slab, where)
            part = contract(slab, axes)
            rows = first.exact[:, where[-1]] @ part.reshape(len(part), -1)
            parts[number] = rows.reshape(-1, *part.shape[1:])

        return work

    def add_field() -> Callable[[tuple[int, Index]], None]:
        slab_of = layout.lender(job.out)

        def work(task: tuple[int, Index]) -> None:
            where = task[1]
            slab = slab_of(where)
            if not loaded:
                layout.load(slab, where)
            rows = first.transposed[where[-1]] @ move.reshape(len(move), -1)
            job.finish(where, slab, rows.reshape(-1, *move.shape[1:]), axes)

        return work

    coefficients = np.empty(0, layout.dtype)
    if job.analyze:
        _each(tasks, collect, layout.workers)
        # Summed in slab order, so that the result does not depend on which thread was first.
        with np.errstate(all="ignore"):
            coefficients = np.sum(parts, axis=0, dtype=np.float64).astype(layout.dtype)
    move = job.change(coefficients, index)
    loaded = job.analyze and layout.works_in(job.out)
    if job.out is not None:
        _each(tasks, add_field, layout.workers)
