"""Alignment of files: two sites in the place that a reference has in a swap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.files.scan import LoadedScan, ScanError, read_scan
from ssimh.orientation import orientation_map
from ssimh.site.alignment import apply_difference, site_difference
from ssimh.site.site_spectrum import SiteSpectrum

# Sites of files are fitted in these directions, (z, y, x) towards the head, the back and the left.
ORIENTATION = "SPL"


@dataclass(frozen=True)
class SiteAlignment:
    """What `ssimh apply --align` does to every scan.

    Args:
        source: site that the scans come from.
        target: site that they shall look like.
    """

    source: SiteSpectrum
    target: SiteSpectrum

    def header(self) -> dict[str, Any]:
        """What the manifest states, as plain JSON values."""
        difference = site_difference(self.source, self.target)
        return {
            "source": self.source.content_hash,
            "target": self.target.content_hash,
            "n_subjects": self.target.n_subjects,
            "difference": str(difference),
            "shrinkage": difference.shrinkage,
        }

    @property
    def content_hash(self) -> str:
        """SHA-256 over both sites."""
        both = f"{self.source.content_hash} {self.target.content_hash}"
        return f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"

    def aligned(self, scan: LoadedScan, *, strength: float, clip: Any, unit: str | None) -> NDArray[Any]:
        """The scan's values after alignment, in the scan's own directions.

        Raises:
            ScanError: the scan has two dimensions.
        """
        axes, flips = directions(scan)
        moved = apply_difference(
            np.flip(scan.values, flips),
            site_difference(self.source, self.target),
            strength=strength,
            clip=clip,
            axes=axes,
            unit=unit,
        )
        return np.flip(moved, flips)


def directions(scan: LoadedScan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes of a scan that are z, y and x, and those to flip to run towards head, back and left.

    Raises:
        ScanError: the scan has two dimensions.
    """
    if scan.orientation is None:
        raise ScanError(f"{scan.path} has two dimensions; alignment needs three.")
    sources, flipped = orientation_map(scan.orientation, ORIENTATION)
    axes = tuple(source - 3 for source in sources)
    return axes, tuple(axis for axis, flip in zip(axes, flipped, strict=True) if flip)


def fit_site(paths: Iterable[Path]) -> SiteSpectrum:
    """Site of scan files, one in memory at a time.

    Raises:
        ScanError: a scan that cannot be used; the message names it.
    """
    total: SiteSpectrum | None = None
    for path in paths:
        scan = read_scan(path)
        axes, flips = directions(scan)
        if scan.unit is not None and scan.unit.upper() != "HU":
            raise ScanError(f"{path} states unit {scan.unit!r}; alignment is defined for CT in HU.")
        spacing = tuple(scan.spacing_mm[axis] for axis in axes)
        try:
            site = SiteSpectrum.fit(
                [np.flip(scan.values, flips)], axes=axes, spacing_mm=spacing, orientation=ORIENTATION
            )
        except (TypeError, ValueError) as error:
            raise ScanError(f"{path}: {str(error).removeprefix('image 1: ')}") from error
        total = site if total is None else total + site
    if total is None:
        raise ScanError("no scan was given; a site needs at least one.")
    return total
