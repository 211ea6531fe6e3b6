"""A case as far as it can be read: what the checks of :mod:`hnseg.check.findings` look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import Finding
from hnseg.cohort.labels import Label, read_label
from hnseg.cohort.suv import Pet, read_suv
from hnseg.cohort.unit_checks import check_ct_units, stored_offset
from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image
from hnseg.preprocessing.crop.find_box import Crop
from hnseg.preprocessing.crop_case import place_box
from hnseg.settings.prepare import PrepareConfig

LABEL_TOLERANCE_MM = 0.01  # between the voxels of label and CT


@dataclass(frozen=True)
class LoadedCase:
    """What could be read of a case; None for what could not.

    Attributes:
        case: Its files.
        config: The crop and the grid that prepare will use.
        ct: Values (z, y, x) in HU and their grid. Of a CT that is not in HU, about: for pictures, not for use.
        is_in_hu: Whether the CT's file is in HU.
        pet: In SUV.
        label: On the CT's grid.
        crop: By PET alone where there is no CT in HU; None without PET, or where CT and PET do not overlap.
    """

    case: Case
    config: PrepareConfig
    ct: tuple[NDArray[Any], Grid] | None
    is_in_hu: bool
    pet: Pet | None
    label: tuple[Label, Grid] | None
    crop: Crop | None


def load_case(case: Case, config: PrepareConfig) -> tuple[LoadedCase, list[Finding]]:
    """Read a case; what cannot be read becomes an error finding."""
    findings: list[Finding] = []
    ct, pet, label, is_in_hu = None, None, None, False
    with _note_errors(case, "ct", case.ct, findings):
        ct = read_image(case.ct, case.id, dtype=None)
    with _note_errors(case, "pet", case.pet, findings):
        pet = read_suv(case)
    if case.label is not None:
        with _note_errors(case, "label", case.label, findings):
            label = _read_label(case, case.label, ct[1] if ct else None)
    if ct is not None:
        with _note_errors(case, "ct-units", case.ct, findings):
            check_ct_units(case, ct[0])
            is_in_hu = True
        if not is_in_hu:
            ct = ct[0] - np.float32(stored_offset(ct[0])), ct[1]
    crop = None
    if pet is not None:
        with _note_errors(case, "overlap", case.pet, findings):
            values, grid = ct if ct is not None and is_in_hu else (None, None)
            crop = place_box(case, config, values, grid, pet)
    return LoadedCase(case, config, ct, is_in_hu, pet, label, crop), findings


def _read_label(case: Case, path: Path, ct_grid: Grid | None) -> tuple[Label, Grid]:
    """The label, on the CT's grid."""
    label, grid = read_label(path, case.id)
    if ct_grid is not None and not grid.matches(ct_grid, tolerance_mm=LABEL_TOLERANCE_MM):
        raise CaseError(
            case.id,
            f"the label is not on the CT grid: size {grid.size}, spacing {_format_mm(grid.spacing_mm)} mm, origin "
            f"{_format_mm(grid.origin_mm)} mm against {ct_grid.size}, {_format_mm(ct_grid.spacing_mm)} mm, "
            f"{_format_mm(ct_grid.origin_mm)} mm",
            path,
        )
    return label, grid


def _format_mm(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


@contextmanager
def _note_errors(case: Case, code: str, path: Path | None, findings: list[Finding]) -> Iterator[None]:
    """Turn an error of one file into a finding, so that the others are checked too."""
    try:
        yield
    except CaseError as error:
        findings.append(Finding(case.id, "error", code, error.reason, str(error.path) if error.path else None))
    except OSError as error:
        findings.append(Finding(case.id, "error", code, error.strerror or str(error), str(path) if path else None))
