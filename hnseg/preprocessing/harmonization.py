"""Harmonization of a prepared cohort by one of four methods.

A run harmonizes by one of four methods. ``spectrum-swap`` (published) and ``histogram-match`` move every case to one
reference subject, which is a training case of every fold. ``spectrum-align`` moves a case by what its center differs in
from the target center, and keeps one version of the case per fold: the sites of fold *k* are fitted on the training
cases of fold *k* alone, so that no validation case takes part in what the fold's network sees; the sites of the final
version, which test cases get, are fitted on everything that is not test. A center without a training case is aligned
scan by scan (one-to-one), which the record states. With ``pet_resolution: align`` the PET follows in the same way, see
:mod:`hnseg.preprocessing.pet_resolution`; every other method leaves it alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import ssimh
from hnseg.cohort.splits import Splits
from hnseg.preprocessing.center_sites import ORIENTATION, Sites, group_sites, hash_sites
from hnseg.preprocessing.image_versions import FINAL, fold_version
from hnseg.preprocessing.pet_resolution import HarmonizedPet, MatchResolution, PetResolutionRecord
from hnseg.settings.prepare import PrepareConfig
from ssimh.site.alignment import apply_difference
from ssimh.site.body import BODY_THRESHOLD_HU, body_mask
from ssimh.site.site_difference import SiteDifference, site_difference

AXIAL = (-2, -1)  # in-plane axes of a (z, y, x) array: the swap runs slice by slice
SOFT_TISSUE_HU = (-150.0, 150.0)
Volume = NDArray[np.float32]


class HarmonizationRecord(BaseModel):
    """What harmonization did to a CT.

    Attributes:
        method: See :data:`hnseg.settings.prepare.Harmonization`.
        soft_tissue_mean_abs_hu, soft_tissue_p95_abs_hu: Mean and 95th percentile of the absolute change in soft tissue,
            in HU.
        threshold, reference: Of ``spectrum-swap``; ``reference`` also of ``histogram-match``: the case ID.
        source, target, subjects, difference, shrinkage: Of ``spectrum-align``: centers, number of subjects of both, the
            difference in words, and its shrinkage (0 to 1).
        fallback: Why something else was done than the run's settings say.
        pet: What was done to the PET, where the run aligns its resolution.
        folds: The same for the version of each fold, where folds differ.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    soft_tissue_mean_abs_hu: float
    soft_tissue_p95_abs_hu: float
    threshold: int | None = None
    reference: str | None = None
    source: str | None = None
    target: str | None = None
    subjects: tuple[int, ...] | None = None
    difference: str | None = None
    shrinkage: float | None = None
    fallback: str | None = None
    pet: PetResolutionRecord | None = None
    folds: dict[str, HarmonizationRecord] = Field(default_factory=dict)


@dataclass(frozen=True)
class Harmonized:
    """A harmonized crop: CT in HU, (z, y, x), and the record of what was done."""

    ct_hu: Volume
    record: HarmonizationRecord


class Harmonizer(Protocol):
    """What all methods have in common."""

    @property
    def digest(self) -> str:
        """Content hash: equal digests harmonize equally."""

    def harmonize(
        self, ct_hu: Volume, scanned: NDArray[np.bool_], case_id: str | None, center: str
    ) -> dict[str, Harmonized]:
        """Harmonize one crop.

        Args:
            ct_hu: (z, y, x) CT on the crop grid, in HU; the lower end of the valid range outside the scan.
            scanned: Same shape; where the CT was scanned. Values elsewhere are kept.
            case_id: A case of the run, or None for a new scan.
            center: Center that the scan comes from.

        Returns:
            The version ``final``; with a method that depends on the fold, one more for each fold, see
            :mod:`hnseg.preprocessing.image_versions`.
        """

    def harmonize_pet(
        self, pet_suv: Volume, spacing_zyx_mm: tuple[float, ...], version: str, center: str
    ) -> HarmonizedPet | None:
        """Harmonize the PET of one crop for a version that :meth:`harmonize` gives; None leaves it as it is.

        Args:
            pet_suv: (z, y, x) PET on the crop grid, in SUV.
            spacing_zyx_mm: Voxel size of the crop.
            version: Of the image.
            center: Center that the scan comes from.
        """


class LeavesPet:
    """A method that changes the CT alone."""

    def harmonize_pet(
        self, pet_suv: Volume, spacing_zyx_mm: tuple[float, ...], version: str, center: str
    ) -> HarmonizedPet | None:
        """See :class:`Harmonizer`."""
        return None


@dataclass(frozen=True)
class NoHarmonization(LeavesPet):
    """Leave every case as it is."""

    digest: str = "none"

    def harmonize(
        self, ct_hu: Volume, scanned: NDArray[np.bool_], case_id: str | None, center: str
    ) -> dict[str, Harmonized]:
        """See :class:`Harmonizer`."""
        return {FINAL: _measure_change("none", ct_hu, ct_hu, scanned, {})}


@dataclass(frozen=True)
class SwapToReference(LeavesPet):
    """The published method: the lowest coefficients of each axial slice become those of one subject."""

    config: PrepareConfig
    reference: ssimh.ReferenceSpectrum
    reference_id: str

    @property
    def digest(self) -> str:
        """See :class:`Harmonizer`."""
        return f"{self.reference_id}:{self.reference.content_hash}"

    def harmonize(
        self, ct_hu: Volume, scanned: NDArray[np.bool_], case_id: str | None, center: str
    ) -> dict[str, Harmonized]:
        """See :class:`Harmonizer`."""
        config = self.config
        after = ssimh.swap_spectrum(
            ct_hu, self.reference, threshold=config.swap_threshold, axes=AXIAL, mask=scanned, clip=config.valid_hu
        )
        details = {"threshold": config.swap_threshold, "reference": self.reference_id}
        return {FINAL: _measure_change("spectrum-swap", ct_hu, after, scanned, details)}


@dataclass(frozen=True)
class MatchToReference(LeavesPet):
    """Histogram matching to one subject, inside the bodies of both."""

    config: PrepareConfig
    reference_hu: NDArray[np.int16]
    reference_id: str

    @cached_property
    def digest(self) -> str:
        """See :class:`Harmonizer`."""
        content = np.ascontiguousarray(self.reference_hu).tobytes()
        return f"{self.reference_id}:{hashlib.sha256(content).hexdigest()}"

    @cached_property
    def _body_values(self) -> NDArray[np.int16]:
        values: NDArray[np.int16] = self.reference_hu[body_mask(self.reference_hu > BODY_THRESHOLD_HU)]
        return values

    def harmonize(
        self, ct_hu: Volume, scanned: NDArray[np.bool_], case_id: str | None, center: str
    ) -> dict[str, Harmonized]:
        """See :class:`Harmonizer`."""
        body = body_mask(ct_hu > BODY_THRESHOLD_HU) & scanned
        after, details = ct_hu, {"reference": self.reference_id}
        if body.any():
            after = ssimh.match_histogram(ct_hu, self._body_values, mask=body, clip=self.config.valid_hu)
        else:
            details["fallback"] = f"not harmonized: no voxel of the crop lies above {BODY_THRESHOLD_HU:g} HU"
        return {FINAL: _measure_change("histogram-match", ct_hu, after, scanned, details)}


@dataclass(frozen=True)
class AlignSites:
    """Move a case by what its center differs in from the target center, see :class:`ssimh.SiteSpectrum`.

    The target is the center with the most training cases (ties go to the first name): its mean is known best, and the
    most cases stay as they were scanned.

    Attributes:
        config: Settings of preparation.
        splits: Who trains, validates and tests.
        centers: Center of every case of the run, by case ID.
        subjects: One row per case that a site may be made of, by case ID; test cases are not looked at.
        pet_subjects: The same of the PET; None where the run leaves the PET alone.
        new_sites, new_pet_sites: Of centers that did not train, by name; for new scans, not for cases of the run.
    """

    config: PrepareConfig
    splits: Splits
    centers: Mapping[str, str]
    subjects: Mapping[str, ssimh.SiteSpectrum]
    pet_subjects: Mapping[str, ssimh.SiteSpectrum] | None = None
    new_sites: Mapping[str, ssimh.SiteSpectrum] = field(default_factory=dict)
    new_pet_sites: Mapping[str, ssimh.SiteSpectrum] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """See :class:`Harmonizer`."""
        own = hash_sites(self._sites)
        return own if self.pet is None else hashlib.sha256(f"{own} {self.pet.digest}".encode()).hexdigest()

    @cached_property
    def _sites(self) -> Sites:
        """The sites of every version."""
        return group_sites(self.splits, self.centers, self.subjects)

    @cached_property
    def pet(self) -> MatchResolution | None:
        """What is done to the PET; None where the run leaves it alone."""
        if self.pet_subjects is None:
            return None
        return MatchResolution(group_sites(self.splits, self.centers, self.pet_subjects), self.new_pet_sites)

    @property
    def _folds(self) -> range:
        return range(len(self.splits.folds))

    def target(self, version: str) -> str | None:
        """The center that all others are moved to; None where no training case could be fitted."""
        sites = self._sites[version]
        return min(sites, key=lambda center: (-sites[center].n_subjects, center), default=None)

    @cached_property
    def _differences(self) -> dict[tuple[str, str], SiteDifference]:
        """Difference of every known center from the target, by version."""
        return {
            (version, center): site_difference(site, sites[target])
            for version, sites in self._sites.items()
            if (target := self.target(version)) is not None
            for center, site in sites.items()
        }

    def harmonize(
        self, ct_hu: Volume, scanned: NDArray[np.bool_], case_id: str | None, center: str
    ) -> dict[str, Harmonized]:
        """See :class:`Harmonizer`."""
        in_folds = any(case_id in self.splits.train_ids(fold) for fold in self._folds) if case_id else False
        wanted = [FINAL, *(map(fold_version, self._folds) if in_folds else ())]
        return {version: self._version(version, ct_hu, scanned, center) for version in wanted}

    def harmonize_pet(
        self, pet_suv: Volume, spacing_zyx_mm: tuple[float, ...], version: str, center: str
    ) -> HarmonizedPet | None:
        """See :class:`Harmonizer`."""
        return None if self.pet is None else self.pet.match(pet_suv, spacing_zyx_mm, version, center)

    def _version(self, version: str, ct_hu: Volume, scanned: NDArray[np.bool_], center: str) -> Harmonized:
        target = self.target(version)
        details: dict[str, Any] = {"source": center, "target": target}
        try:
            if target is None:
                raise ValueError("no training case could be fitted")
            difference = self._differences.get((version, center))
            if difference is None and center in self.new_sites:
                difference = site_difference(self.new_sites[center], self._sites[version][target])
            if difference is None:
                alone = ssimh.SiteSpectrum.fit([ct_hu], orientation=ORIENTATION)
                difference = site_difference(alone, self._sites[version][target])
                details["source"] = "this scan alone"
                details["fallback"] = f"one-to-one: no training case of center {center} in this version"
            after = apply_difference(ct_hu, difference, clip=self.config.valid_hu)
        except ValueError as error:  # too little tissue, no air, no body: leave the scan as it is and record why
            details["fallback"] = f"not harmonized: {error}"
            return _measure_change("spectrum-align", ct_hu, ct_hu, scanned, details)
        details |= {"subjects": tuple(difference.n_subjects), "difference": str(difference)}
        details["shrinkage"] = round(difference.shrinkage, 3)
        after = np.where(scanned, after, np.float32(self.config.valid_hu[0]))
        return _measure_change("spectrum-align", ct_hu, after, scanned, details)


def fit_subject(ct_hu: Volume, grid_spacing_zyx_mm: tuple[float, ...]) -> ssimh.SiteSpectrum:
    """The row of one case, from its crop in HU.

    Raises:
        ValueError: Too little tissue, no air around the body, or values that are not HU.
    """
    return ssimh.SiteSpectrum.fit([ct_hu], spacing_mm=grid_spacing_zyx_mm, orientation=ORIENTATION)


def _measure_change(
    method: str, before: Volume, after: Volume, scanned: NDArray[np.bool_], details: Mapping[str, Any]
) -> Harmonized:
    """The harmonized crop with mean and 95th percentile of the absolute change in soft tissue, in HU."""
    low, high = SOFT_TISSUE_HU
    change = np.abs(after - before)[scanned & (before >= low) & (before <= high)]
    mean, p95 = (float(change.mean()), float(np.percentile(change, 95))) if change.size else (0.0, 0.0)
    record = HarmonizationRecord(
        method=method, **details, soft_tissue_mean_abs_hu=round(mean, 2), soft_tissue_p95_abs_hu=round(p95, 2)
    )
    return Harmonized(np.asarray(after, dtype=np.float32), record)
