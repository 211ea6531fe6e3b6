"""Which differences a scan is aligned by: from its own site without the scan to the target of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from ssimh.site.coarsest_site import find_coarsest
from ssimh.site.site_difference import SiteDifference, site_difference
from ssimh.site.site_spectrum import SiteSpectrum

ALIGNED = {"CT": ("field", "grain"), "PT": ("resolution",)}
"""Parts that scans are aligned in, one after the other."""


@dataclass(frozen=True)
class Step:
    """One part of the alignment of a scan.

    Attributes:
        part: what is aligned.
        difference: of the scan's site without the scan, from the target.
        digest: content of both sites.
    """

    part: str
    difference: SiteDifference
    digest: str


def group_rows(rows: Sequence[SiteSpectrum], sites: Sequence[str]) -> dict[str, SiteSpectrum]:
    """Sites of the rows of their scans, by name, in order."""
    grouped: dict[str, list[SiteSpectrum]] = {}
    for row, site in zip(rows, sites, strict=True):
        grouped.setdefault(site, []).append(row)
    return {site: reduce(add, grouped[site]) for site in sorted(grouped)}


def choose_targets(sites: Mapping[str, SiteSpectrum]) -> dict[str, str]:
    """Target of every part that is aligned: of the field the site with the most scans, of the others the coarsest."""
    most = min(sites, key=lambda name: (-sites[name].n_subjects, name))
    modality = sites[most].modality
    coarsest = find_coarsest(sites) or most
    return {part: most if part == "field" else coarsest for part in ALIGNED[modality]}


def plan_steps(
    number: int, rows: Sequence[SiteSpectrum], sites: Sequence[str], targets: Mapping[str, str]
) -> list[Step]:
    """The steps for one scan; none where its site is the target or has no other scan, or nothing was measured.

    Args:
        number: of the scan.
        rows: of all scans.
        sites: name of each scan's site.
        targets: by part.
    """
    others = [place for place, site in enumerate(sites) if site == sites[number] and place != number]
    if not others:
        return []
    source = reduce(add, [rows[place] for place in others])
    steps = []
    for part, target in targets.items():
        if target != sites[number]:
            members = [row for row, site in zip(rows, sites, strict=True) if site == target]
            other = reduce(add, members)
            digest = f"{source.content_hash} {other.content_hash}"
            difference = site_difference(source, other)
            if part != "grain" or difference.grain is not None:
                steps.append(Step(part, difference, digest))
    return steps
