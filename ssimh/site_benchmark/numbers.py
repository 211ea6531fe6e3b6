"""The numbers that the benchmark shows: of each scan, and of each pair of sites with standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ssimh.site.field import sampling_points
from ssimh.site.power_spectrum import FWHM_PER_SIGMA
from ssimh.site.site_difference import SiteDifference, site_difference
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.site_benchmark.records import PairResult


@dataclass(frozen=True)
class Number:
    """A number that is shown.

    Attributes:
        title: with its unit.
        part: that it belongs to.
        digits: behind the point.
    """

    title: str
    part: str
    digits: int


OF_SCANS = {
    "field_hu": Number("Mean field, HU", "field", 1),
    "grain_ln": Number("Grain: mean ln of its power (HU² mm²)", "grain", 2),
    "fwhm_in_plane_mm": Number("Resolution in plane, mm FWHM", "resolution", 1),
    "fwhm_axial_mm": Number("Resolution axial, mm FWHM", "resolution", 1),
}
OF_PAIRS = {
    "field_hu": Number("Field: RMS over the body, HU", "field", 1),
    "grain_ln": Number("Grain: RMS over frequencies of the ln of the ratio of powers", "grain", 2),
    "fwhm_in_plane_mm": Number("Resolution in plane, mm FWHM", "resolution", 1),
    "fwhm_axial_mm": Number("Resolution axial, mm FWHM", "resolution", 1),
}
_MEASURED_MM = (1.0, 15.0)  # a width of a single scan outside this is no measurement


def number_scan(row: SiteSpectrum) -> dict[str, float | None]:
    """Numbers of one scan by name; None where one was not measured.

    Args:
        row: site of this scan alone.
    """
    if row.modality == "PT":
        in_plane, axial = (_width(float(mm2)) for mm2 in row.resolution.variance_mm2)
        return {"fwhm_in_plane_mm": in_plane, "fwhm_axial_mm": axial}
    _, terms, _ = sampling_points()
    grain = row.subjects["grain_hu2mm2"][0]
    measured = grain[grain > 0]
    return {
        "field_hu": 1000 * float(np.mean(terms @ row.coefficients("log")[0])),
        "grain_ln": float(np.log(measured).mean()) if measured.size else None,
    }


def _width(variance_mm2: float) -> float | None:
    """Width of a Gaussian; None where the variance gives none that can be."""
    low, high = ((mm / FWHM_PER_SIGMA) ** 2 for mm in _MEASURED_MM)
    return FWHM_PER_SIGMA * variance_mm2**0.5 if low < variance_mm2 < high else None


@dataclass(frozen=True)
class _PairNumber:
    raw: float
    error: float
    applied: float


def number_pairs(before: Mapping[str, SiteSpectrum], after: Mapping[str, SiteSpectrum]) -> list[PairResult]:
    """Every pair of sites, before and after alignment.

    Args:
        before, after: the sites by name.
    """
    found = []
    for first, second in combinations(sorted(before), 2):
        old, new = (_number_pair(site_difference(sites[first], sites[second])) for sites in (before, after))
        for name in old:
            if name in new:
                found.append(
                    PairResult(
                        first, second, name, old[name].raw, old[name].error, old[name].applied, new[name].raw,
                        new[name].error,
                    )
                )  # fmt: skip
    return found


def _number_pair(difference: SiteDifference) -> dict[str, _PairNumber]:
    if difference.resolution is not None:
        found = difference.resolution
        triples = zip(found.raw_fwhm_mm, found.error_fwhm_mm, found.applied_fwhm_mm, strict=True)
        return dict(zip(("fwhm_in_plane_mm", "fwhm_axial_mm"), (_PairNumber(*three) for three in triples), strict=True))
    numbers = {"field_hu": _PairNumber(difference.raw_hu, difference.error_hu, difference.applied_hu)}
    if (grain := difference.grain) is not None:
        numbers["grain_ln"] = _PairNumber(*(_rms(values) for values in (grain.raw, grain.error, grain.applied)))
    return numbers


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
