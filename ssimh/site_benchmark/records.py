"""What a benchmark of sites has found, as plain records: ``benchmark.json`` holds them, the page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ssimh.site_benchmark.nearest_site import NearestSite

FORMAT, VERSION = "ssimh-benchmark", 1


@dataclass(frozen=True)
class ScanResult:
    """One scan.

    Attributes:
        site, name, path: where it is from.
        sha256: of each of its files, by name.
        shape: (z, y, x) voxels.
        spacing_mm: voxel size along (z, y, x).
        unit: that the file states, or None.
        before, after: numbers by name (:mod:`ssimh.site_benchmark.numbers`); None where one was not measured.
        is_aligned: whether the scan was to be changed; not so where its site is the target or has no other scan.
    """

    site: str
    name: str
    path: str
    sha256: Mapping[str, str]
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    unit: str | None
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]
    is_aligned: bool


@dataclass(frozen=True)
class PairResult:
    """How two sites differ in one number, before and after alignment, with standard errors.

    Attributes:
        first, second: the sites; the difference is first minus second.
        name: of the number.
        before, before_error: the plain difference.
        applied: what alignment assumes; 0 where the sites are alike as far as their scans tell.
        after, after_error: the plain difference after alignment.
    """

    first: str
    second: str
    name: str
    before: float
    before_error: float
    applied: float
    after: float
    after_error: float


@dataclass(frozen=True)
class PartResult:
    """How well sites can be told apart by one part.

    Attributes:
        part: see :data:`ssimh.site_benchmark.features.PARTS`.
        target: site that the others are aligned to; None where the part is not aligned by itself.
        before, after: the nearest site of each scan.
    """

    part: str
    target: str | None
    before: NearestSite
    after: NearestSite


@dataclass(frozen=True)
class BenchmarkResult:
    """Everything about a benchmark.

    Attributes:
        folder: that holds the sites.
        modality: ``"CT"`` or ``"PT"``.
        settings: what the numbers depend on beside the scans.
        versions: of the packages that change numbers.
        scans: those that were measured.
        failed: why others were not, by site and name.
        parts, pairs: what was found.
        pictures: an example of each site that was aligned, as data URIs.
        notes: what a reader has to know.
    """

    folder: str
    modality: str
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    scans: tuple[ScanResult, ...]
    failed: Mapping[str, str]
    parts: tuple[PartResult, ...]
    pairs: tuple[PairResult, ...]
    pictures: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def sites(self) -> list[str]:
        """Names of the sites, in order."""
        return sorted({scan.site for scan in self.scans})
