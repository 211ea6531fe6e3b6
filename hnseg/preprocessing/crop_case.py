"""One case on its crop grid: CT in HU, PET in SUV and the label, each by one interpolation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.cohort.labels import read_label
from hnseg.cohort.suv import Pet, read_suv
from hnseg.cohort.unit_checks import check_ct_units
from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import decoded_bytes, read_image
from hnseg.images.registration import Alignment, measure_alignment
from hnseg.images.resample import resample, resample_label
from hnseg.preprocessing.crop.find_box import Crop, find_crop
from hnseg.settings.prepare import PrepareConfig

PROCESS_BYTES = 450_000_000  # an interpreter with ITK, SciPy, Zarr and Matplotlib
BOXES = 8  # float32 images of the crop's size that are held at once, at most
NOT_SCANNED = -32768.0  # stands for "outside the CT" while resampling; no CT stores it in HU


@dataclass(frozen=True)
class Cropped:
    """A case on its crop grid, before harmonization.

    Attributes:
        crop: The box.
        ct_hu: (z, y, x) CT in HU, clipped to the valid range; its lower end outside the scan.
        pet_suv: (z, y, x) PET in SUV, ≥ 0; 0 outside the scan.
        label: (z, y, x) 0 background, 1 GTVp, 2 GTVn; None for a case without a label.
        scanned: (z, y, x) Where the CT was scanned.
        ct_grid, pet_grid: Where the images lie; the PET's after a registration, if there was one.
        label_outside_box_ml: Volume of the label that the box cuts off.
        suv_factor: By which the PET file's values were multiplied.
        alignment: None where it was not measured or could not be.
    """

    crop: Crop
    ct_hu: NDArray[np.float32]
    pet_suv: NDArray[np.float32]
    label: NDArray[np.uint8] | None
    scanned: NDArray[np.bool_]
    ct_grid: Grid
    pet_grid: Grid
    label_outside_box_ml: float
    suv_factor: float = 1.0
    alignment: Alignment | None = None


def crop_case(case: Case, config: PrepareConfig) -> Cropped:
    """Read a case and bring CT, PET and label onto the crop grid.

    Raises:
        CaseError: A file is missing or unreadable, units are wrong, or CT and PET do not overlap.
    """
    ct, ct_grid = read_image(case.ct, case.id, dtype=None)
    check_ct_units(case, ct[::4, ::2, ::2])  # a sixteenth of the voxels tells HU from anything else
    pet = read_suv(case)
    crop = place_box(case, config, ct, ct_grid, pet)
    alignment = None
    if config.registration != "off":
        alignment = measure_alignment(ct, ct_grid, pet.suv, pet.grid, crop.grid)
    if config.registration == "rigid" and alignment is not None and alignment.is_displaced:
        alignment = replace(alignment, corrected=True)
        pet = replace(pet, grid=alignment.corrected_grid(pet.grid))
        crop = place_box(case, config, ct, ct_grid, pet)
    ct_box = resample(ct, ct_grid, crop.grid, outside=NOT_SCANNED, interpolation=config.interpolation)
    del ct  # the largest of all: the label is read when it is gone
    scanned = ct_box != NOT_SCANNED
    np.clip(ct_box, *config.valid_hu, out=ct_box)
    ct_box[~scanned] = config.valid_hu[0]
    pet_box = resample(pet.suv, pet.grid, crop.grid, outside=0.0, interpolation=config.interpolation)
    np.maximum(pet_box, 0, out=pet_box)
    label, lost_ml = _crop_label(case, config, crop.grid)
    return Cropped(crop, ct_box, pet_box, label, scanned, ct_grid, pet.grid, lost_ml, pet.factor, alignment)


def memory_need(case: Case, config: PrepareConfig) -> int:
    """Peak memory in bytes that preparing a case takes, from the headers of its files.

    Raises:
        CaseError: A header cannot be read.
    """
    ct, pet, label = (0 if p is None else decoded_bytes(p, case.id) for p in (case.ct, case.pet, case.label))
    box = 4 * int(np.prod(config.box_vox))
    return PROCESS_BYTES + max(ct + 2 * pet, label) + BOXES * box


def place_box(case: Case, config: PrepareConfig, ct: NDArray[Any] | None, ct_grid: Grid | None, pet: Pet) -> Crop:
    """The box of a case, by the run's method; without a CT by PET alone.

    Raises:
        CaseError: CT and PET do not overlap.
    """
    box, spacing = config.box_vox, config.spacing_mm
    try:
        return find_crop(ct, ct_grid, pet.suv, pet.grid, box_vox=box, spacing_mm=spacing, method=config.crop)
    except ValueError as error:
        raise CaseError(case.id, str(error), case.pet) from error


def _crop_label(case: Case, config: PrepareConfig, box: Grid) -> tuple[NDArray[np.uint8] | None, float]:
    """The label on the crop grid, and the volume of it outside the box."""
    if case.label is None:
        return None, 0.0
    native, grid = read_label(case.label, case.id)
    return resample_label(native, grid, box, method=config.label_interpolation), _outside_ml(native, grid, box)


def _outside_ml(label: NDArray[np.uint8], grid: Grid, box: Grid) -> float:
    """Volume of the labeled voxels whose center lies outside the box, in ml."""
    slices = np.flatnonzero(label.any(axis=(1, 2)))  # a tenth of them, usually
    where = np.argwhere(label[slices])[:, ::-1]
    where[:, 2] = slices[where[:, 2]]
    index = box.to_index(grid.to_physical(where))
    outside = ((index < -0.5) | (index > np.asarray(box.size) - 0.5)).any(axis=1)
    return float(outside.sum()) * grid.voxel_ml
