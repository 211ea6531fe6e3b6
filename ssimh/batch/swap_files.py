"""Spectrum swapping of files: references fitted to files, and swapped into files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.coefficients import from_low_frequency
from ssimh._kernels.field_of_view import is_same_field
from ssimh._kernels.regions import region_mask
from ssimh._kernels.settings import SwapSettings
from ssimh.batch.harmonize_scan import HarmonizedScan
from ssimh.batch.manifest import Recipe
from ssimh.batch.mask_files import check_pattern, find_mask, read_mask
from ssimh.images.scan import LoadedScan, ScanError, read_scan
from ssimh.reference import ReferenceSpectrum
from ssimh.swap import swap_spectrum
from ssimh.units import is_pet_unit, refuse_pet


@dataclass(frozen=True)
class FileSwap:
    """What ``ssimh apply`` does to every scan; refuses settings that cannot be used before any scan is read.

    Attributes:
        reference: what is swapped in.
        strength: share of the way towards the reference, 0 … 1.
        clip: lowest and highest value of the result, in the scans' unit.
        unit: intensity unit of scans that state none.
        allow_pet: swap PET all the same.
        grid: ``"same"``, ``"field-of-view"`` (scan and reference are taken to cover the same field where their grids
            differ) or ``"physical"`` (the reference's box in millimeters); see :func:`ssimh.swap_spectrum`.
        background: voxels of exactly this value keep it.
        mask: pattern of the scans' mask files, with ``{folder}`` and ``{name}`` of a scan
            (:func:`ssimh.batch.mask_files.find_mask`); outside its mask nothing of a scan moves. None for no masks.

    Raises:
        ValueError: settings out of range, PET, a unit that is not the reference's, or a reference without an affine
            for ``"physical"``.
    """

    reference: ReferenceSpectrum
    strength: float = 1.0
    clip: tuple[float, float] | None = None
    unit: str | None = None
    allow_pet: bool = False
    grid: str = "same"
    background: float | None = None
    mask: str | None = None

    def __post_init__(self) -> None:
        if self.mask is not None:
            check_pattern(self.mask)
        SwapSettings(strength=self.strength, clip=self.clip, unit=self.unit, allow_pet=self.allow_pet, grid=self.grid)
        if self.grid == "physical" and self.reference.affine is None:
            raise ValueError(
                'grid="physical" needs a reference that states its affine, and this one does not: `ssimh fit` keeps it '
                "for one scan, or for scans that lie at the same place."
            )
        refuse_pet(self.reference.unit, "the reference", self.allow_pet)
        stated = self.reference.unit
        if stated is not None and self.unit is not None and not is_same_unit(stated, self.unit):
            raise ValueError(f"the unit {self.unit!r} is not that of the reference, {stated!r}; they must agree.")
        if self.allow_pet and stated is not None and not is_pet_unit(stated):
            raise ValueError(
                f"allow_pet is for PET; the reference has unit {stated!r}, so that no PET scan can be swapped with it."
            )

    @property
    def recipe(self) -> Recipe:
        """For the manifest: the reference and every setting."""
        reference = self.reference
        shape = " × ".join(map(str, reference.shape))
        description = (
            f"Reference of {reference.n_subjects} scan(s) on a grid of {shape} voxels, threshold "
            f"{reference.threshold} ({reference.region}), along axes {reference.axes} of (z, y, x)"
        )
        settings = {
            name: getattr(self, name)
            for name in ("strength", "clip", "unit", "allow_pet", "grid", "background", "mask")
        }
        return Recipe("swap", description, {**reference.header(), "content_hash": reference.content_hash}, settings)

    def find_mask(self, source: Path) -> Path | None:
        """The mask file of a scan."""
        return None if self.mask is None else find_mask(self.mask, source)

    def harmonize(self, scan: LoadedScan, workers: int | None) -> HarmonizedScan:
        """The scan after the swap.

        Raises:
            ScanError: another grid with ``"same"``, a unit that contradicts the file, or a mask that is missing or
                does not fit.
            ValueError: what :func:`ssimh.swap_spectrum` refuses.
        """
        unit = resolve_unit(scan, self.unit)
        physical = self.grid == "physical"
        reference = self.reference if physical else match_grid(self.reference, scan, self.grid)
        values = swap_spectrum(
            scan.values,
            reference,
            threshold=reference.threshold,
            axes=reference.axes,
            region=reference.region,
            grid=self.grid if physical else "same",  # match_grid has brought the reference to the scan's grid
            affine=scan.affine if physical else None,
            mask=None if self.mask is None else read_mask(self.mask, scan),
            background=self.background,
            unit=unit,
            strength=self.strength,
            clip=self.clip,
            allow_pet=self.allow_pet,
            workers=None if physical else workers,  # the box's few products are not shared among threads
        )

        def make_reference_view() -> NDArray[Any]:
            return from_low_frequency(np.asarray(reference.coefficients), reference.shape, axes=reference.axes)

        return HarmonizedScan(
            values,
            unit or reference.unit,
            make_reference_view,
            "what is swapped in: the reference's cosines",
            min(reference.threshold, *scan.values.shape) if physical else reference.threshold,
            (scan.slice_axes if len(reference.axes) == 2 else reference.axes) if physical else reference.axes,
        )


def is_same_unit(first: str, second: str) -> bool:
    """Whether two spellings name one unit; case and surrounding blanks do not count."""
    return first.strip().casefold() == second.strip().casefold()


def resolve_unit(scan: LoadedScan, unit: str | None) -> str | None:
    """The unit of a scan: what its file states, else what was given.

    Raises:
        ScanError: the two contradict each other.
    """
    if unit is not None and scan.unit is not None and not is_same_unit(unit, scan.unit):
        raise ScanError(f"{scan.path} states unit {scan.unit!r}; given is {unit!r}. Leave the unit out.")
    return unit or scan.unit


def match_grid(reference: ReferenceSpectrum, scan: LoadedScan, grid: str) -> ReferenceSpectrum:
    """The reference for the scan's orientation (exact), and with ``"field-of-view"`` for its grid.

    Args:
        reference: any reference.
        scan: the scan it is meant for.
        grid: ``"same"``, or ``"field-of-view"``: another number of voxels over the same field of view.

    Raises:
        ScanError: the grids differ and ``grid`` is ``"same"``, or the fields of view do.
        ValueError: the orientations name other axes.
    """
    if scan.orientation is not None and reference.orientation not in (None, scan.orientation):
        reference = reference.for_orientation(scan.orientation)
    shape, spacing_mm = scan.values.shape, scan.spacing_mm
    if reference.shape == shape and has_same_extent(reference, spacing_mm):
        return reference
    if grid == "same":
        mine, theirs = (f"{shape} and spacing {_rounded(spacing_mm)} mm"), f"{reference.shape}"
        if reference.spacing_mm is not None:
            theirs += f" with {_rounded(reference.spacing_mm)} mm"
        raise ScanError(
            f"{scan.path} has shape {mine}, the reference was fitted on {theirs}; resample the scan, or pass "
            "--grid physical to swap in the reference's box, or --grid field-of-view for another number of voxels over "
            "the same field of view."
        )
    return _resize(reference, shape, spacing_mm, scan.path, "; resample the scan, or pass --grid physical")


def _resize(
    spectrum: ReferenceSpectrum, shape: Sequence[int], spacing_mm: Sequence[float] | None, path: Path, remedy: str
) -> ReferenceSpectrum:
    """A spectrum on another grid over the same field of view.

    Raises:
        ScanError: the fields of view differ; ends with ``remedy``.
    """
    steps = None if spacing_mm is None else spacing_mm[-len(spectrum.spacing_mm or spacing_mm) :]
    try:
        return spectrum.for_grid(shape, steps)
    except ValueError as error:
        raise ScanError(f"{path}: {error}{remedy}.") from error


def has_same_extent(reference: ReferenceSpectrum, spacing_mm: Sequence[float]) -> bool:
    """Whether voxels of ``spacing_mm`` on the reference's grid cover its field of view, to half a voxel.

    True for a reference that states no spacing: nothing is known about it.
    """
    if reference.spacing_mm is None:
        return True
    steps = spacing_mm[-len(reference.spacing_mm) :]
    return is_same_field(reference.shape, steps, reference.shape, reference.spacing_mm)


def _rounded(spacing_mm: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(step), 4) for step in spacing_mm)


def fit_reference(
    paths: Iterable[Path],
    *,
    threshold: int = 3,
    mode: str = "slice",
    region: str = "square",
    statistic: str = "mean",
    unit: str | None = None,
    grid: str = "same",
) -> ReferenceSpectrum:
    """Reference of scan files, on the grid and in the orientation of the first; one scan in memory at a time.

    Args:
        paths: scan files or DICOM folders.
        threshold: low-frequency coefficients per axis, 1 or more.
        mode: ``"slice"`` transforms axial slices, ``"volume"`` all three axes.
        region: ``"square"``, ``"triangle"`` or ``"radial"``.
        statistic: ``"mean"`` or ``"median"`` of several scans.
        unit: intensity unit of scans that state none.
        grid: ``"same"``, or ``"field-of-view"``: grids of another number of voxels over the same field of view.

    Raises:
        ScanError: a scan that cannot be used, that differs from the first one, or a region that makes no difference at
            this threshold; the message names the scan.
        ValueError: no scan.
    """

    def spectra() -> Iterator[ReferenceSpectrum]:
        first: ReferenceSpectrum | None = None
        for path in paths:
            scan = read_scan(path)
            spectrum = _fit_scan(scan, threshold, mode, region, resolve_unit(scan, unit))
            spectrum = spectrum if first is None else _match_first(spectrum, first, path, grid)
            first = first or spectrum
            yield spectrum

    return ReferenceSpectrum.average(spectra(), statistic=statistic)


def _fit_scan(scan: LoadedScan, threshold: int, mode: str, region: str, unit: str | None) -> ReferenceSpectrum:
    if mode == "volume" and scan.values.ndim < 3:
        raise ScanError(f"{scan.path} has two dimensions; the mode volume needs three.")
    axes = (-3, -2, -1) if mode == "volume" else scan.slice_axes
    try:
        if region != "square" and region_mask(region, threshold, len(axes)).all():
            raise ScanError(
                f"region {region} is the square at threshold {threshold}; leave it out or raise the threshold."
            )
        return ReferenceSpectrum.from_image(
            scan.values,
            threshold=threshold,
            axes=axes,
            region=region,
            spacing_mm=scan.spacing_mm,
            orientation=scan.orientation,
            affine=scan.affine,
            unit=unit,
        )
    except (ValueError, TypeError) as error:
        raise ScanError(f"{scan.path}: {error}") from error


def _match_first(spectrum: ReferenceSpectrum, first: ReferenceSpectrum, path: Path, grid: str) -> ReferenceSpectrum:
    """The spectrum of a further scan in the orientation and, with ``"field-of-view"``, on the grid of the first."""
    if spectrum.unit != first.unit:
        raise ScanError(f"{path} has unit {spectrum.unit!r}, the first scan {first.unit!r}; they must agree.")
    if first.orientation is not None and spectrum.orientation not in (None, first.orientation):
        spectrum = spectrum.for_orientation(first.orientation)
    same = spectrum.shape == first.shape and has_same_extent(first, spectrum.spacing_mm or ())
    if not same and grid == "same":
        raise ScanError(
            f"{path} has shape {spectrum.shape} and spacing {_rounded(spectrum.spacing_mm or ())} mm, the first scan "
            f"{first.shape} and {_rounded(first.spacing_mm or ())} mm; resample it, or pass --grid field-of-view for "
            "another number of voxels over the same field of view."
        )
    if not same:
        spectrum = _resize(spectrum, first.shape, first.spacing_mm, path, "; resample it")
    affine = spectrum.affine if spectrum.is_placed_as(first) else None
    return replace(spectrum, spacing_mm=first.spacing_mm, affine=affine)
