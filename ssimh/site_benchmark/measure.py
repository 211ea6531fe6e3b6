"""One scan: measured as it is, aligned, and measured again; what was measured is kept, so that a run can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._version import __version__
from ssimh.batch.manifest import list_input_files
from ssimh.batch.site_files import ORIENTATION, find_axes, fit_scan
from ssimh.files.artifact_cache import ArtifactCache, content_of
from ssimh.images.scan import read_scan
from ssimh.site.alignment import apply_difference
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.site_benchmark.leave_one_out import Step
from ssimh.site_benchmark.numbers import number_scan
from ssimh.site_benchmark.plots import draw_example
from ssimh.site_benchmark.site_folders import SiteScan

MEASURED, ALIGNED = "measured", "aligned"
COMPUTATION = 1  # one more makes every run measure again


@dataclass(frozen=True, eq=False)
class MeasuredScan:
    """A scan as it is.

    Attributes:
        scan: which one.
        row: site of this scan alone.
        shape: (z, y, x) voxels.
        spacing_mm: voxel size along (z, y, x).
        unit: that the file states, or None.
        sha256: of each of its files, by name.
    """

    scan: SiteScan
    row: SiteSpectrum
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    unit: str | None
    sha256: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class AlignedScan:
    """A scan after alignment.

    Attributes:
        row: site of it alone.
        picture: before, after and their difference, as a data URI; None where none was asked for.
    """

    row: SiteSpectrum
    picture: str | None


@dataclass(frozen=True)
class FailedScan:
    """A scan that cannot be used.

    Attributes:
        scan: which one.
        message: why.
    """

    scan: SiteScan
    message: str


def measure_scan(scan: SiteScan, modality: str, out: Path) -> MeasuredScan | FailedScan:
    """Measure a scan as it is, unless ``out`` holds what was measured of the same file.

    Args:
        scan: which one.
        modality: ``"CT"`` or ``"PT"``.
        out: output folder of the run.
    """

    def measure() -> Mapping[str, Any]:
        loaded = read_scan(scan.path)
        site = fit_scan(loaded, modality)
        number_scan(site)  # a spectrum without a resolution is refused here, where it costs this scan alone
        (subject,) = site.to_dicts()
        axes, _ = find_axes(loaded)
        shape, spacing_mm = ([values[axis] for axis in axes] for values in (loaded.values.shape, loaded.spacing_mm))
        return {"subject": subject, "shape": shape, "spacing_mm": spacing_mm, "unit": loaded.unit}

    try:
        cache = ArtifactCache(out / MEASURED / f"{scan.key}.json", _key(scan, modality))
        kept = cache.get(measure)
    except Exception as error:  # noqa: BLE001  no error of one scan may stop the others
        return FailedScan(scan, f"{type(error).__name__}: {error}")
    row = _as_row(kept["subject"], modality)
    files = content_of(kept["made_from"])["input"]
    return MeasuredScan(scan, row, tuple(kept["shape"]), tuple(kept["spacing_mm"]), kept["unit"], files)


def align_scan(
    scan: SiteScan, steps: Sequence[Step], modality: str, out: Path, with_picture: bool
) -> AlignedScan | FailedScan:
    """Align a scan and measure it again, unless ``out`` holds the result.

    Args:
        scan: which one.
        steps: what to align by, in order; one at least.
        modality: ``"CT"`` or ``"PT"``.
        out: output folder of the run.
        with_picture: whether it is drawn.
    """

    def measure() -> Mapping[str, Any]:
        loaded = read_scan(scan.path)
        axes, flips = find_axes(loaded)
        spacing_mm = tuple(loaded.spacing_mm[axis] for axis in axes)
        before = np.flip(loaded.values, flips)
        after: NDArray[Any] = before
        for step in steps:
            after = apply_difference(
                after, step.difference, parts=(step.part,), axes_zyx=axes, spacing_mm=spacing_mm, unit=loaded.unit
            )
        site = SiteSpectrum.fit(
            [after], axes_zyx=axes, spacing_mm=spacing_mm, orientation=ORIENTATION, modality=modality
        )
        volumes = [values.transpose([axis % 3 for axis in axes]) for values in (before, after)]
        picture = draw_example(volumes[0], volumes[1], spacing_mm, modality) if with_picture else None
        return {"subject": site.to_dicts()[0], "picture": picture}

    key = {**_key(scan, modality), "steps": [[step.part, step.digest] for step in steps], "picture": with_picture}
    try:
        kept = ArtifactCache(out / ALIGNED / f"{scan.key}.json", key).get(measure)
    except Exception as error:  # noqa: BLE001  no error of one scan may stop the others
        return FailedScan(scan, f"{type(error).__name__}: {error}")
    return AlignedScan(_as_row(kept["subject"], modality), kept["picture"])


def _key(scan: SiteScan, modality: str) -> Mapping[str, object]:
    """What a measurement depends on."""
    return {
        "input": list_input_files(scan.path),
        "modality": modality,
        "ssimh_version": __version__,
        "computation": COMPUTATION,
    }


def _as_row(subject: Mapping[str, Any], modality: str) -> SiteSpectrum:
    return SiteSpectrum.from_dicts([subject], orientation=ORIENTATION, modality=modality)
