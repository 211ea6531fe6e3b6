"""``ssimh fit`` and ``ssimh fit-site``: scans in, one small file out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ssimh.batch.site_files import fit_site as fit_site_of_files
from ssimh.batch.swap_files import fit_reference
from ssimh.cli.console import Scans, check_fitted_output, handle_errors, print_line, progress_bar
from ssimh.images.scan import find_scans
from ssimh.reference import ReferenceSpectrum
from ssimh.site.site_spectrum import SiteSpectrum


class Mode(StrEnum):
    """Slice by slice, or the whole volume."""

    slice = "slice"
    volume = "volume"


class FitGrid(StrEnum):
    """Which grids the scans of one reference may have."""

    same = "same"
    field_of_view = "field-of-view"


class Region(StrEnum):
    """Part of the low-frequency corner."""

    square = "square"
    triangle = "triangle"
    radial = "radial"


class Statistic(StrEnum):
    """How several scans become one reference."""

    mean = "mean"
    median = "median"


def fit(
    scans: Scans,
    out: Annotated[Path, typer.Option(help="Reference file to write (.npz, a few kilobytes, holds no image).")],
    threshold: Annotated[int, typer.Option(min=1, help="Low-frequency coefficients per axis (τ).")] = 3,
    mode: Annotated[Mode, typer.Option(help="Transform axial slices, as published, or the volume.")] = Mode.slice,
    region: Annotated[Region, typer.Option(help="Part of the corner; square is the published one.")] = Region.square,
    statistic: Annotated[
        Statistic | None, typer.Option(help="Of two scans or more: mean (default); of three or more: median.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Intensity unit of scans that state none, such as HU.")] = None,
    grid: Annotated[
        FitGrid,
        typer.Option(help="field-of-view: scans may have other numbers of voxels over the same field of view."),
    ] = FitGrid.same,
) -> None:
    """Fit a reference to one scan or the average of several; one scan in memory at a time."""
    with handle_errors():
        sources = list(find_scans(scans).values())
        check_fitted_output(out, sources, ReferenceSpectrum.load)
        _refuse_idle_options(len(sources), statistic, grid)
        with progress_bar() as progress:
            reference = fit_reference(
                progress.track(sources, description="fitting"),
                threshold=threshold,
                mode=mode.value,
                region=region.value,
                statistic=(statistic or Statistic.mean).value,
                unit=unit,
                grid=grid.value,
            )
        reference.save(out)
        size = out.stat().st_size
        print_line(
            f"{out}: {reference.n_subjects} scan(s), threshold {threshold}, grid {reference.shape}, {size} bytes"
        )


def _refuse_idle_options(number: int, statistic: Statistic | None, grid: FitGrid) -> None:
    """Refuse options that have no effect on so few scans.

    Raises:
        ValueError: names the option, and what it applies to.
    """
    if statistic is not None and number < 2:
        raise ValueError("--statistic is for two scans or more; one scan is its own mean. Leave it out.")
    if statistic is Statistic.median and number < 3:
        raise ValueError("--statistic median is for three scans or more; of two it is the mean. Leave it out.")
    if grid is not FitGrid.same and number < 2:
        raise ValueError("--grid is for two scans or more; one scan gives the grid. Leave it out.")


class SiteModality(StrEnum):
    """What the scans of a site are."""

    CT = "CT"
    PT = "PT"


def fit_site(
    scans: Scans,
    out: Annotated[Path, typer.Option(help="Site file to write (.npz, 400 to 600 bytes a scan, holds no image).")],
    modality: Annotated[
        SiteModality, typer.Option(help="CT in HU: the low-frequency field. PT in SUV: the resolution.")
    ] = SiteModality.CT,
) -> None:
    """Fit a site to the CT or PET scans of one hospital or scanner, for ssimh align; one in memory at a time."""
    with handle_errors():
        sources = list(find_scans(scans).values())
        check_fitted_output(out, sources, SiteSpectrum.load)
        with progress_bar() as progress:
            site = fit_site_of_files(progress.track(sources, description="fitting"), modality.value)
        site.save(out)
        if site.modality == "PT":
            in_plane, axial = site.resolution.fwhm_mm
            print_line(
                f"{out}: site of {site.n_subjects} scan(s); resolution (FWHM) about {in_plane:.1f} mm in plane and "
                f"{axial:.1f} mm axial"
            )
            return
        shares = ", ".join(f"{name} {share:.0%}" for name, share in site.tissue_shares.items())
        print_line(f"{out}: site of {site.n_subjects} scan(s); {shares}")
