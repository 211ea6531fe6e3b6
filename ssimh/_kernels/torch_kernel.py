"""Torch kernel: the same products on a device, differentiable; imported only for a caller who holds a tensor.

On the CPU the NumPy kernel does the work on the tensor's own memory. On other devices the products run there, in
float32 with TensorFloat-32 and autocast off, whatever the application has set: TF32 keeps 10 bits, 1 HU in 1000.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssimh._kernels import numpy_kernel
from ssimh._kernels.basis import cosine_basis
from ssimh._kernels.fft import corner
from ssimh._kernels.settings import SwapSettings

_PRECISION_LOCK = threading.Lock()
# Small enough that a chunk copied by the product's first kernel is still in the second-level cache for its second.
_CHUNK_BYTES = 16 * 2**20


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Matrix products of this block in IEEE float32; the application's own settings come back afterwards."""
    matmul = torch.backends.cuda.matmul
    name = "fp32_precision" if hasattr(matmul, "fp32_precision") else "allow_tf32"
    with torch.autocast(device_type=device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        with _PRECISION_LOCK:
            saved = getattr(matmul, name)
            setattr(matmul, name, "ieee" if name == "fp32_precision" else False)
            try:
                yield
            finally:
                setattr(matmul, name, saved)


def output_dtype(dtype: torch.dtype) -> torch.dtype:
    """The input's own floating dtype, float32 for integers."""
    return dtype if dtype.is_floating_point else torch.float32


def work_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, otherwise float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def analyze(image: torch.Tensor, settings: SwapSettings) -> torch.Tensor:
    """Low-frequency coefficients in the working dtype, differentiable; a plain tensor on the image's device."""
    image = plain(image)
    if settings.threshold == 0:
        return image.new_zeros(settings.corner_shape(image.shape), dtype=work_dtype(image.dtype))
    result: torch.Tensor = _Analyze.apply(image, settings)  # type: ignore[no-untyped-call]
    return result


def add(image: torch.Tensor, delta: torch.Tensor, settings: SwapSettings) -> torch.Tensor:
    """Image plus the synthesis of ``delta``; not differentiable through the kernel."""
    image = plain(image)
    if image.device.type == "cpu":
        return from_numpy(numpy_kernel.add(_host_array(image), delta.detach().numpy(), settings), image)
    with full_precision(image.device):
        values = image.to(work_dtype(image.dtype))
        return _add_field(values, delta.to(values), _device_bases(values, settings)).to(output_dtype(image.dtype))


def synthesize(coefficients: torch.Tensor, shape: tuple[int, ...], settings: SwapSettings) -> torch.Tensor:
    """Smooth image made of the coefficients: the adjoint of ``analyze``, differentiable; a plain tensor."""
    floating = plain(coefficients).to(output_dtype(coefficients.dtype))
    result: torch.Tensor = _Synthesize.apply(floating, shape, settings)  # type: ignore[no-untyped-call]
    return result


def swap(
    image: torch.Tensor, target: torch.Tensor, settings: SwapSettings, out: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Swapped image of the image's own kind, or ``out`` with its values, and delta.

    Differentiable in image and target without ``out``, which ``check_out`` has checked.
    """
    if out is not None and image.device.type == "cpu" and out.dtype != torch.bfloat16:
        given, memory = _host_array(plain(image)), plain(out).detach().numpy()
        change = numpy_kernel.swap(given, target.detach().numpy(), settings, memory)[1]
        return out, torch.from_numpy(np.ascontiguousarray(change))
    result, delta = _swap_into_fresh(image, target, settings)
    return store(result, out), delta


def store(result: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    """A result in the memory that was given for it, if any."""
    if out is None or result is out:
        return result
    plain(out).detach().copy_(plain(result).detach())
    return out


def _swap_into_fresh(
    image: torch.Tensor, target: torch.Tensor, settings: SwapSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    differentiable = torch.is_grad_enabled() and (image.requires_grad or target.requires_grad)
    # Clipping is left to torch where gradients are wanted, so that none pass where a value was cut.
    inner = replace(settings, clip=None) if differentiable else settings
    out: torch.Tensor
    delta: torch.Tensor
    out, delta = _Swap.apply(plain(image), target, inner)  # type: ignore[no-untyped-call]
    if differentiable and settings.clip is not None:
        out = out.clamp(*settings.clip)
    return like(out, image), delta


def convert(image: torch.Tensor, clip: tuple[float, float] | None) -> torch.Tensor:
    """Copy in the floating dtype of a result, clipped as any other."""
    copy = plain(image).to(output_dtype(image.dtype), copy=True)
    return like(copy if clip is None else copy.clamp(*clip), image)


def as_target(coefficients: Any, image: torch.Tensor, settings: SwapSettings) -> torch.Tensor:
    """Coefficients of a reference, array or tensor, as ``swap`` takes them for this image."""
    tensor = coefficients if isinstance(coefficients, torch.Tensor) else torch.tensor(coefficients)
    return tensor.to(image.device).expand(settings.corner_shape(image.shape))


def from_host(array: NDArray[Any], image: torch.Tensor) -> torch.Tensor:
    """A result computed in NumPy as the image's kind, on its device, in the floating dtype of a result."""
    return like(from_numpy(array, image), image)


def all_finite(values: torch.Tensor) -> bool:
    """Whether no value is NaN or infinite."""
    return bool(values.isfinite().all())


class _Analyze(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, settings: SwapSettings) -> torch.Tensor:
        ctx.settings, ctx.shape, ctx.dtype = settings, tuple(image.shape), image.dtype
        if image.device.type == "cpu":
            return torch.from_numpy(np.ascontiguousarray(numpy_kernel.analyze(_host_array(image), settings)))
        with full_precision(image.device):
            values = image.to(work_dtype(image.dtype))
            return _analyze_on_device(values, _device_bases(values, settings))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        field = _Synthesize.apply(gradient, ctx.shape, ctx.settings)  # type: ignore[no-untyped-call]
        return field.to(ctx.dtype), None


class _Synthesize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, coefficients: torch.Tensor, shape: tuple[int, ...], settings: SwapSettings) -> torch.Tensor:
        ctx.settings = settings
        return add(coefficients.new_zeros(shape), coefficients, settings)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return _Analyze.apply(gradient, ctx.settings), None, None  # type: ignore[no-untyped-call]


class _Swap(torch.autograd.Function):
    """Linear in image and target, so the gradient is a swap as well: towards a target of zeros."""

    @staticmethod
    def forward(
        ctx: Any, image: torch.Tensor, target: torch.Tensor, settings: SwapSettings
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.settings, ctx.target = settings, target.detach()
        if image.device.type == "cpu":
            out, delta = numpy_kernel.swap(_host_array(image), target.detach().numpy(), settings)
            result = from_numpy(out, image), torch.from_numpy(np.ascontiguousarray(delta))
        else:
            with full_precision(image.device):
                result = _swap_on_device(image, target, settings)
        ctx.mark_non_differentiable(result[1])
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[Any, ...]:
        for_image = for_target = None
        if ctx.needs_input_grad[0]:
            nothing = torch.zeros_like(ctx.target)
            for_image = _Swap.apply(gradient, nothing, ctx.settings)[0]  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            found = _Analyze.apply(gradient, ctx.settings)  # type: ignore[no-untyped-call]
            weight = torch.from_numpy(ctx.settings.weight(gradient.ndim)).to(found)
            for_target = (found * weight).to(ctx.target)
        return for_image, for_target, None


def _host_array(image: torch.Tensor) -> NDArray[Any]:
    """The tensor's own memory; NumPy has no bfloat16, float32 holds it exactly."""
    values = image.detach()
    return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())


def _device_bases(values: torch.Tensor, settings: SwapSettings) -> dict[int, torch.Tensor]:
    rows = settings.threshold
    return {axis: _device_basis(values.shape[axis], rows, values.dtype, values.device) for axis in settings.axes}


@lru_cache(maxsize=64)
def _device_basis(n: int, k: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Kept on the device, because sending it again would make the host wait in every call."""
    return torch.tensor(cosine_basis(n, k)).to(device, dtype)


def _analyze_on_device(values: torch.Tensor, bases: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """Coefficients; as in the NumPy kernel, every axis after the first is summed in float64 (Apple's GPUs lack it)."""
    found, wide = values, values.dtype if values.device.type == "mps" else torch.float64
    for axis in sorted(bases, reverse=True):
        found = (found.movedim(axis, -1) @ bases[axis].T.to(found.dtype)).movedim(-1, axis).to(wide)
    return found.to(values.dtype)


def _swap_on_device(
    image: torch.Tensor, target: torch.Tensor, settings: SwapSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    values = image.to(work_dtype(image.dtype))
    target, share = target.to(values), torch.from_numpy(settings.weight(image.ndim)).to(values)
    if settings.route == "fft":
        spectrum = _each_axis(values, settings.axes, _dct)
        low = spectrum[corner(values.ndim, settings.axes, settings.threshold)]
        delta = (target - low) * share
        low += delta
        out = _each_axis(spectrum, settings.axes, _idct)
    else:
        bases = _device_bases(values, settings)
        delta = (target - _analyze_on_device(values, bases)) * share
        out = _add_field(values, delta, bases)
    if settings.clip is not None:
        out.clamp_(*settings.clip)
    return out.to(output_dtype(image.dtype)), delta


def _each_axis(
    values: torch.Tensor, axes: tuple[int, ...], transform: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    for axis in axes:
        values = transform(values.movedim(axis, -1)).movedim(-1, axis)
    return values


def _twiddle(n: int, like: torch.Tensor) -> torch.Tensor:
    """exp(-iπk/2n) · sqrt(2/n), and the smaller norm of the mean."""
    angle = torch.arange(n, device=like.device, dtype=torch.float64) * (torch.pi / (2 * n))
    scale = torch.full_like(angle, (2 / n) ** 0.5)
    scale[0] = (1 / n) ** 0.5
    factor: torch.Tensor = torch.polar(scale, -angle)
    return factor.to(torch.complex128 if like.dtype == torch.float64 else torch.complex64)


def _dct(values: torch.Tensor) -> torch.Tensor:
    """Orthonormal DCT-II of the last axis through one complex FFT (Makhoul 1980, doi 10.1109/TASSP.1980.1163351)."""
    shuffled = torch.cat([values[..., ::2], values[..., 1::2].flip(-1)], dim=-1)
    turned: torch.Tensor = torch.fft.fft(shuffled) * _twiddle(values.shape[-1], values)
    return turned.real.contiguous()


def _idct(spectrum: torch.Tensor) -> torch.Tensor:
    """Inverse (and transpose) of ``_dct``."""
    n = spectrum.shape[-1]
    shuffled = (torch.fft.ifft(spectrum * _twiddle(n, spectrum).conj()) * n).real
    values = torch.empty_like(spectrum)
    half = (n + 1) // 2
    values[..., ::2] = shuffled[..., :half]
    values[..., 1::2] = shuffled[..., half:].flip(-1)
    return values


def _add_field(values: torch.Tensor, delta: torch.Tensor, bases: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """``values`` plus the synthesis of ``delta``; the last axis in chunks, into fresh memory."""
    *others, last = sorted(bases)
    for axis in others:
        delta = (delta.movedim(axis, -1) @ bases[axis]).movedim(-1, axis)
    rows = values.movedim(last, -1)
    flat = rows.reshape(-1, rows.shape[-1])
    moves = delta.movedim(last, -1).reshape(-1, delta.shape[last])
    out = torch.empty_like(flat)
    step = max(1, _CHUNK_BYTES // (flat.shape[-1] * flat.element_size()))
    for first in range(0, len(flat), step):
        part = slice(first, first + step)
        torch.addmm(flat[part], moves[part], bases[last], out=out[part])
    result: torch.Tensor = out.reshape(rows.shape).movedim(-1, last)
    return result


def from_numpy(array: NDArray[Any], image: torch.Tensor) -> torch.Tensor:
    """Host array on the image's device, in the dtype that a result for it has."""
    return torch.from_numpy(array).to(image.device, output_dtype(image.dtype))


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without its subclass: a MetaTensor costs 25 times as much per small operation."""
    return tensor.as_subclass(torch.Tensor) if type(tensor) is not torch.Tensor else tensor


def like(result: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """``result`` as the kind of tensor that ``image`` is, with its metadata."""
    kind = type(image)
    if kind in (torch.Tensor, torch.nn.Parameter):
        return result
    if hasattr(image, "copy_meta_from"):  # MONAI's MetaTensor, recognized without importing MONAI
        wrapped: torch.Tensor = kind(result)
        wrapped.copy_meta_from(image)  # type: ignore[attr-defined]
        return wrapped
    return result.as_subclass(kind)
