"""Check one case: every check of :data:`hnseg.check.findings.CHECKS` on what could be read of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

import ssimh
from hnseg.check.findings import CHECKS
from hnseg.check.load_case import LoadedCase, load_case
from hnseg.check.picture import draw_case
from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import CheckedCase, Finding, Overview
from hnseg.cohort.labels import GTVN, GTVP
from hnseg.images.image_io import to_sitk
from hnseg.images.resample import resample
from hnseg.pictures.planes import View
from hnseg.preprocessing.crop.find_box import Crop
from hnseg.preprocessing.pet_resolution import fit_pet
from hnseg.settings.prepare import PrepareConfig


@dataclass(frozen=True)
class CaseCheck:
    """Result of the check of one case.

    Attributes:
        overview: Its grids, volumes and crop, as far as they are known.
        checked: The case as prepare reads it; None if a finding is an error.
        findings: All findings.
        views: Pictures of the images that could be read.
        ct_digest: Hash of the CT's values; two cases with the same one show the same scan.
        pet_row: The resolution of the PET on the crop, for its center's site; None where it was not asked for or cannot
            be measured.
    """

    overview: Overview
    checked: CheckedCase | None
    findings: tuple[Finding, ...]
    views: tuple[View, ...]
    ct_digest: str | None
    pet_row: ssimh.SiteSpectrum | None = None


def check_case(case: Case, config: PrepareConfig, *, pictures: bool = True) -> CaseCheck:
    """Check one case; its defects become findings and are not raised.

    Args:
        case: Its files.
        config: Crop and grid for prepare.
        pictures: Whether to draw it.
    """
    loaded, findings = load_case(case, config)
    findings += [finding for check in CHECKS for finding in check(loaded)]
    overview = _describe(loaded, usable=not any(finding.severity == "error" for finding in findings))
    return CaseCheck(
        overview,
        _as_checked(case, overview, loaded.crop) if overview.usable else None,
        tuple(findings),
        _draw(loaded) if pictures else (),
        _hash_ct(loaded),
        _fit_pet(loaded) if overview.usable and config.pet_resolution == "align" else None,
    )


def _describe(loaded: LoadedCase, *, usable: bool) -> Overview:
    """What is known of a case."""
    gtvp_ml, gtvn_ml = None, None
    if loaded.label is not None:
        label, grid = loaded.label
        gtvp_ml, gtvn_ml = (int(np.count_nonzero(label == value)) * grid.voxel_ml for value in (GTVP, GTVN))
    return Overview(
        id=loaded.case.id,
        center=loaded.case.center,
        usable=usable,
        ct_grid=loaded.ct[1] if loaded.ct else None,
        pet_grid=loaded.pet.grid if loaded.pet else None,
        pet_unit=loaded.pet.stored if loaded.pet else None,
        gtvp_ml=gtvp_ml,
        gtvn_ml=gtvn_ml,
        crop=loaded.crop.as_dict() if loaded.crop else None,
    )


def _draw(loaded: LoadedCase) -> tuple[View, ...]:
    return draw_case(
        loaded.case.id,
        to_sitk(*loaded.ct) if loaded.ct else None,
        to_sitk(loaded.pet.suv, loaded.pet.grid) if loaded.pet else None,
        to_sitk(*loaded.label) if loaded.label else None,
        loaded.crop.grid if loaded.crop else None,
    )


def _fit_pet(loaded: LoadedCase) -> ssimh.SiteSpectrum | None:
    """The row of a case; ``prepare`` says why where it cannot be measured."""
    if loaded.pet is None or loaded.crop is None:
        return None
    grid, method = loaded.crop.grid, loaded.config.interpolation
    on_crop = np.maximum(resample(loaded.pet.suv, loaded.pet.grid, grid, outside=0.0, interpolation=method), 0)
    try:
        return fit_pet(on_crop, grid.spacing_zyx_mm)
    except ValueError:  # as prepare records it: the case is left out of its center's site
        return None


def _hash_ct(loaded: LoadedCase) -> str | None:
    """Of the CT's values: two cases with the same one show the same scan."""
    if loaded.ct is None:
        return None
    return hashlib.blake2b(np.ascontiguousarray(loaded.ct[0]).data, digest_size=16).hexdigest()


def _as_checked(case: Case, overview: Overview, crop: Crop | None) -> CheckedCase:
    if crop is None or overview.pet_unit not in ("SUV", "Bq/ml"):
        raise AssertionError(f"{case.id} has no error finding, yet no crop box or no PET")
    return CheckedCase(
        case.id,
        case.center,
        str(case.ct),
        str(case.pet),
        str(case.label) if case.label else None,
        overview.gtvp_ml,
        overview.gtvn_ml,
        not crop.fallback,
        crop.in_view,
        "SUV" if overview.pet_unit == "SUV" else "Bq/ml",
        case.suv_factor,
    )
