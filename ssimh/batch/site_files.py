"""Alignment of files: sites fitted to files, and files aligned from one site to another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ssimh._kernels.checks import check_clip, check_strength
from ssimh.batch.harmonize_scan import HarmonizedScan
from ssimh.batch.manifest import Recipe
from ssimh.images.scan import LoadedScan, ScanError, read_scan
from ssimh.orientation import zyx_axes
from ssimh.site.alignment import PARTS, apply_difference, check_parts, check_unit, has_part
from ssimh.site.resolution_alignment import plan_filter
from ssimh.site.resolution_filter import check_sharpening
from ssimh.site.site_difference import SiteDifference, site_difference
from ssimh.site.site_spectrum import SiteSpectrum

# Sites of files are fitted in these directions, (z, y, x) towards the head, the back and the left.
ORIENTATION = "SPL"


@dataclass(frozen=True)
class SiteAlignment:
    """What ``ssimh align`` does to every scan; refuses settings that cannot be used before any scan is read.

    Attributes:
        source: site that the scans come from.
        target: site that they are aligned to.
        strength: share of the way, 0 … 1.
        clip: lowest and highest value of the result.
        parts: what to align, see :func:`ssimh.align_spectrum`.
        allow_sharpening: largest gain where a PET is sharpened; None never sharpens.

    Raises:
        ValueError: settings out of range, parts or sharpening that the modality lacks, or sites fitted in
            different ways.
    """

    source: SiteSpectrum
    target: SiteSpectrum
    strength: float = 1.0
    clip: tuple[float, float] | None = None
    parts: tuple[str, ...] = PARTS
    allow_sharpening: float | None = None

    def __post_init__(self) -> None:
        check_strength(self.strength)
        check_clip(self.clip)
        self.source.check_comparable(self.target)
        check_parts(self.parts, self.target.modality)
        check_sharpening(self.allow_sharpening, self.target.modality)

    @cached_property
    def difference(self) -> SiteDifference:
        """What the source site adds to its images in comparison with the target site."""
        return site_difference(self.source, self.target)

    @property
    def recipe(self) -> Recipe:
        """For the manifest: both sites and every setting."""
        both = f"{self.source.content_hash} {self.target.content_hash}"
        reference: dict[str, object] = {
            "source": self.source.content_hash,
            "target": self.target.content_hash,
            "n_subjects": self.target.n_subjects,
            "shrinkage": self.difference.shrinkage,
            "content_hash": f"sha256:{hashlib.sha256(both.encode()).hexdigest()}",
        }
        description = f"Alignment to a site of {self.target.n_subjects} scan(s): {self.difference}"
        if self.allow_sharpening is not None:
            description += f"; sharpened by a gain of at most {self.allow_sharpening:g} where the target is the sharper"
        settings = {
            "strength": self.strength,
            "clip": self.clip,
            "parts": self.parts,
            "allow_sharpening": self.allow_sharpening,
        }
        return Recipe("align", description, reference, settings)

    def find_mask(self, source: Path) -> Path | None:
        """None: the body is found in the scan."""
        return None

    def harmonize(self, scan: LoadedScan, workers: int | None) -> HarmonizedScan:
        """The scan after alignment, in its own directions.

        Raises:
            ScanError: the scan has two dimensions.
            ValueError: what :func:`ssimh.align_spectrum` refuses.
        """
        axes, flips = find_axes(scan)
        spacing_mm = tuple(scan.spacing_mm[axis] for axis in axes)
        aligned = apply_difference(
            np.flip(scan.values, flips),
            self.difference,
            parts=self.parts,
            allow_sharpening=self.allow_sharpening,
            strength=self.strength,
            clip=self.clip,
            axes_zyx=axes,
            spacing_mm=spacing_mm,
            unit=scan.unit,
        )
        # A site has no image to show; what was done is the last column of the figure.
        unit = "HU" if self.difference.modality == "CT" else "SUV"
        return HarmonizedScan(
            np.flip(aligned, flips),
            unit,
            lambda: scan.values,
            "the scan itself",
            noise_gain=self._noise_gain(tuple(scan.values.shape[axis] for axis in axes), spacing_mm),
        )

    def _noise_gain(self, shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> float | None:
        """Factor on the standard deviation of white noise of this (z, y, x) shape; None where nothing is filtered."""
        resolution, grain = self.difference.resolution, self.difference.grain
        if resolution is None:
            if grain is None or not has_part(self.parts, "grain"):
                return None
            return grain.filter(self.strength, (spacing_mm[1], spacing_mm[2])).noise_gain((shape[1], shape[2]))
        largest_gain = check_sharpening(self.allow_sharpening)
        return plan_filter(resolution, self.strength, spacing_mm, largest_gain).noise_gain(shape)


def find_axes(scan: LoadedScan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes of a scan that are z, y and x, and those to flip to run towards head, back and left.

    Raises:
        ScanError: the scan has two dimensions.
    """
    if scan.orientation is None:
        raise ScanError(f"{scan.path} has two dimensions; alignment needs three.")
    return zyx_axes(scan.orientation, ORIENTATION)


def fit_site(paths: Iterable[Path], modality: str = "CT") -> SiteSpectrum:
    """Site of scan files, one in memory at a time.

    Args:
        paths: the scans.
        modality: ``"CT"`` or ``"PT"``.

    Raises:
        ScanError: a scan that cannot be used; the message names it.
    """
    total: SiteSpectrum | None = None
    for path in paths:
        site = fit_scan(read_scan(path), modality)
        total = site if total is None else total + site
    if total is None:
        raise ScanError("no scan was given; a site needs at least one.")
    return total


def fit_scan(scan: LoadedScan, modality: str = "CT") -> SiteSpectrum:
    """Site of one scan that has been read.

    Raises:
        ScanError: the scan cannot be used; the message names it.
    """
    axes, flips = find_axes(scan)
    try:
        check_unit(scan.unit, modality)
        return SiteSpectrum.fit(
            [np.flip(scan.values, flips)],
            axes_zyx=axes,
            spacing_mm=tuple(scan.spacing_mm[axis] for axis in axes),
            orientation=ORIENTATION,
            modality=modality,
        )
    except (TypeError, ValueError) as error:
        raise ScanError(f"{scan.path}: {str(error).removeprefix('image 1: ')}") from error
