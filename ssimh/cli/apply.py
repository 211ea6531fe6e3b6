"""``ssimh apply`` and ``ssimh align``: scans in, harmonized scans and a manifest out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ssimh.batch.harmonize_folder import find_inputs, harmonize_scans
from ssimh.batch.harmonize_scan import FileHarmonizer, OutputOptions
from ssimh.batch.mask_files import leave_out_masks
from ssimh.batch.site_files import SiteAlignment
from ssimh.batch.swap_files import FileSwap
from ssimh.cli.console import Scans, handle_errors, print_line
from ssimh.cli.outcomes import show_outcomes
from ssimh.reference import ReferenceSpectrum
from ssimh.site.alignment import ALL_PARTS, PARTS
from ssimh.site.site_spectrum import SiteSpectrum


class PixelType(StrEnum):
    """Pixel type of the results."""

    same = "same"
    float32 = "float32"


class Grid(StrEnum):
    """Which grids scans may have."""

    same = "same"
    field_of_view = "field-of-view"
    physical = "physical"


Out = Annotated[Path, typer.Option(help="Output folder; keeps names and the structure of input folders.")]
Strength = Annotated[float, typer.Option(help="Share of the way, 0 … 1.")]
Clip = Annotated[tuple[float, float] | None, typer.Option(help="Lowest and highest value of the result.")]
PixelTypeOption = Annotated[
    PixelType, typer.Option(help="As in the scan (integers are rounded and limited), or float.")
]
Figures = Annotated[bool, typer.Option(help="Draw a QC figure per scan.")]
GridOption = Annotated[
    Grid,
    typer.Option(
        help="same: scans on the reference's grid; field-of-view: another number of voxels over the same field; "
        "physical: any grid, swapped in the reference's box in millimeters."
    ),
]
Background = Annotated[float | None, typer.Option(help="Voxels of exactly this value keep it.")]
Mask = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        help="Mask of each scan, outside which nothing moves: a path with {folder} and {name} of the scan, as "
        "{folder}/{name}_mask.nii.gz. Boolean or 0 and 1, on the scan's grid.",
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Scans at a time; changes the time, not the results.")]


def apply(
    scans: Scans,
    reference: Annotated[Path, typer.Option(help="Reference file written by `ssimh fit`.")],
    out: Out,
    strength: Strength = 1.0,
    clip: Clip = None,
    unit: Annotated[str | None, typer.Option(help="Intensity unit of scans that state none; PET is refused.")] = None,
    allow_pet: Annotated[
        bool, typer.Option("--allow-pet", help="Swap PET all the same; this changes uptake values.")
    ] = False,
    grid: GridOption = Grid.same,
    background: Background = None,
    mask: Mask = None,
    pixel_type: PixelTypeOption = PixelType.same,
    figures: Figures = True,
    reference_image: Annotated[Path | None, typer.Option(help="Scan to show as the reference in the figures.")] = None,
    jobs: Jobs = 1,
) -> None:
    """Swap the low frequencies of scans for those of a reference.

    Geometry is kept, a manifest says what was done, and a second run does only what is missing or has changed.
    """
    with handle_errors():
        spectrum = ReferenceSpectrum.load(reference)
        swap = FileSwap(spectrum, strength, clip, unit, allow_pet, grid.value, background, mask)
        _harmonize(scans, out, swap, OutputOptions(pixel_type.value, figures, reference_image), jobs)


def align(
    scans: Scans,
    source: Annotated[Path, typer.Option(help="Site of the scans, written by `ssimh fit-site`.")],
    target: Annotated[Path, typer.Option(help="Site to align to, written by `ssimh fit-site`.")],
    out: Out,
    strength: Strength = 1.0,
    part: Annotated[
        list[str] | None,
        typer.Option(help=f"What to align: {', '.join(ALL_PARTS)}; may be repeated. By default {' and '.join(PARTS)}."),
    ] = None,
    allow_sharpening: Annotated[
        float | None,
        typer.Option(help="Sharpen PET whose site is the coarser, by this gain at most (above 1, at most 2)."),
    ] = None,
    clip: Clip = None,
    pixel_type: PixelTypeOption = PixelType.same,
    figures: Figures = True,
    reference_image: Annotated[
        Path | None, typer.Option(help="Scan of the target site to show in the figures.")
    ] = None,
    jobs: Jobs = 1,
) -> None:
    """Align CT or PET scans of one site to another by what the two differ in.

    Geometry is kept, a manifest says what was done, and a second run does only what is missing or has changed.
    """
    with handle_errors():
        sites = SiteSpectrum.load(source), SiteSpectrum.load(target)
        alignment = SiteAlignment(*sites, strength, clip, tuple(part or PARTS), allow_sharpening)
        print_line(str(alignment.difference))
        _harmonize(scans, out, alignment, OutputOptions(pixel_type.value, figures, reference_image), jobs)


def _harmonize(inputs: list[Path], out: Path, harmonizer: FileHarmonizer, options: OutputOptions, jobs: int) -> None:
    scans = leave_out_masks(find_inputs(inputs, out), harmonizer.find_mask)
    show_outcomes(harmonize_scans(scans, out, harmonizer, options, jobs), len(scans), out)
