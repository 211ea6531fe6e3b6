"""Image-level harmonization by low-frequency spectrum swapping (SSIMH).

Importing this package loads NumPy and SciPy only. Names that need more are loaded when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ssimh._version import __version__

if TYPE_CHECKING:
    from ssimh.basis import cosine_basis
    from ssimh.coefficients import from_low_frequency, low_frequency
    from ssimh.reference import ReferenceFileError, ReferenceSpectrum
    from ssimh.swap import swap_spectrum
    from ssimh.transforms import SpectrumSwap, SpectrumSwapd

_HOME = {
    "ReferenceFileError": "ssimh.reference",
    "ReferenceSpectrum": "ssimh.reference",
    "SpectrumSwap": "ssimh.transforms",
    "SpectrumSwapd": "ssimh.transforms",
    "cosine_basis": "ssimh.basis",
    "from_low_frequency": "ssimh.coefficients",
    "low_frequency": "ssimh.coefficients",
    "swap_spectrum": "ssimh.swap",
}

__all__ = [
    "ReferenceFileError",
    "ReferenceSpectrum",
    "SpectrumSwap",
    "SpectrumSwapd",
    "__version__",
    "cosine_basis",
    "from_low_frequency",
    "low_frequency",
    "swap_spectrum",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
