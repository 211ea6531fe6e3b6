"""``ssimh nnunet``: an nnU-Net dataset, or new cases for its network, with one harmonized channel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssimh.batch.harmonize_scan import FileHarmonizer
from ssimh.batch.site_files import SiteAlignment
from ssimh.batch.swap_files import FileSwap, fit_reference
from ssimh.cli.apply import Background, Clip, Grid, GridOption, Jobs, PixelType, PixelTypeOption, Strength
from ssimh.cli.console import handle_errors, print_line
from ssimh.cli.outcomes import show_outcomes
from ssimh.nnunet.conversion import Conversion, plan_dataset, plan_new_cases
from ssimh.nnunet.dataset import DESCRIPTION, NnunetError, read_dataset
from ssimh.nnunet.kept_settings import load_kept_settings
from ssimh.reference import ReferenceSpectrum
from ssimh.site.site_spectrum import SiteSpectrum
from ssimh.units import is_pet_unit

_FOR_BOTH = ("folder", "like", "out", "jobs")


def nnunet(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Raw dataset of nnU-Net v2; with --as, a folder of new cases.")],
    out: Annotated[Path, typer.Option(help="Dataset or folder to write.")],
    reference: Annotated[
        Path | None, typer.Option(help="Reference file written by `ssimh fit`, or an image to fit it to.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option("--as", help="Dataset written by this command, whose settings new cases get.")
    ] = None,
    channel: Annotated[int, typer.Option(min=0, help="Number of the CT channel in dataset.json.")] = 0,
    threshold: Annotated[int, typer.Option(min=1, help="Low-frequency coefficients of a reference image (τ).")] = 3,
    site: Annotated[
        Path | None,
        typer.Option(help="Site of the dataset, written by `ssimh fit-site`: align to --reference, a site as well."),
    ] = None,
    strength: Strength = 1.0,
    clip: Clip = None,
    grid: GridOption = Grid.same,
    background: Background = None,
    pixel_type: PixelTypeOption = PixelType.same,
    jobs: Jobs = 1,
) -> None:
    """Harmonize one channel of an nnU-Net dataset, or of new cases as a dataset was (--as).

    Other channels and labels are copied, and dataset.json records what was done; the manifest says what moved in each
    image. A second run does only what is missing.
    """
    given = [name for name in context.params if getattr(context.get_parameter_source(name), "name", "") != "DEFAULT"]
    with handle_errors():
        if like is not None:
            _refuse_options(
                [name for name in given if name not in _FOR_BOTH], "a dataset; --as brings its own settings"
            )
            conversion = plan_new_cases(folder, out, load_kept_settings(like))
        else:
            if reference is None:
                raise NnunetError("--reference is missing: a reference file or an image; or --as for new cases.")
            dataset = read_dataset(folder)
            unit = dataset.layout.unit_of(channel, folder / DESCRIPTION)
            if site is not None:
                idle = [name for name in given if name in ("threshold", "grid", "background")]
                _refuse_options(idle, "swapping, without --site")
                harmonizer = _load_alignment(reference, site, unit, strength, clip)
            else:
                spectrum = _load_reference(reference, unit, threshold, "threshold" in given)
                harmonizer = FileSwap(spectrum, strength, clip, unit, grid=grid.value, background=background)
            conversion = plan_dataset(dataset, out, harmonizer, channel=channel, pixel_type=pixel_type.value)
        _run(conversion, jobs)


def _run(conversion: Conversion, jobs: int) -> None:
    show_outcomes(conversion.run(jobs), len(conversion.scans), conversion.target)
    print_line(f"{len(conversion.copies)} other file(s) copied; {conversion.target} is complete")


def _refuse_options(names: list[str], purpose: str) -> None:
    if names:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        raise NnunetError(f"{options}: for {purpose}. Leave it out.")


def _load_reference(path: Path, unit: str | None, threshold: int, is_given: bool) -> ReferenceSpectrum:
    """A saved reference, or the one of an image."""
    if path.suffix == ".npz":
        if is_given:
            raise NnunetError(f"--threshold is for a reference image; {path} has its own. Leave it out.")
        reference = ReferenceSpectrum.load(path)
    else:
        reference = fit_reference([path], threshold=threshold, unit=unit)
    if is_pet_unit(reference.unit):
        raise NnunetError(f"{path} has unit {reference.unit!r}, which is PET; the reference must be of CT.")
    return reference


def _load_alignment(
    reference: Path, site: Path, unit: str | None, strength: float, clip: tuple[float, float] | None
) -> FileHarmonizer:
    if unit != "HU":
        raise NnunetError("--site aligns CT; dataset.json does not name the channel CT.")
    sites = SiteSpectrum.load(site), SiteSpectrum.load(reference)
    for path, loaded in zip((site, reference), sites, strict=True):
        if loaded.modality != "CT":
            raise NnunetError(f"{path} is a site of modality {loaded.modality}; --site aligns the CT channel.")
    return SiteAlignment(*sites, strength, clip)
