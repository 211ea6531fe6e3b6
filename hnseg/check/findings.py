"""The checks of a case: each a function from a :class:`hnseg.check.load_case.LoadedCase` to findings.

A new check is a function in :data:`CHECKS`, and a row of its codes in ``docs/hnseg/check.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.check.load_case import LoadedCase
from hnseg.cohort.checked_cohort import Finding, Severity
from hnseg.cohort.suv_table import TAGS_NAME
from hnseg.images.geometry import Grid
from hnseg.images.registration import measure_alignment
from ssimh.images.nifti_header import is_nifti, orientation_doubt, read_nifti_header

Check = Callable[[LoadedCase], Iterable[Finding]]
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


def check_ct_grid(loaded: LoadedCase) -> Iterator[Finding]:
    """Extent, direction, voxel size and doubtful orientation of the CT."""
    if loaded.ct is not None:
        yield from _check_grid(loaded, "CT", loaded.ct[1], loaded.case.ct)


def check_pet_grid(loaded: LoadedCase) -> Iterator[Finding]:
    """Extent, direction, voxel size and doubtful orientation of the PET."""
    if loaded.pet is not None and loaded.case.pet is not None:
        yield from _check_grid(loaded, "PET", loaded.pet.grid, loaded.case.pet)


def _check_grid(loaded: LoadedCase, name: str, grid: Grid, path: Path) -> Iterator[Finding]:
    case, spacing_mm = loaded.case, loaded.config.spacing_mm  # of the prepared grid
    lengths = np.multiply(grid.size, grid.spacing_mm)
    if lengths.min() < EXTENT_MM[0] or lengths.max() > EXTENT_MM[1]:
        yield Finding(
            case.id,
            "error",
            "extent",
            f"the {name} is {_format_size(lengths)} mm large; expected are {EXTENT_MM[0]:g} to {EXTENT_MM[1]:g} mm "
            "along each axis: is the spacing in mm, and is the image three-dimensional?",
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
            f"the {name} voxels are {_format_size(grid.spacing_mm, 2)} mm, more than {COARSE[name]:g} times the "
            f"{spacing_mm:.3g} mm of the prepared grid",
            str(path),
        )
    doubt = orientation_doubt(read_nifti_header(path)) if is_nifti(path) else None
    if doubt:
        yield Finding(case.id, "warning", "orientation", f"{name}: {doubt}", str(path))


def check_body(loaded: LoadedCase) -> Iterator[Finding]:
    """Check whether the CT shows whole sections of a body; masked and defaced images do not."""
    if loaded.ct is None:
        return
    case, (ct_hu, grid) = loaded.case, loaded.ct
    upright = 2 - int(np.abs(grid.matrix[2]).argmax())  # the array's axis along the body
    others = tuple(axis for axis in range(3) if axis != upright)
    pixel_cm2 = float(np.prod([grid.spacing_zyx_mm[axis] for axis in others])) / 100.0
    areas = np.count_nonzero(ct_hu > BODY_HU, axis=others) * pixel_cm2
    if not areas.any():
        yield Finding(case.id, "warning", "no-body", f"no voxel of the CT is above {BODY_HU:g} HU", str(case.ct))
    elif (middle := float(np.median(areas[areas > 0]))) < SECTION_CM2:
        area = f"half of the CT's sections show less than {middle:.0f} cm² of body"
        message = f"{area}; a neck has about 100: is it masked?"
        yield Finding(case.id, "warning", "masked-ct", message, str(case.ct))


def check_pet_values(loaded: LoadedCase) -> Iterator[Finding]:
    """Report the conversion of a PET, and negative values."""
    case, pet = loaded.case, loaded.pet
    if pet is None:
        return
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


def check_label(loaded: LoadedCase) -> Iterator[Finding]:
    """Check that lesions exist, are in tissue, covered by PET, and in the crop box."""
    case = loaded.case
    if case.label is None:
        message = "no label file: the case can be predicted, not trained on or scored"
        yield Finding(case.id, "info", "no-label", message)
    if loaded.label is None:
        return
    label, grid = loaded.label
    ct = loaded.ct[0] if loaded.ct and loaded.ct[0].shape == label.shape else None
    box = loaded.crop.grid if loaded.crop else None
    pet_grid = loaded.pet.grid if loaded.pet and loaded.crop else None
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


def check_view(loaded: LoadedCase) -> Iterator[Finding]:
    """Check that the head was found, and how much of the box the images cover."""
    case, crop = loaded.case, loaded.crop
    if crop is None or loaded.ct is None or loaded.pet is None:
        return
    ct_grid, pet_grid = loaded.ct[1], loaded.pet.grid
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
            f"CT and PET together show {_format_size(seen)} mm of the crop box's {_format_size(box)} mm",
        )
    covered = float((in_ct & in_pet).sum() / in_ct.sum()) if in_ct.any() else 0.0
    if covered < COVERED[1]:
        severity: Severity = "warning" if covered < COVERED[0] else "info"
        message = f"the PET covers {covered:.0%} of what the CT shows of the crop box; the rest counts as SUV 0"
        yield Finding(case.id, severity, "pet-coverage", message, str(case.pet))


def check_alignment(loaded: LoadedCase) -> Iterator[Finding]:
    """Check whether the patient moved between CT and PET."""
    case, method = loaded.case, loaded.config.registration
    if loaded.crop is None or loaded.ct is None or loaded.pet is None or not loaded.is_in_hu or method == "off":
        return
    alignment = measure_alignment(*loaded.ct, loaded.pet.suv, loaded.pet.grid, loaded.crop.grid)
    if alignment is not None and alignment.is_notable:
        done = "prepare will move it" if method == "rigid" else "prepare leaves it there"
        yield Finding(case.id, "warning", "misaligned", f"{alignment.description}; {done}", str(case.pet))


def inside(grid: Grid, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points (..., 3) lie within a grid's voxels."""
    index = grid.to_index(points_mm)
    found: NDArray[np.bool_] = np.all((index >= -0.5) & (index <= np.asarray(grid.size) - 0.5), axis=-1)
    return found


def _format_size(lengths: Any, digits: int = 0) -> str:
    return " × ".join(f"{length:.{digits}f}" for length in lengths)


CHECKS: tuple[Check, ...] = (
    check_ct_grid,
    check_body,
    check_pet_grid,
    check_pet_values,
    check_alignment,
    check_view,
    check_label,
)
