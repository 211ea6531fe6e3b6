"""TorchIO transforms; the only part of the library that needs TorchIO.

They are intensity transforms as TorchIO's own: in ``Subject.history`` with parameters that reproduce them, undone by
``Subject.apply_inverse_transform``. Images are (C, x, y, z) with a RAS+ affine; slices are axial by the affine.
"""

from __future__ import annotations

try:
    import torchio  # noqa: F401  (asked for here, once, so that its absence gives one clear message)
except ModuleNotFoundError as error:
    if error.name not in ("torchio", "torch"):
        raise
    raise ImportError(
        f'The TorchIO transforms of ssimh need {error.name}, which is not installed: pip install "ssimh[torchio]"'
    ) from error

from ssimh.torchio.random_spectrum_swap import RandomSpectrumSwap
from ssimh.torchio.spectrum_align import SpectrumAlign
from ssimh.torchio.spectrum_swap import SpectrumSwap

__all__ = ["RandomSpectrumSwap", "SpectrumAlign", "SpectrumSwap"]
