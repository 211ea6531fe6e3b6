"""Resolution of the PET of a prepared cohort: every case is blurred to that of the coarsest center that trains.

The resolution is measured on the crop, so that it includes the interpolation onto the crop grid: it is that of the
network's input. Rows and sites follow the folds as those of the CT do (:mod:`hnseg.preprocessing.harmonization`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

import ssimh
from hnseg.preprocessing.center_sites import ORIENTATION, Sites, hash_sites
from ssimh.files.json_object import JsonObject
from ssimh.site.alignment import apply_difference
from ssimh.site.coarsest_site import find_coarsest
from ssimh.site.power_spectrum import FWHM_PER_SIGMA
from ssimh.site.resolution_alignment import plan_filter
from ssimh.site.site_difference import SiteDifference, site_difference

MEASURED_MM = 2.0  # voxels at which a crop is measured, where it has finer ones; a PET holds nothing below
Volume = NDArray[np.float32]
Pair = tuple[float, float]


class PetResolutionRecord(BaseModel):
    """What was done to the resolution of a PET; pairs are in plane and axial.

    Attributes:
        source, target: Centers.
        subjects: Number of subjects of both.
        difference: In words.
        source_fwhm_mm, target_fwhm_mm: Widths on the crop grid; each can be off by a millimeter, their difference less.
        blur_fwhm_mm: Width of the Gaussian that the PET was blurred with; 0 where it keeps its resolution.
        noise_gain: Factor on the standard deviation of white noise.
        fallback: Why something else was done than the run's settings say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None
    target: str | None = None
    subjects: tuple[int, ...] | None = None
    difference: str | None = None
    source_fwhm_mm: Pair | None = None
    target_fwhm_mm: Pair | None = None
    blur_fwhm_mm: Pair = (0.0, 0.0)
    noise_gain: float = 1.0
    fallback: str | None = None


@dataclass(frozen=True)
class HarmonizedPet:
    """A crop of PET in SUV, (z, y, x), and the record of what was done."""

    pet_suv: Volume
    record: PetResolutionRecord


@dataclass(frozen=True)
class MatchResolution:
    """Blur a PET to the resolution of the target center; nothing is sharpened.

    The target is the center that the training cases of the others are blurred to most, where only differences with
    good evidence count: the coarsest. Where none is known to be coarser, nothing changes.

    Attributes:
        sites: Of PET, by version and center.
        new_sites: Of centers that did not train, by name.
    """

    sites: Sites
    new_sites: Mapping[str, ssimh.SiteSpectrum] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Content hash: equal digests match equally."""
        return hash_sites(self.sites)

    @cached_property
    def _targets(self) -> Mapping[str, str | None]:
        return {version: find_coarsest(sites) for version, sites in self.sites.items()}

    def target(self, version: str) -> str | None:
        """The center whose resolution all others get; None where no training case could be fitted."""
        return self._targets[version]

    @cached_property
    def _differences(self) -> dict[tuple[str, str], SiteDifference]:
        """Difference of every known center from the target, by version."""
        return {
            (version, center): site_difference(site, sites[target])
            for version, sites in self.sites.items()
            if (target := self.target(version)) is not None
            for center, site in sites.items()
        }

    def describe(self, version: str) -> list[str]:
        """What happens to the PET of each center, a sentence each; the target comes first."""
        target = self.target(version)
        if target is None:
            return []
        site = self.sites[version][target]
        in_plane, axial = site.resolution.fwhm_mm
        lines = [
            f"PET resolution: center {target} (n = {site.n_subjects}) has {in_plane:.1f} × {axial:.1f} mm, the target"
        ]
        for (of, center), difference in sorted(self._differences.items()):
            found = difference.resolution
            if of != version or center == target or found is None:
                continue
            raw, error, blur = found.raw_fwhm_mm, found.error_fwhm_mm, _widths(found.blur_mm2)
            done = f"blurred by {blur[0]:.1f} × {blur[1]:.1f} mm" if any(blur) else "left as it is"
            lines.append(
                f"PET resolution: center {center} (n = {difference.n_subjects[0]}) differs by {raw[0]:+.1f} ± "
                f"{error[0]:.1f} × {raw[1]:+.1f} ± {error[1]:.1f} mm and is {done}"
            )
        return lines

    def match(self, pet_suv: Volume, spacing_zyx_mm: tuple[float, ...], version: str, center: str) -> HarmonizedPet:
        """Match one crop.

        Args:
            pet_suv: (z, y, x) PET on the crop grid, in SUV.
            spacing_zyx_mm: Voxel size of the crop.
            version: Which sites to use.
            center: Center that the scan comes from.
        """
        target = self.target(version)
        details: dict[str, Any] = {"source": center, "target": target}
        try:
            if target is None:
                raise ValueError("no training case could be fitted")
            difference = self._differences.get((version, center))
            if difference is None and center in self.new_sites:
                difference = site_difference(self.new_sites[center], self.sites[version][target])
            if difference is None:
                difference = site_difference(fit_pet(pet_suv, spacing_zyx_mm), self.sites[version][target])
                details["source"] = "this scan alone"
                details["fallback"] = (
                    f"one-to-one: no training case of center {center} in this version; one scan tells its resolution "
                    "too poorly for more than a large difference to be matched"
                )
            matched = apply_difference(pet_suv, difference, spacing_mm=spacing_zyx_mm)
        except ValueError as error:  # too small, no uptake: leave the scan as it is and record why
            details["fallback"] = f"not matched: {error}"
            return HarmonizedPet(pet_suv, PetResolutionRecord(**details))
        details |= _describe(difference, spacing_zyx_mm, pet_suv.shape)
        return HarmonizedPet(np.asarray(matched, dtype=np.float32), PetResolutionRecord(**details))


def _describe(difference: SiteDifference, spacing_zyx_mm: tuple[float, ...], shape: tuple[int, ...]) -> JsonObject:
    """Fields of the record that follow from the difference."""
    found = difference.resolution
    if found is None:
        raise ValueError("the sites are of CT")
    source, target = ((round(r, 2), round(z, 2)) for r, z in found.fwhm_mm)
    in_plane, axial = (round(mm, 2) for mm in _widths(found.blur_mm2))
    return {
        "subjects": tuple(difference.n_subjects),
        "difference": str(found),
        "source_fwhm_mm": source,
        "target_fwhm_mm": target,
        "blur_fwhm_mm": (in_plane, axial),
        "noise_gain": round(plan_filter(found, 1.0, spacing_zyx_mm).noise_gain(shape), 3),
    }


def _widths(variances_mm2: Pair) -> Pair:
    """FWHM of Gaussians in plane and axial."""
    in_plane, axial = (FWHM_PER_SIGMA * mm2**0.5 for mm2 in variances_mm2)
    return in_plane, axial


def fit_pet(pet_suv: Volume, spacing_zyx_mm: tuple[float, ...]) -> ssimh.SiteSpectrum:
    """The row of one case, from its crop in SUV; planes outside the scan, which are 0, do not count.

    Raises:
        ValueError: The scanned part of the crop is too small, its voxels too large, or there is no uptake.
    """
    steps = [max(1, int(MEASURED_MM // mm)) for mm in spacing_zyx_mm]
    part = _scanned_part(pet_suv)[tuple(slice(None, None, step) for step in steps)]
    spacing_mm = [step * mm for step, mm in zip(steps, spacing_zyx_mm, strict=True)]
    return ssimh.SiteSpectrum.fit([part], spacing_mm=spacing_mm, orientation=ORIENTATION, modality="PT")


def _scanned_part(pet_suv: Volume) -> Volume:
    """The crop without planes at its ends that are 0 throughout.

    Raises:
        ValueError: All of it is 0.
    """
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(pet_suv.any(axis=tuple(other for other in range(3) if other != axis)))
        if filled.size == 0:
            raise ValueError("the PET is 0 everywhere in the crop")
        ends.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return pet_suv[tuple(ends)]
