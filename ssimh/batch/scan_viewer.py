"""The viewer of a run's report: each scan before and after harmonization, and what changed."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.batch.manifest import Manifest, ScanRecord, list_input_files
from ssimh.images.image_file import ImageFileError
from ssimh.images.scan import LoadedScan, read_scan
from ssimh.images.simpleitk import load_sitk
from ssimh.units import is_pet_unit
from ssimh.viewer.case_folder import CaseSource, ViewerFolder, write_viewer_folder
from ssimh.viewer.fit_size import ViewerError
from ssimh.viewer.records import Colormap, Mode, ScanLayer, ViewerCase, WindowPreset

WINDOW_HU, BONE_HU = (-160.0, 240.0), (-500.0, 1500.0)
ROUGH_AIR = (-900.0, 50.0)  # as in hnseg's viewer
WINDOW_SUV = (0.0, 10.0)
PRESETS_HU = (WindowPreset("Soft tissue", *WINDOW_HU), WindowPreset("Bone", *BONE_HU), WindowPreset("Lung", -1350, 150))
PERCENTILES = (1.0, 99.0)  # window of values in no known unit
LARGEST_CHANGE = 99.5  # percentile of the change at the ends of its colors


def write_scan_viewer(page: Path, manifest: Manifest, count: int) -> ViewerFolder:
    """Write the viewer of a report.

    Args:
        page: The report, in the output folder of the run.
        manifest: Of the run.
        count: Scans at most, those whose soft tissue changed most first.
    """

    def change(name: str) -> float:
        mean = manifest.scans[name].scores.soft_tissue_mean_abs_delta
        return 0.0 if math.isnan(mean) else mean

    names = sorted(manifest.scans, key=lambda name: (-change(name), name))[:count]
    sources = [_make_source(page.parent, name, manifest.scans[name]) for name in names]
    return write_viewer_folder(page, "Before and after", sources, refused=(ImageFileError, OSError))


def _make_source(folder: Path, name: str, record: ScanRecord) -> CaseSource:
    output = folder / name
    settings = {"source": record.source, "unit": record.unit, "made_from": record.made_from["input"]}
    read = functools.partial(read_change, Path(record.source), output, name, record)
    return CaseSource(name, {"output": output if output.is_file() else None}, settings, read)


def read_change(source: Path, output: Path, name: str, record: ScanRecord) -> ViewerCase:
    """A scan before and after, and the difference.

    Args:
        source: The scan, as the run read it.
        output: What the run wrote.
        name: Of the output within its folder.
        record: Of the output.

    Raises:
        ViewerError: The scan has two dimensions, or is another one now than the run read.
        ImageFileError: A file is missing or cannot be read.
    """
    if len(record.shape) != 3:
        raise ViewerError("it has two dimensions; the viewer shows planes through three")
    known = record.made_from["input"]
    files = list_input_files(source) if source.exists() else {}
    if not files or not isinstance(known, dict) or any(not file.matches(known.get(n)) for n, file in files.items()):
        raise ViewerError(f"the scan that it was made from is not there, or is another one now: {source}")
    before, after = read_scan(source), read_scan(output)
    if before.values.shape != after.values.shape:
        raise ViewerError(f"before has shape {before.values.shape}, after {after.values.shape}")
    difference = after.values.astype(np.float32) - before.values.astype(np.float32)
    return _describe(name, record.unit, before, after, difference)


def _describe(
    name: str, unit: str | None, before: LoadedScan, after: LoadedScan, difference: NDArray[np.float32]
) -> ViewerCase:
    is_hu, is_pet = unit is not None and unit.strip().casefold() == "hu", unit is not None and is_pet_unit(unit)
    low, high = (float(value) for value in np.percentile(before.values, PERCENTILES))
    window = WINDOW_HU if is_hu else WINDOW_SUV if is_pet else (low, max(high, low + 1e-6))
    step = 1.0 if is_hu else _fine_step(window[1] - window[0])
    digits = max(0, math.ceil(-math.log10(step)))
    limit = max(float(np.percentile(np.abs(difference), LARGEST_CHANGE)), step)
    change_step = min(step, 10.0 ** math.floor(math.log10(limit / 50)))
    gray: Colormap = "gray_r" if is_pet else "gray"
    rough = ROUGH_AIR if is_hu else None
    images = [_image(scan.values, scan) for scan in (before, after)]
    quantity = unit or "no unit"
    return ViewerCase(
        name=name,
        scans=(
            ScanLayer("before", "Before", quantity, images[0], window, gray, step, digits, rough),
            ScanLayer("after", "After", quantity, images[1], window, gray, step, digits, rough),
            ScanLayer(
                "difference",
                "After − before",
                quantity,
                _image(difference, before),
                (-limit, limit),
                "RdBu_r",
                change_step,
                max(digits, 1),
            ),
        ),
        modes=(
            Mode("Before", "before"),
            Mode("After", "after"),
            Mode("Change", "difference"),
            Mode("Change over before", "before", "difference"),
        ),
        projected="after",
        projected_window=BONE_HU if is_hu else None,
        presets=PRESETS_HU if is_hu else (),
        notes=("Change: blue is lower, red is higher than before; white is no change.",),
    )


def _fine_step(width: float) -> float:
    """A power of ten below a thousandth of a window."""
    return float(10.0 ** math.floor(math.log10(width / 1000)))


def _image(values: NDArray[Any], like: LoadedScan) -> Any:
    image = load_sitk().GetImageFromArray(values)
    image.SetSpacing(like.header.spacing_mm)
    image.SetOrigin(like.header.origin_mm)
    image.SetDirection(like.header.direction)
    return image
