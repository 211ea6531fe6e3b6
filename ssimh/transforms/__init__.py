"""MONAI transforms; the only part of the library that needs MONAI."""

from __future__ import annotations

try:
    import monai  # noqa: F401  (asked for here, once, so that its absence gives one clear message)
except ModuleNotFoundError as error:
    if error.name not in ("monai", "torch"):
        raise
    raise ImportError(
        f'The MONAI transforms of ssimh need {error.name}, which is not installed: pip install "ssimh[monai]"'
    ) from error

from ssimh.transforms._forms import FromSample
from ssimh.transforms.histogram_match import HistogramMatch, HistogramMatchD, HistogramMatchd, HistogramMatchDict
from ssimh.transforms.rand_resolution import RandResolution, RandResolutionD, RandResolutiond, RandResolutionDict
from ssimh.transforms.rand_spectrum_swap import (
    RandSpectrumSwap,
    RandSpectrumSwapD,
    RandSpectrumSwapd,
    RandSpectrumSwapDict,
)
from ssimh.transforms.spectrum_align import SpectrumAlign, SpectrumAlignD, SpectrumAlignd, SpectrumAlignDict
from ssimh.transforms.spectrum_swap import SpectrumSwap, SpectrumSwapD, SpectrumSwapd, SpectrumSwapDict

__all__ = [
    "FromSample",
    "HistogramMatch",
    "HistogramMatchD",
    "HistogramMatchDict",
    "HistogramMatchd",
    "RandResolution",
    "RandResolutionD",
    "RandResolutionDict",
    "RandResolutiond",
    "RandSpectrumSwap",
    "RandSpectrumSwapD",
    "RandSpectrumSwapDict",
    "RandSpectrumSwapd",
    "SpectrumAlign",
    "SpectrumAlignD",
    "SpectrumAlignDict",
    "SpectrumAlignd",
    "SpectrumSwap",
    "SpectrumSwapD",
    "SpectrumSwapDict",
    "SpectrumSwapd",
]
