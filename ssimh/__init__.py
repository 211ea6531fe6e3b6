"""Image-level harmonization by low-frequency spectrum swapping (SSIMH).

Importing this package loads NumPy and SciPy only. Names that need more are loaded when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssimh._version import __version__
from ssimh.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from ssimh._kernels.basis import cosine_basis
    from ssimh._kernels.coefficients import from_low_frequency, low_frequency
    from ssimh.histogram import match_histogram
    from ssimh.metrics import Comparison, compare
    from ssimh.reference import ReferenceFileError, ReferenceSpectrum
    from ssimh.site.alignment import align_spectrum
    from ssimh.site.separability import Separability, site_separability
    from ssimh.site.site_difference import SiteDifference, site_difference
    from ssimh.site.site_spectrum import SiteSpectrum
    from ssimh.swap import swap_spectrum
    from ssimh.tissue_warning import TissueMovedWarning, flush_tissue_warnings
    from ssimh.transforms import (
        FromSample,
        HistogramMatch,
        HistogramMatchd,
        RandResolution,
        RandResolutiond,
        RandSpectrumSwap,
        RandSpectrumSwapd,
        SpectrumAlign,
        SpectrumAlignd,
        SpectrumSwap,
        SpectrumSwapd,
    )
    from ssimh.transforms.strict_reader import StrictReader

_HOME = {
    "Comparison": "ssimh.metrics",
    "FromSample": "ssimh.transforms",
    "HistogramMatch": "ssimh.transforms",
    "HistogramMatchd": "ssimh.transforms",
    "RandResolution": "ssimh.transforms",
    "RandResolutiond": "ssimh.transforms",
    "RandSpectrumSwap": "ssimh.transforms",
    "RandSpectrumSwapd": "ssimh.transforms",
    "ReferenceFileError": "ssimh.reference",
    "ReferenceSpectrum": "ssimh.reference",
    "Separability": "ssimh.site.separability",
    "SiteDifference": "ssimh.site.site_difference",
    "SiteSpectrum": "ssimh.site.site_spectrum",
    "SpectrumAlign": "ssimh.transforms",
    "SpectrumAlignd": "ssimh.transforms",
    "SpectrumSwap": "ssimh.transforms",
    "SpectrumSwapd": "ssimh.transforms",
    "StrictReader": "ssimh.transforms.strict_reader",
    "TissueMovedWarning": "ssimh.tissue_warning",
    "align_spectrum": "ssimh.site.alignment",
    "compare": "ssimh.metrics",
    "cosine_basis": "ssimh._kernels.basis",
    "flush_tissue_warnings": "ssimh.tissue_warning",
    "from_low_frequency": "ssimh._kernels.coefficients",
    "low_frequency": "ssimh._kernels.coefficients",
    "match_histogram": "ssimh.histogram",
    "site_difference": "ssimh.site.site_difference",
    "site_separability": "ssimh.site.separability",
    "swap_spectrum": "ssimh.swap",
}

__all__ = [
    "Comparison",
    "FromSample",
    "HistogramMatch",
    "HistogramMatchd",
    "RandResolution",
    "RandResolutiond",
    "RandSpectrumSwap",
    "RandSpectrumSwapd",
    "ReferenceFileError",
    "ReferenceSpectrum",
    "Separability",
    "SiteDifference",
    "SiteSpectrum",
    "SpectrumAlign",
    "SpectrumAlignd",
    "SpectrumSwap",
    "SpectrumSwapd",
    "StrictReader",
    "TissueMovedWarning",
    "__version__",
    "align_spectrum",
    "compare",
    "cosine_basis",
    "flush_tissue_warnings",
    "from_low_frequency",
    "low_frequency",
    "match_histogram",
    "site_difference",
    "site_separability",
    "swap_spectrum",
]

__getattr__, __dir__ = lazy_exports(__name__, _HOME)
