"""The files of the figures: PNG and PDF that say what they show, and ``figures.json``, which knows them all.

A file that was changed since, or that hnseg did not write, is never replaced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field

from hnseg.evaluation.evaluate import hash_run
from hnseg.outputs import check_output_file
from hnseg.provenance import versions
from hnseg.report.paper_figures.style import PNG_DPI
from hnseg.workdir import load_config, read_record, write_json
from ssimh._version import __version__
from ssimh.files.artifact_cache import hash_file
from ssimh.files.atomic import atomic_write

FOLDER, RECORD = "figures", "figures.json"
FORMATS = ("png", "pdf")


class FigureOrigin(BaseModel):
    """What a figure was made from.

    Attributes:
        run: Name of the work directory.
        preset, seed: Of the run.
        settings, split: SHA-256, as in ``metrics.json``.
        case: That is shown; None for figures of the whole run.
        inputs: SHA-256 of other files, by name.
        versions: Of the packages that change numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    preset: str
    seed: int
    settings: str
    split: str
    case: str | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]


class FigureRecord(BaseModel):
    """One figure; ``outputs`` holds the SHA-256 of its files by name, null while they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    caption: str
    made_from: FigureOrigin
    outputs: dict[str, str | None]


class FiguresRecord(BaseModel):
    """``figures.json``: the figures by number, and why others were left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: dict[str, FigureRecord] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class DrawnFigure:
    """A figure that is not written yet.

    Attributes:
        number: In the paper.
        title: For the file's metadata.
        caption: One or two sentences for the paper.
        figure: Of Matplotlib.
        case_id: The case that it shows.
        inputs: SHA-256 of files that it was drawn from, beside those of the run.
    """

    number: int
    title: str
    caption: str
    figure: Figure
    case_id: str | None = None
    inputs: Mapping[str, str] | None = None


def read_figures_record(work: Path) -> FiguresRecord:
    """Read ``figures/figures.json``; without values where there is none.

    Raises:
        WorkDirError: It is damaged or of another shape.
    """
    path = work / FOLDER / RECORD
    return read_record(path, FiguresRecord, "figures") if path.is_file() else FiguresRecord()


def check_figure_files(work: Path, numbers: Sequence[int]) -> None:
    """Refuse to replace a file that hnseg did not write, or that was changed since.

    Raises:
        OutputPathError: Names the file.
        WorkDirError: ``figures.json`` is damaged.
    """
    known: dict[str, str | None] = {}
    for figure in read_figures_record(work).figures.values():
        known |= figure.outputs

    def is_ours(path: Path) -> bool:
        return path.name in known and known[path.name] in (None, hash_file(path))

    for number in numbers:
        for path in figure_paths(work, number):
            check_output_file(path, is_ours=is_ours)


def figure_paths(work: Path, number: int) -> tuple[Path, ...]:
    """The files of a figure."""
    return tuple(work / FOLDER / f"figure_{number}.{ending}" for ending in FORMATS)


def save_figures(work: Path, drawn: Sequence[DrawnFigure], left_out: Mapping[int, str]) -> list[Path]:
    """Write figures and ``figures.json``; within :func:`hnseg.report.paper_figures.style.paper_style`.

    Args:
        work: Work directory of the run.
        drawn: Figures to write; others that are there stay.
        left_out: Reason by number; their entries go, and files of an earlier call.

    Returns:
        The files.
    """
    (work / FOLDER).mkdir(exist_ok=True)
    before = read_figures_record(work)
    numbers = {str(number) for number in (*(figure.number for figure in drawn), *left_out)}
    reasons = {number: reason for number, reason in before.left_out.items() if number not in numbers}
    reasons |= {str(number): reason for number, reason in left_out.items()}
    records = {number: record for number, record in before.figures.items() if number not in map(str, left_out)}
    made = {str(figure.number): _describe(work, figure) for figure in drawn}
    for number in left_out:
        for path in figure_paths(work, number):
            path.unlink(missing_ok=True)
    _write_record(work, records | made, reasons)
    paths: list[Path] = []
    for figure in drawn:
        record = made[str(figure.number)]
        files = figure_paths(work, figure.number)
        for path in files:
            _save(figure, record.made_from, path)
        hashes: dict[str, str | None] = {path.name: hash_file(path) for path in files}
        made[str(figure.number)] = record.model_copy(update={"outputs": hashes})
        paths += files
    _write_record(work, records | made, reasons)
    return paths


def _describe(work: Path, drawn: DrawnFigure) -> FigureRecord:
    config, hashes = load_config(work), hash_run(work)
    origin = FigureOrigin(
        run=work.resolve().name,
        preset=config.preset,
        seed=config.seed,
        settings=hashes.get("settings", ""),
        split=hashes.get("split", ""),
        case=drawn.case_id,
        inputs=dict(drawn.inputs or {}),
        versions=versions(),
    )
    outputs: dict[str, str | None] = {path.name: None for path in figure_paths(work, drawn.number)}
    return FigureRecord(title=drawn.title, caption=drawn.caption, made_from=origin, outputs=outputs)


def _write_record(work: Path, figures: Mapping[str, FigureRecord], left_out: Mapping[str, str]) -> None:
    record = FiguresRecord(figures=dict(sorted(figures.items())), left_out=dict(sorted(left_out.items())))
    write_json(work / FOLDER / RECORD, record.model_dump(mode="json"))


def _save(drawn: DrawnFigure, origin: FigureOrigin, path: Path) -> None:
    """Write one file; it states no time, so that the same run gives the same bytes."""
    FigureCanvasAgg(drawn.figure)
    title, made_from = f"Figure {drawn.number}: {drawn.title}", json.dumps(origin.model_dump(mode="json"))
    program = f"hnseg {__version__}"
    metadata: dict[str, str | None]
    if path.suffix == ".png":
        metadata = {"Title": title, "Description": drawn.caption, "Software": program, "Source": made_from}
    else:
        metadata = {"Title": title, "Subject": drawn.caption, "Creator": program, "Keywords": made_from}
        metadata["CreationDate"] = None
    with atomic_write(path) as temporary:
        drawn.figure.savefig(temporary, format=path.suffix[1:], dpi=PNG_DPI, metadata=metadata)
