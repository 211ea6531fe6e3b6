"""Findings in the headers, values and label of a case; each rule is a function of the images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.cohort.checked_cohort import Finding, Severity
from hnseg.cohort.suv import Pet
from hnseg.cohort.suv_table import TAGS_NAME
from hnseg.config import PrepareConfig
from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.registration import measure_alignment
from hnseg.preprocessing.crop.find_box import Crop
from ssimh.images.nifti_header import is_nifti, orientation_doubt, read_nifti_header

LABELS = {0: "background", 1: "GTVp", 2: "GTVn"}
EXTENT_MM = (20.0, 3000.0)  # along each axis; outside of it the spacing is not in mm
COARSE = {"CT": 5.0, "PET": 10.0}  # largest voxel edge, in edges of the prepared grid
UPRIGHT = 1e-3  # of a direction cosine
SEEN = 0.6  # of each edge of the crop box; the shortest scan of the 2026 challenge shows 209 of 310 mm
COVERED = (0.9, 0.985)  # share of the CT in the box with PET: below the first a warning, below the second an info
STEP_MM = 4.0  # between the points at which the box is sampled
NEGATIVE_SUV = -0.5
LABEL_PLACE = 0.01  # share of the lesions that may lie outside PET or crop box
BODY_HU = -300.0
SECTION_CM2 = 40.0  # half of the thinnest adult necks
AIR_HU, LABEL_AIR = -500.0, 0.3  # contours include some of the airway; a third of a lesion is not air


def grid_findings(case: Case, name: str, grid: Grid, path: Path, spacing_mm: float) -> Iterator[Finding]:
    """Check extent, direction, voxel size and orientation of an image, ``name`` CT or PET.

    ``spacing_mm`` is the edge of a voxel of the prepared grid.
    """
    lengths = np.multiply(grid.size, grid.spacing_mm)
    if lengths.min() < EXTENT_MM[0] or lengths.max() > EXTENT_MM[1]:
        yield Finding(
            case.id,
            "error",
            "extent",
            f"the {name} is {_by(lengths)} mm large; expected are {EXTENT_MM[0]:g} to {EXTENT_MM[1]:g} mm along each "
            "axis: is the spacing in mm, and is the image three-dimensional?",
            str(path),
        )
    if np.abs(grid.matrix - np.eye(3)).max() > UPRIGHT:
        along = np.abs(np.abs(grid.matrix).max(axis=0) - 1).max() < UPRIGHT
        shown = ", ".join(f"{value + 0.0:.3g}" for value in np.round(grid.direction, 4))
        kind = "flipped or permuted" if along else "oblique"
        yield Finding(
            case.id, "info", "direction", f"the {name} axes are {kind} (handled): direction cosines {shown}", str(path)
        )
    if max(grid.spacing_mm) > COARSE[name] * spacing_mm:
        yield Finding(
            case.id,
            "warning",
            "coarse",
            f"the {name} voxels are {_by(grid.spacing_mm, 2)} mm, more than {COARSE[name]:g} times the "
            f"{spacing_mm:.3g} mm of the prepared grid",
            str(path),
        )
    doubt = orientation_doubt(read_nifti_header(path)) if is_nifti(path) else None
    if doubt:
        yield Finding(case.id, "warning", "orientation", f"{name}: {doubt}", str(path))


def body_findings(case: Case, ct_hu: NDArray[Any], grid: Grid) -> Iterator[Finding]:
    """Check whether the CT shows whole sections of a body; masked and defaced images do not."""
    upright = 2 - int(np.abs(grid.matrix[2]).argmax())  # the array's axis along the body
    others = tuple(axis for axis in range(3) if axis != upright)
    pixel_cm2 = float(np.prod([grid.spacing_zyx_mm[axis] for axis in others])) / 100.0
    areas = np.count_nonzero(ct_hu > BODY_HU, axis=others) * pixel_cm2
    if not areas.any():
        yield Finding(case.id, "warning", "no-body", f"no voxel of the CT is above {BODY_HU:g} HU", str(case.ct))
    elif (middle := float(np.median(areas[areas > 0]))) < SECTION_CM2:
        message = (
            f"half of the CT's sections show less than {middle:.0f} cm² of body; a neck has about 100: is it masked?"
        )
        yield Finding(case.id, "warning", "masked-ct", message, str(case.ct))


def pet_findings(case: Case, pet: Pet) -> Iterator[Finding]:
    """Report the conversion of a PET, and negative values."""
    if pet.stored == "Bq/ml":
        yield Finding(
            case.id,
            "info",
            "bqml",
            f"the PET is in Bq/ml ({pet.evidence}); converted once, by {pet.factor:.5g} SUV per Bq/ml from {TAGS_NAME}",
            str(case.pet),
        )
    elif case.suv_factor is not None:
        yield Finding(
            case.id,
            "info",
            "suv-already",
            f"{TAGS_NAME} has a factor, but the PET is in SUV already ({pet.evidence}): not converted",
            str(case.pet),
        )
    low = float(pet.suv.min())
    if low < NEGATIVE_SUV:
        share = float(np.count_nonzero(pet.suv < NEGATIVE_SUV)) / pet.suv.size
        yield Finding(
            case.id,
            "warning",
            "negative-pet",
            f"the PET goes down to SUV {low:.2f} ({share:.2%} of it below {NEGATIVE_SUV:g}); clipped at 0",
            str(case.pet),
        )


def label_volumes(case: Case, path: Path, label: NDArray[Any], grid: Grid, ct_grid: Grid | None) -> dict[int, float]:
    """Volume of GTVp (1) and GTVn (2) in ml.

    Raises:
        CaseError: The label is not on the CT grid, or has values other than 0, 1, 2.
    """
    if ct_grid is not None and not grid.matches(ct_grid, tolerance_mm=0.01):
        raise CaseError(
            case.id,
            f"the label is not on the CT grid: size {grid.size}, spacing {_format_tuple(grid.spacing_mm)} mm, origin "
            f"{_format_tuple(grid.origin_mm)} mm against {ct_grid.size}, {_format_tuple(ct_grid.spacing_mm)} mm, "
            f"{_format_tuple(ct_grid.origin_mm)} mm",
            path,
        )
    counts = {value: int(np.count_nonzero(label == value)) for value in LABELS}
    if sum(counts.values()) < label.size:
        foreign = np.unique(label[~np.isin(label, list(LABELS))])
        allowed = ", ".join(f"{value} {name}" for value, name in LABELS.items())
        shown = ", ".join(f"{value:g}" for value in foreign[:5]) + (", …" if len(foreign) > 5 else "")
        raise CaseError(case.id, f"label value {shown} found; allowed are {allowed}", path)
    return {value: counts[value] * grid.voxel_ml for value in (1, 2)}


def label_findings(
    case: Case,
    label: NDArray[Any],
    grid: Grid,
    ct: NDArray[Any] | None,
    pet_grid: Grid | None,
    box: Grid | None,
) -> Iterator[Finding]:
    """Check that lesions exist, are in tissue, covered by PET, and in the crop box; ``ct`` is on the label's grid."""
    where = np.argwhere(label > 0)
    total_ml = len(where) * grid.voxel_ml
    if not len(where):
        yield Finding(case.id, "warning", "empty-label", "the label holds neither GTVp nor GTVn", str(case.label))
        return
    if ct is not None:
        air = float(np.count_nonzero(ct[tuple(where.T)] < AIR_HU)) / len(where)
        if air > LABEL_AIR:
            message = f"{air:.0%} of the labeled volume is air in the CT: do label and CT belong together?"
            yield Finding(case.id, "warning", "label-in-air", message, str(case.label))
    points = grid.to_physical(where[:, ::-1])
    places = (
        ("label-outside-pet", pet_grid, "the PET does not show"),
        ("label-outside-box", box, "lie outside of the crop box and will be lost"),
    )
    for code, place, fault in places:
        lost = 0.0 if place is None else 1 - float(inside(place, points).mean())
        if lost > LABEL_PLACE:
            message = f"{lost * total_ml:.1f} ml of {total_ml:.1f} ml of lesions {fault}"
            if code == "label-outside-pet":
                message = f"{fault} {lost * total_ml:.1f} ml of {total_ml:.1f} ml of lesions"
            yield Finding(case.id, "warning", code, message, str(case.label))


def view_findings(case: Case, crop: Crop, ct_grid: Grid, pet_grid: Grid) -> Iterator[Finding]:
    """Check that the head was found, and how much of the box the images cover."""
    if crop.fallback:
        yield Finding(case.id, "warning", "no-head", crop.reason)
    box = np.multiply(crop.grid.size, crop.grid.spacing_mm)
    counts = np.ceil(box / STEP_MM).astype(int)
    axes = [(np.arange(count) + 0.5) / count * n - 0.5 for n, count in zip(crop.grid.size, counts, strict=True)]
    points = crop.grid.to_physical(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    in_ct, in_pet = inside(ct_grid, points), inside(pet_grid, points)
    low, high = zip(*(grid.bounds_mm() for grid in (crop.grid, ct_grid, pet_grid)), strict=True)
    seen = np.maximum(np.min(high, axis=0) - np.max(low, axis=0), 0.0)
    if (seen < SEEN * box).any():
        yield Finding(
            case.id,
            "warning",
            "field-of-view",
            f"CT and PET together show {_by(seen)} mm of the crop box's {_by(box)} mm",
        )
    covered = float((in_ct & in_pet).sum() / in_ct.sum()) if in_ct.any() else 0.0
    if covered < COVERED[1]:
        severity: Severity = "warning" if covered < COVERED[0] else "info"
        message = f"the PET covers {covered:.0%} of what the CT shows of the crop box; the rest counts as SUV 0"
        yield Finding(case.id, severity, "pet-coverage", message, str(case.pet))


def alignment_findings(
    case: Case, config: PrepareConfig, ct: tuple[NDArray[Any], Grid], pet: Pet, box: Grid
) -> Iterator[Finding]:
    """Check whether the patient moved between CT and PET."""
    alignment = None if config.registration == "off" else measure_alignment(*ct, pet.suv, pet.grid, box)
    if alignment is not None and alignment.is_notable:
        done = "prepare will move it" if config.registration == "rigid" else "prepare leaves it there"
        yield Finding(case.id, "warning", "misaligned", f"{alignment.description}; {done}", str(case.pet))


def inside(grid: Grid, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points (..., 3) lie within a grid's voxels."""
    index = grid.to_index(points_mm)
    found: NDArray[np.bool_] = np.all((index >= -0.5) & (index <= np.asarray(grid.size) - 0.5), axis=-1)
    return found


def _by(lengths: Any, digits: int = 0) -> str:
    return " × ".join(f"{length:.{digits}f}" for length in lengths)


def _format_tuple(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
