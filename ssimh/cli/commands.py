"""The commands ``fit``, ``apply`` and ``report``: arguments in, messages out; the work is done elsewhere."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ssimh._version import __version__
from ssimh.files.atomic import atomic_write
from ssimh.files.batch import Settings, read_manifest, run
from ssimh.files.report import COLUMNS, rows, write_html
from ssimh.files.scan import find_scans, read_scan
from ssimh.files.site_files import SiteAlignment, fit_site
from ssimh.reference import ReferenceSpectrum
from ssimh.site.site_spectrum import SiteSpectrum

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Harmonize CT scans by swapping their low-frequency spectrum with that of a reference (SSIMH).",
)
_out, _err = Console(), Console(stderr=True)


class Mode(StrEnum):
    """Slice by slice, or the whole volume."""

    slice = "slice"
    volume = "volume"


class Region(StrEnum):
    """Part of the low-frequency corner."""

    square = "square"
    triangle = "triangle"
    radial = "radial"


class Statistic(StrEnum):
    """How several scans become one reference."""

    mean = "mean"
    median = "median"


class PixelType(StrEnum):
    """Pixel type of the results."""

    same = "same"
    float32 = "float32"


@contextmanager
def _clear_errors() -> Iterator[None]:
    """One line instead of a traceback for what a user can mend."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        _err.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options of the command as a whole."""


@app.command()
def fit(
    out: Annotated[Path, typer.Argument(help="Reference file to write (.npz, a few kilobytes, holds no image).")],
    images: Annotated[list[Path], typer.Argument(help="Scans, DICOM folders, or folders of scans.")],
    threshold: Annotated[int, typer.Option(min=0, help="Low-frequency coefficients per axis (τ).")] = 3,
    mode: Annotated[Mode, typer.Option(help="Transform axial slices, as published, or the volume.")] = Mode.slice,
    region: Annotated[Region, typer.Option(help="Part of the corner; square is the published one.")] = Region.square,
    statistic: Annotated[Statistic, typer.Option(help="Of several scans.")] = Statistic.mean,
    unit: Annotated[str | None, typer.Option(help="Intensity unit; by default what the files state.")] = None,
    regrid: Annotated[bool, typer.Option(help="Bring scans of other sizes to the first one's grid.")] = False,
    site: Annotated[bool, typer.Option("--site", help="Fit a site, for `ssimh apply --align`.")] = False,
) -> None:
    """Fit a reference to one scan or the average of several, or a site; one scan in memory at a time."""
    with _clear_errors():
        sources = list(find_scans(images).values())
        if site:
            _fit_site(out, sources)
            return

        def spectra() -> Iterator[ReferenceSpectrum]:
            first: ReferenceSpectrum | None = None
            with Progress(console=_err, transient=True) as progress:
                for path in progress.track(sources, description="fitting"):
                    spectrum = _spectrum(path, threshold, mode.value, region.value, unit)
                    if first is not None and regrid:
                        if first.orientation is not None and spectrum.orientation != first.orientation:
                            spectrum = spectrum.reoriented(first.orientation)
                        spectrum = spectrum.for_grid(first.shape)
                    first = first or spectrum
                    yield spectrum

        reference = ReferenceSpectrum.average(spectra(), statistic.value)
        reference.save(out)
        size = out.stat().st_size
        _out.print(
            f"{out}: {reference.n_subjects} scan(s), threshold {threshold}, grid {reference.shape}, {size} bytes",
            highlight=False,
            soft_wrap=True,
        )


def _fit_site(out: Path, sources: list[Path]) -> None:
    with Progress(console=_err, transient=True) as progress:
        found = fit_site(progress.track(sources, description="fitting"))
    found.save(out)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.tissue_shares.items())
    _out.print(f"{out}: site of {found.n_subjects} scan(s); {shares}", highlight=False, soft_wrap=True)


def _spectrum(path: Path, threshold: int, mode: str, region: str, unit: str | None) -> ReferenceSpectrum:
    scan = read_scan(path)
    try:
        return ReferenceSpectrum.from_image(
            scan.values,
            threshold,
            axes=tuple(range(-scan.values.ndim, 0)) if mode == "volume" else scan.slice_axes,
            region=region,
            spacing_mm=scan.spacing_mm,
            orientation=scan.orientation,
            unit=unit or scan.unit,
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


@app.command()
def apply(
    images: Annotated[list[Path], typer.Argument(help="Scans, DICOM folders, or folders of scans.")],
    reference: Annotated[Path, typer.Option(help="Reference file written by `ssimh fit`.")],
    out: Annotated[Path, typer.Option(help="Output folder; keeps names and the structure of input folders.")],
    strength: Annotated[float, typer.Option(help="Share of the way towards the reference, 0 … 1.")] = 1.0,
    clip: Annotated[tuple[float, float] | None, typer.Option(help="Lowest and highest value of the result.")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of the scans; PET units are refused.")] = None,
    allow_pet: Annotated[bool, typer.Option(help="Swap PET all the same; this changes uptake values.")] = False,
    regrid: Annotated[bool, typer.Option(help="Take grids of other sizes as the same field of view.")] = False,
    pixel_type: Annotated[PixelType, typer.Option(help="Integers are rounded and limited.")] = PixelType.same,
    figures: Annotated[bool, typer.Option(help="Draw a QC figure per scan.")] = True,
    reference_image: Annotated[Path | None, typer.Option(help="Scan to show as the reference in the figures.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Scans at a time.")] = 1,
    align: Annotated[
        Path | None, typer.Option(help="Site of the scans (`ssimh fit --site`); --reference then is the target site.")
    ] = None,
) -> None:
    """Harmonize scans; geometry is kept, a manifest says what was done, a second run does only what is missing."""
    with _clear_errors():
        spectrum = _what_to_apply(reference, align, regrid or allow_pet)
        scans = find_scans(images)
        for source in scans.values():
            if source.resolve().is_relative_to(out.resolve()):
                raise ValueError(f"{source} lies inside the output folder {out}; choose another one.")
        settings = Settings(
            strength,
            clip,
            unit,
            allow_pet,
            regrid,
            pixel_type.value,
            figures,
            None if reference_image is None else os.fspath(reference_image),
        )
        counts = {"done": 0, "kept": 0, "failed": 0}
        with Progress(console=_err, transient=True) as progress:
            bar = progress.add_task("harmonizing", total=len(scans))
            for target, state, message in run(scans, out, spectrum, settings, jobs):
                counts[state] += 1
                if state == "failed":
                    _err.print(f"[bold red]failed:[/] {target}: {message}", highlight=False, soft_wrap=True)
                progress.advance(bar)
        _out.print(
            f"{counts['done']} harmonized, {counts['kept']} kept from an earlier run, {counts['failed']} failed; "
            f"see {out / 'manifest.json'}",
            highlight=False,
            soft_wrap=True,
        )
        if counts["failed"]:
            raise typer.Exit(1)


def _what_to_apply(reference: Path, align: Path | None, swap_only: bool) -> ReferenceSpectrum | SiteAlignment:
    if align is None:
        return ReferenceSpectrum.load(reference)
    if swap_only:
        raise ValueError("--regrid and --allow-pet are for swaps; an alignment needs neither grid nor PET.")
    alignment = SiteAlignment(SiteSpectrum.load(align), SiteSpectrum.load(reference))
    _out.print(alignment.header()["difference"], highlight=False, soft_wrap=True)
    return alignment


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of `ssimh apply`.")],
) -> None:
    """Summarize a run: a table here, report.csv and report.html in the folder."""
    with _clear_errors():
        manifest = read_manifest(folder)
        table_rows = rows(manifest)
        table = Table(title=f"{len(table_rows)} scan(s), reference {manifest['reference']['content_hash'][:19]}…")
        for name, (heading, _) in COLUMNS.items():
            table.add_column(heading, justify="left" if name == "scan" else "right")
        for row in table_rows:
            table.add_row(*(form.format(row[name]) for name, (_, form) in COLUMNS.items()))
        _out.print(table)
        for name, message in manifest["failed"].items():
            _err.print(f"[bold red]failed:[/] {name}: {message}", highlight=False, soft_wrap=True)
        with atomic_write(folder / "report.csv") as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(COLUMNS))
            writer.writeheader()
            writer.writerows(table_rows)
        write_html(folder / "report.html", manifest, table_rows)
        _out.print(f"{folder / 'report.html'}", highlight=False, soft_wrap=True)
