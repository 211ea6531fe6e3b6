"""Choice of the kernel for an image."""

from __future__ import annotations

from typing import Any, Protocol, cast

from numpy.typing import NDArray

from ssimh._kernels import numpy_kernel
from ssimh._kernels.arrays import is_tensor
from ssimh._kernels.settings import SwapSettings


class Kernel(Protocol):
    """What the modules ``numpy_kernel`` and ``torch_kernel`` both offer, each for its own kind of array."""

    def analyze(self, image: Any, settings: SwapSettings) -> Any:
        """Low-frequency coefficients."""

    def add(self, image: Any, delta: Any, settings: SwapSettings) -> Any:
        """Image plus the synthesis of ``delta``."""

    def synthesize(self, coefficients: Any, shape: tuple[int, ...], settings: SwapSettings) -> Any:
        """Smooth image made of the coefficients."""

    def swap(self, image: Any, target: Any, settings: SwapSettings, out: Any = None) -> tuple[Any, Any]:
        """Swapped image, in ``out`` where that is given, and the change of its coefficients."""

    def store(self, result: Any, out: Any) -> Any:
        """A result in the memory that was given for it, if any."""

    def convert(self, image: Any, clip: tuple[float, float] | None) -> Any:
        """Copy in the floating dtype of a result."""

    def as_target(self, coefficients: Any, image: Any, settings: SwapSettings) -> Any:
        """Coefficients of a reference as ``swap`` takes them."""

    def from_host(self, array: NDArray[Any], image: Any) -> Any:
        """A result computed in NumPy as the image's kind."""

    def all_finite(self, values: Any) -> bool:
        """Whether no value is NaN or infinite."""


def kernel_for(image: Any) -> Kernel:
    """The kernel of an array's kind; torch is imported only for a caller who holds a tensor."""
    if is_tensor(image):
        from ssimh._kernels import torch_kernel

        return cast(Kernel, torch_kernel)
    return cast(Kernel, numpy_kernel)
