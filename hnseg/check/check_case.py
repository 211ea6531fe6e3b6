"""Check of one case: read what can be read, and report the rest as findings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.check.findings import (
    alignment_findings,
    body_findings,
    grid_findings,
    label_findings,
    label_volumes,
    pet_findings,
    view_findings,
)
from hnseg.check.picture import draw_case
from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import CheckedCase, Finding, Overview
from hnseg.cohort.suv import Pet, read_suv
from hnseg.cohort.unit_checks import check_ct_units, stored_offset
from hnseg.config import PrepareConfig
from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, to_sitk
from hnseg.pictures.planes import View
from hnseg.preprocessing.crop.find_box import Crop
from hnseg.preprocessing.crop_case import place_box

Volume = tuple[NDArray[Any], Grid]


@dataclass(frozen=True)
class CaseCheck:
    """Result of the check of one case.

    Attributes:
        overview: Its grids, volumes and crop, as far as they are known.
        checked: The case as prepare reads it; None if a finding is an error.
        findings: All findings.
        views: Pictures of the images that could be read.
        ct_digest: Hash of the CT's values; two cases with the same one show the same scan.
    """

    overview: Overview
    checked: CheckedCase | None
    findings: tuple[Finding, ...]
    views: tuple[View, ...]
    ct_digest: str | None


def check_case(case: Case, config: PrepareConfig, *, pictures: bool = True) -> CaseCheck:
    """Check one case; its defects become findings and are not raised.

    Args:
        case: Its files.
        config: Crop and grid for prepare.
        pictures: Whether to draw it.
    """
    findings: list[Finding] = []
    ct, pet, label, volumes = _read(case, findings)
    in_hu = False
    if ct:
        with _noted(case, "ct-units", case.ct, findings):
            check_ct_units(case, ct[0])
            in_hu = True
        ct = ct if in_hu else (ct[0] - np.float32(stored_offset(ct[0])), ct[1])  # for the pictures only
    ct_grid = ct[1] if ct else None
    if ct:
        findings += grid_findings(case, "CT", ct[1], case.ct, config.spacing_mm)
        findings += body_findings(case, *ct)
    if pet and case.pet:
        findings += grid_findings(case, "PET", pet.grid, case.pet, config.spacing_mm)
        findings += pet_findings(case, pet)
    crop = _find_box(case, config, ct if in_hu else None, pet, findings)
    if crop and ct_grid and pet:
        findings += view_findings(case, crop, ct_grid, pet.grid)
    box = crop.grid if crop else None
    if label and volumes:
        on_label = ct[0] if ct and ct[0].shape == label[0].shape else None
        findings += label_findings(case, *label, on_label, pet.grid if pet and crop else None, box)
    elif case.label is None:
        message = "no label file: the case can be predicted, not trained on or scored"
        findings.append(Finding(case.id, "info", "no-label", message))
    usable = not any(finding.severity == "error" for finding in findings)
    overview = Overview(
        case.id,
        case.center,
        usable,
        ct_grid.as_dict() if ct_grid else None,
        pet.grid.as_dict() if pet else None,
        pet.stored if pet else None,
        volumes[1] if volumes else None,
        volumes[2] if volumes else None,
        crop.as_dict() if crop else None,
    )
    views = (
        draw_case(
            case.id,
            to_sitk(*ct) if ct else None,
            to_sitk(pet.suv, pet.grid) if pet else None,
            to_sitk(label[0].astype(np.uint8), label[1]) if label and volumes else None,
            box,
        )
        if pictures
        else ()
    )
    digest = hashlib.blake2b(np.ascontiguousarray(ct[0]).data, digest_size=16).hexdigest() if ct else None
    checked = _as_checked(case, overview, crop) if usable else None
    return CaseCheck(overview, checked, tuple(findings), views, digest)


def _read(
    case: Case, findings: list[Finding]
) -> tuple[Volume | None, Pet | None, Volume | None, dict[int, float] | None]:
    """Read CT, PET, label and its volumes; None for each that cannot be read."""
    ct, pet, label, volumes = None, None, None, None
    with _noted(case, "ct", case.ct, findings):
        ct = read_image(case.ct, case.id, dtype=None)
    with _noted(case, "pet", case.pet, findings):
        pet = read_suv(case)
    if case.label is not None:
        with _noted(case, "label", case.label, findings):
            label = read_image(case.label, case.id, dtype=None)
            volumes = label_volumes(case, case.label, *label, ct[1] if ct else None)
    return ct, pet, label, volumes


def _find_box(
    case: Case, config: PrepareConfig, ct: Volume | None, pet: Pet | None, findings: list[Finding]
) -> Crop | None:
    """Find the crop box; by PET alone without a CT in HU, None without a PET or where the two are disjoint."""
    if pet is None:
        return None
    try:
        crop = place_box(case, config, ct[0] if ct else None, ct[1] if ct else None, pet)
    except CaseError as error:
        findings.append(Finding(case.id, "error", "overlap", error.reason, str(error.path)))
        return None
    if ct:
        findings += alignment_findings(case, config, ct, pet, crop.grid)
    return crop


@contextmanager
def _noted(case: Case, code: str, path: Path | None, findings: list[Finding]) -> Iterator[None]:
    """Turn an error of one file into a finding, so that the others are checked too."""
    try:
        yield
    except CaseError as error:
        findings.append(Finding(case.id, "error", code, error.reason, str(error.path) if error.path else None))
    except OSError as error:
        findings.append(Finding(case.id, "error", code, error.strerror or str(error), str(path) if path else None))


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
