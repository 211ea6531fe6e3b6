"""One scan of a run: read, harmonize, measure, write, draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssimh.batch.manifest import Recipe, ScanRecord, list_input_files
from ssimh.files.artifact_cache import InputFile, hash_file
from ssimh.images.scan import LoadedScan, read_scan, write_scan
from ssimh.metrics import Comparison, compare


@dataclass(frozen=True)
class HarmonizedScan:
    """Result of harmonizing one scan.

    Attributes:
        values: floating array of the scan's shape.
        unit: intensity unit as far as it is known.
        make_reference_view: makes the array that the figure shows as the reference.
        reference_name: what that array is.
        threshold: coefficients per axis that count as low frequency in the scores.
        axes: axes of these.
        noise_gain: factor on the standard deviation of white noise; None where no filter was used.
    """

    values: NDArray[Any]
    unit: str | None
    make_reference_view: Callable[[], NDArray[Any]]
    reference_name: str
    threshold: int = 3
    axes: tuple[int, ...] = (-2, -1)
    noise_gain: float | None = None


class FileHarmonizer(Protocol):
    """A method with its reference and settings, ready for any scan."""

    @property
    def recipe(self) -> Recipe:
        """What decides about the result, for the manifest."""

    def find_mask(self, source: Path) -> Path | None:
        """The mask file of a scan, which decides about the result as the scan does; None where none is used."""

    def harmonize(self, scan: LoadedScan, workers: int | None) -> HarmonizedScan:
        """The scan after harmonization; ``workers`` limits the threads."""


@dataclass(frozen=True)
class OutputOptions:
    """How results are written.

    Attributes:
        pixel_type: ``"same"`` as the scan, or ``"float32"``.
        figures: whether a QC figure is drawn for every scan.
        reference_image: scan to show as the reference in the figures.

    Raises:
        ValueError: a reference image without figures.
    """

    pixel_type: str = "same"
    figures: bool = True
    reference_image: Path | None = None

    def __post_init__(self) -> None:
        if self.reference_image is not None and not self.figures:
            raise ValueError("reference_image is for figures, and figures are off; leave one of the two out.")


@dataclass(frozen=True)
class Job:
    """What all scans of a run have in common.

    Attributes:
        harmonizer: what is done to each scan.
        options: how results are written.
        recipe: of the outputs, options included.
        reference_values: voxels of ``options.reference_image``.
        workers: threads for each scan; None for as many as the process may use.
    """

    harmonizer: FileHarmonizer
    options: OutputOptions
    recipe: Recipe
    reference_values: NDArray[Any] | None
    workers: int | None


@dataclass(frozen=True)
class Task:
    """One scan of a run.

    Attributes:
        source: the scan.
        target: its output.
        files: what the manifest records of the files it was made from.
    """

    source: Path
    target: Path
    files: Mapping[str, InputFile]


def figure_path(target: Path) -> Path:
    """Where the figure of an output lies."""
    return target.with_name(f"{target.name}.png")


@dataclass(frozen=True)
class Failure:
    """Why a scan has no output.

    Attributes:
        kind: name of the exception.
        message: its text.
    """

    kind: str
    message: str


def try_scan(job: Job, task: Task) -> ScanRecord | Failure:
    """:func:`harmonize_file`, with every error as a value: the other scans go on."""
    try:
        return harmonize_file(job, task)
    except Exception as error:  # noqa: BLE001  no error of one scan may stop the others
        return Failure(type(error).__name__, str(error))


def harmonize_file(job: Job, task: Task) -> ScanRecord:
    """Read, harmonize, measure, write and draw one scan; the entry for the manifest.

    A figure that cannot be drawn is no failure: the output is there, and the entry says what happened.
    """
    # Before the scan is read, so that a change in between is noticed by the next run.
    inputs = {name: file.as_record() for name, file in task.files.items()}
    scan = read_scan(task.source)
    result = job.harmonizer.harmonize(scan, job.workers)
    scores = compare(scan.values, result.values, threshold=result.threshold, axes=result.axes)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    limited = write_scan(task.target, result.values, scan, job.options.pixel_type)
    outputs = {task.target.name: task.target}
    figure, figure_error = None, None
    if job.options.figures:
        try:
            figure = _draw(job, task, scan, result, scores).name
            outputs[figure] = figure_path(task.target)
        except Exception as error:  # noqa: BLE001  the output is written and good
            figure_error = f"{type(error).__name__}: {error}"
    return ScanRecord(
        source=str(task.source),
        made_from={"input": inputs, "recipe": job.recipe.key()},
        outputs={name: hash_file(path) for name, path in outputs.items()},
        figure=figure,
        figure_error=figure_error,
        shape=scan.values.shape,
        spacing_mm=tuple(float(step) for step in scan.spacing_mm),
        orientation=scan.orientation,
        unit=result.unit,
        pixel_type=str(scan.values.dtype) if job.options.pixel_type == "same" else job.options.pixel_type,
        limited_voxels=limited,
        noise_gain=result.noise_gain,
        scores=scores,
    )


def _draw(job: Job, task: Task, scan: LoadedScan, result: HarmonizedScan, scores: Comparison) -> Path:
    from ssimh.batch.plots import draw_qc_figure, save_figure

    if job.reference_values is None:
        view, name = result.make_reference_view(), result.reference_name
    else:
        view, name = job.reference_values, "reference"
    delta, p95 = scores.soft_tissue_mean_abs_delta, scores.soft_tissue_p95_abs_delta
    unit = f" {result.unit}" if result.unit else ""
    # A file name may hold a dollar sign, which begins a formula for Matplotlib.
    title = task.target.name.replace("$", r"\$")
    figure = draw_qc_figure(
        scan.values,
        result.values,
        view,
        spacing_mm=scan.spacing_mm,
        orientation=scan.orientation,
        reference_name=name,
        title=f"{title}\nsoft tissue changed by {delta:.1f}{unit} on average, 95 % of it by < {p95:.1f}{unit}",
        unit=result.unit or "unit not stated",
    )
    path = figure_path(task.target)
    save_figure(figure, path)
    return path


def make_job(harmonizer: FileHarmonizer, options: OutputOptions, jobs: int) -> Job:
    """The common part of a run; reads the reference image, once and before any scan.

    Raises:
        ScanError, FileNotFoundError: the reference image cannot be read.
        ImportError: figures without Matplotlib.
    """
    if options.figures:
        import ssimh.batch.plots  # noqa: F401  so that a missing Matplotlib is known before the work
    image, digests = None, None
    if options.reference_image is not None:
        image = np.asarray(read_scan(options.reference_image).values)
        files = list_input_files(options.reference_image)
        digests = {name: hash_file(file.path) for name, file in files.items()}
    recipe = harmonizer.recipe
    settings: dict[str, object] = {
        **recipe.settings,
        "pixel_type": options.pixel_type,
        "figures": options.figures,
        "reference_image": digests,
    }
    return Job(harmonizer, options, replace(recipe, settings=settings), image, None if jobs == 1 else 1)
