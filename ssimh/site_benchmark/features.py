"""Numbers of each scan that tell its site, one set for each part that sites differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssimh.site.field import sampling_points
from ssimh.site.grain_spectrum import shells_per_mm
from ssimh.site.power_spectrum import SHELLS_PER_MM
from ssimh.site.resolution import SPREAD_MM4
from ssimh.site.site_spectrum import SiteSpectrum

FloatArray = NDArray[np.float64]
PARTS = {"CT": ("field", "grain"), "PT": ("resolution", "spectrum")}
"""What is compared, by modality. The spectrum of PET is its whole power spectrum: resolution, noise and anatomy."""
TITLES = {
    "field": "Low-frequency field",
    "grain": "Grain",
    "resolution": "Resolution",
    "spectrum": "Whole power spectrum",
}


@dataclass(frozen=True, eq=False)
class Features:
    """Numbers of some scans in which plain distances mean something.

    Attributes:
        values: (n, f); rows of scans that were not measured hold 0.
        measured: (n,) whether a scan was.
    """

    values: FloatArray
    measured: NDArray[np.bool_]


def extract_features(part: str, rows: Sequence[SiteSpectrum]) -> Features:
    """Features of one part.

    Args:
        part: of :data:`PARTS`.
        rows: one site of one subject per scan.

    Raises:
        ValueError: an unknown part.
    """
    if part == "field":
        return _all_measured(np.concatenate([1000 * row.coefficients("log") for row in rows]) @ _rms_metric())
    if part == "grain":
        return _log_of_common(np.concatenate([row.subjects["grain_hu2mm2"] for row in rows]))
    if part == "resolution":
        expected = np.sqrt(np.diag(SPREAD_MM4))
        return _all_measured(np.array([row.resolution.variance_mm2 for row in rows]) / expected)
    if part == "spectrum":
        powers = np.concatenate([row.subjects["power_mm3"] for row in rows])
        return _log_of_common(powers.reshape(len(rows), -1))
    raise ValueError(f"part must be one of {', '.join(TITLES)}; given {part!r}.")


def _all_measured(values: FloatArray) -> Features:
    return Features(values, np.ones(len(values), dtype=bool))


def _rms_metric() -> FloatArray:
    """(10, 10) matrix after which the distance of two fields is the root mean square of their difference."""
    _, terms, _ = sampling_points()
    return np.asarray(np.linalg.cholesky(terms.T @ terms / len(terms)))


def _log_of_common(powers: FloatArray) -> Features:
    """Logarithms of the frequencies that all measured scans have; their distance is a root mean square."""
    measured = np.any(powers > 0, axis=1)
    common = np.all(powers[measured] > 0, axis=0) if measured.any() else np.zeros(powers.shape[1], dtype=bool)
    values = np.zeros((len(powers), int(common.sum())))
    values[measured] = np.log(powers[measured][:, common])
    if not common.any():
        measured = np.zeros(len(powers), dtype=bool)
    return Features(values / np.sqrt(max(1, values.shape[1])), measured)


def average_spectrum(part: str, site: SiteSpectrum) -> tuple[FloatArray, FloatArray]:
    """Frequencies per mm and the mean logarithm of a site's power there, for a curve: of grain, or of PET.

    Of PET the mean of the sectors in plane is taken. Frequencies that a subject lacks are left out.
    """
    if part == "grain":
        kept, k = site.subjects["grain_hu2mm2"], shells_per_mm()
    else:
        kept, k = site.subjects["power_mm3"][:, :, 0], np.asarray(SHELLS_PER_MM, dtype=np.float64)
    powers: FloatArray = kept[np.any(kept > 0, axis=1)]
    if not len(powers):
        return np.zeros(0), np.zeros(0)
    common = np.all(powers > 0, axis=0)
    return np.asarray(k[common], dtype=np.float64), np.asarray(np.log(powers[:, common]).mean(axis=0), dtype=np.float64)
