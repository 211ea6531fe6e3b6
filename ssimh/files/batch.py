"""Whole folders: apply one reference to many scans, with a manifest that allows to resume."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.coefficients import from_low_frequency
from ssimh._version import __version__
from ssimh.files.atomic import atomic_write
from ssimh.files.scan import LoadedScan, ScanError, read_scan, write_scan
from ssimh.files.site_files import SiteAlignment
from ssimh.metrics import compare
from ssimh.reference import ReferenceSpectrum
from ssimh.swap import swap_spectrum

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Settings:
    """How the scans of one run are treated; saved in the manifest."""

    strength: float = 1.0
    clip: tuple[float, float] | None = None
    unit: str | None = None
    allow_pet: bool = False
    regrid: bool = False
    pixel_type: str = "same"
    figures: bool = True
    reference_image: str | None = None


@dataclass(frozen=True)
class Task:
    """One scan of a run."""

    source: Path
    target: Path
    reference: ReferenceSpectrum | SiteAlignment
    settings: Settings
    workers: int | None = None


def adapt(reference: ReferenceSpectrum, scan: LoadedScan, regrid: bool) -> ReferenceSpectrum:
    """The reference for the scan's orientation (exact), and with ``regrid`` for its grid.

    With ``regrid`` the two fields of view are taken as the same one.

    Raises:
        ValueError: the grids differ and ``regrid`` is off, or the orientations name other axes.
    """
    if scan.orientation is not None and reference.orientation not in (None, scan.orientation):
        reference = reference.reoriented(scan.orientation)
    if reference.shape == scan.values.shape:
        return reference
    if not regrid:
        raise ScanError(
            f"{scan.path} has shape {scan.values.shape}, the reference was fitted on {reference.shape}; resample the "
            "scan, or pass --regrid to take the two fields of view as the same."
        )
    return reference.for_grid(scan.values.shape)


def _swapped(task: Task, scan: LoadedScan, reference: ReferenceSpectrum) -> NDArray[Any]:
    settings = task.settings
    return swap_spectrum(
        scan.values,
        reference,
        reference.threshold,
        axes=reference.axes,
        region=reference.region,
        strength=settings.strength,
        clip=settings.clip,
        unit=settings.unit or scan.unit,
        allow_pet=settings.allow_pet,
        workers=task.workers,
    )


def harmonize(task: Task) -> dict[str, Any]:
    """Read, swap or align, write, measure and draw one scan; the entry for the manifest."""
    scan = read_scan(task.source)
    settings = task.settings
    reference: ReferenceSpectrum | None = None
    if isinstance(task.reference, SiteAlignment):
        unit = settings.unit or scan.unit
        after = task.reference.aligned(scan, strength=settings.strength, clip=settings.clip, unit=unit)
    else:
        reference = adapt(task.reference, scan, settings.regrid)
        after = _swapped(task, scan, reference)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    limited = write_scan(task.target, after, scan, settings.pixel_type)
    low: dict[str, Any] = {} if reference is None else {"threshold": reference.threshold, "axes": reference.axes}
    scores = compare(scan.values, after, **low).as_dict()
    figure = None
    if settings.figures:
        figure = _draw(task, scan, after, reference, scores)
    stamp = task.source.stat()
    return {
        "input": str(task.source),
        "output": task.target.name,
        "input_bytes": stamp.st_size,
        "input_mtime_ns": stamp.st_mtime_ns,
        "shape": list(scan.values.shape),
        "spacing_mm": list(scan.spacing_mm),
        "orientation": scan.orientation,
        "pixel_type": str(scan.values.dtype) if settings.pixel_type == "same" else settings.pixel_type,
        "limited_voxels": limited,
        "figure": figure,
        "scores": scores,
    }


def _draw(
    task: Task, scan: LoadedScan, after: NDArray[Any], reference: ReferenceSpectrum | None, scores: dict[str, Any]
) -> str:
    from ssimh.files.plots import qc_figure, save_figure

    if task.settings.reference_image is not None:
        shown, name = read_scan(task.settings.reference_image).values, "reference"
    elif reference is None:
        # A site has no image to show; what it did is the last column.
        shown, name = scan.values, "the scan itself"
    else:
        shown = from_low_frequency(np.asarray(reference.coefficients), reference.shape, reference.axes)
        name = "reference: its low frequencies"
    delta, p95 = scores["soft_tissue_mean_abs_delta"], scores["soft_tissue_p95_abs_delta"]
    figure = qc_figure(
        scan.values,
        after,
        shown,
        spacing_mm=scan.spacing_mm,
        orientation=scan.orientation,
        reference_name=name,
        title=f"{task.target.name}\nsoft tissue moved by {delta:.1f} HU on average, 95 % of it by < {p95:.1f} HU",
    )
    path = task.target.with_name(f"{task.target.name}.png")
    save_figure(figure, path)
    return path.name


class Manifest:
    """What has been done in an output folder; written after every scan, so that a run can be taken up again."""

    def __init__(self, folder: Path, reference: ReferenceSpectrum | SiteAlignment, settings: Settings) -> None:
        self.path = folder / MANIFEST
        self.header = {
            "format": "ssimh-manifest",
            "ssimh_version": __version__,
            "reference": {**reference.header(), "content_hash": reference.content_hash},
            "settings": json.loads(json.dumps(asdict(settings))),
        }
        self.scans: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, str] = {}
        if self.path.is_file():
            stored = read_manifest(folder)
            if {name: stored.get(name) for name in ("reference", "settings")} == {
                name: self.header[name] for name in ("reference", "settings")
            }:
                self.scans = stored["scans"]

    def is_done(self, target: Path, source: Path) -> bool:
        """Whether the output is there and its input has not changed since, under the same reference and settings."""
        entry = self.scans.get(target.as_posix())
        if entry is None or source.is_dir() or not (self.path.parent / target).is_file():
            return False
        stamp = source.stat()
        return (entry["input"], entry["input_bytes"], entry["input_mtime_ns"]) == (
            str(source),
            stamp.st_size,
            stamp.st_mtime_ns,
        )

    def save(self) -> None:
        """Write the file; it appears whole or not at all."""
        content = {**self.header, "scans": self.scans, "failed": self.failed}
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an output folder.

    Raises:
        FileNotFoundError: there is none.
        ScanError: the file is none, or damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {MANIFEST}; it must be the output folder of `ssimh apply`.")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ScanError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or content.get("format") != "ssimh-manifest":
        raise ScanError(f"{path} is not a manifest of `ssimh apply`.")
    return content


def run(
    scans: dict[Path, Path],
    folder: Path,
    reference: ReferenceSpectrum | SiteAlignment,
    settings: Settings,
    jobs: int = 1,
) -> Iterator[tuple[Path, str, str]]:
    """Harmonize all scans; yields (output, ``"done"`` | ``"kept"`` | ``"failed"``, message) as each one ends.

    One scan that fails does not stop the others: its error is in the manifest and in what is yielded.

    Args:
        scans: output path relative to ``folder`` → input, as :func:`ssimh.files.scan.find_scans` gives it.
        folder: output folder; made if needed.
        reference: what the scans are harmonized to; two sites for an alignment.
        settings: how.
        jobs: number of processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(folder, reference, settings)
    tasks: dict[Path, Task] = {}
    for target, source in scans.items():
        if manifest.is_done(target, source):
            yield target, "kept", ""
        else:
            tasks[target] = Task(source, folder / target, reference, settings, None if jobs == 1 else 1)
    for target, outcome in _outcomes(tasks, jobs):
        name = target.as_posix()
        if isinstance(outcome, Exception):
            manifest.scans.pop(name, None)
            manifest.failed[name] = f"{type(outcome).__name__}: {outcome}"
            manifest.save()
            yield target, "failed", str(outcome)
        else:
            manifest.scans[name] = outcome
            manifest.save()
            yield target, "done", ""


def _attempt(task: Task) -> dict[str, Any] | Exception:
    try:
        return harmonize(task)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        return error


def _outcomes(tasks: dict[Path, Task], jobs: int) -> Iterator[tuple[Path, dict[str, Any] | Exception]]:
    if jobs <= 1 or len(tasks) <= 1:
        for target, task in tasks.items():
            yield target, _attempt(task)
        return
    # Fresh interpreters: a fork of a process with threads of ITK's can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
        futures: dict[Future[dict[str, Any] | Exception], Path] = {
            pool.submit(_attempt, task): target for target, task in tasks.items()
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
