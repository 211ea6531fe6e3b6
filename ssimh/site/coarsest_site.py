"""The site that others can be brought to without being sharpened: the coarsest of some."""

from __future__ import annotations

from collections.abc import Mapping

from ssimh.site.site_difference import site_difference
from ssimh.site.site_spectrum import SiteSpectrum


def find_coarsest(sites: Mapping[str, SiteSpectrum]) -> str | None:
    """Name of the site that the subjects of the others would be smoothed to most; None without a site.

    Only what alignment would apply counts: differences with good evidence, of the resolution of PET or the grain of CT.
    Of sites that are alike it is the one with the most subjects, then the first by name.

    Args:
        sites: of one modality, by name.
    """

    def total(target: str) -> float:
        others = ((site.n_subjects, site) for name, site in sites.items() if name != target)
        return sum(number * _smoothing(site, sites[target]) for number, site in others)

    return min(sites, key=lambda name: (-total(name), -sites[name].n_subjects, name), default=None)


def _smoothing(source: SiteSpectrum, target: SiteSpectrum) -> float:
    """By how much the source's images are smoothed to look like the target's; 0 where the source is the coarser."""
    difference = site_difference(source, target)
    if difference.resolution is not None:
        in_plane, axial = difference.resolution.blur_mm2
        return 2 * in_plane + axial
    return 0.0 if difference.grain is None else sum(max(0.0, value) for value in difference.grain.applied)
