"""From one case's native CT and PET to the network's input: crop, resample, harmonize, normalize, store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ssimh
from hnseg.cases import Case
from hnseg.config import PrepareConfig
from hnseg.crop import Crop, find_crop
from hnseg.errors import CaseError
from hnseg.geometry import Grid
from hnseg.images import read_image
from hnseg.normalize import normalize_ct, normalize_pet
from hnseg.prepare_qc import draw_qc
from hnseg.provenance import sha256, versions
from hnseg.resample import resample
from hnseg.store import write_case
from hnseg.units import check_ct_units, check_pet_units

AXIAL = (-2, -1)  # in-plane axes of a (z, y, x) array: the swap runs slice by slice
SOFT_TISSUE_HU = (-150.0, 150.0)
NOT_SCANNED = -32768.0  # stands for "outside the CT" while resampling; no CT stores it in HU


@dataclass(frozen=True)
class Cropped:
    """A case on its crop grid, before harmonization: CT in HU, PET in SUV, and where the CT was really scanned."""

    crop: Crop
    ct_hu: NDArray[np.float32]
    pet_suv: NDArray[np.float32]
    label: NDArray[np.uint8] | None
    scanned: NDArray[np.bool_]
    ct_grid: Grid
    pet_grid: Grid
    label_outside_box_ml: float


def crop_case(case: Case, config: PrepareConfig) -> Cropped:
    """Read a case and bring CT, PET and label onto the crop grid, each by one interpolation.

    Raises
    ------
    CaseError
        A file is missing or unreadable, units are wrong, or CT and PET do not overlap.
    """
    ct, ct_grid = read_image(case.ct, case.id)
    pet, pet_grid = read_image(case.pet, case.id)
    check_ct_units(case, ct)
    check_pet_units(case, pet)
    try:
        crop = find_crop(
            ct,
            ct_grid,
            pet,
            pet_grid,
            box_vox=config.box_vox,
            spacing_mm=config.spacing_mm,
            method=config.crop,
        )
    except ValueError as error:
        raise CaseError(case.id, str(error), case.pet) from error
    low, high = config.valid_hu
    ct_box = resample(ct, ct_grid, crop.grid, outside=NOT_SCANNED)
    scanned = ct_box != NOT_SCANNED
    ct_box = np.where(scanned, np.clip(ct_box, low, high), np.float32(low))
    pet_box = resample(pet, pet_grid, crop.grid, outside=0.0)
    label, lost_ml = None, 0.0
    if case.label is not None:
        native, label_grid = read_image(case.label, case.id, dtype=np.uint8)
        label = resample(native, label_grid, crop.grid, outside=0, interpolation="nearest")
        lost_ml = _outside_ml(native, label_grid, crop.grid)
    return Cropped(crop, ct_box, np.maximum(pet_box, 0), label, scanned, ct_grid, pet_grid, lost_ml)


def _outside_ml(label: NDArray[np.uint8], grid: Grid, box: Grid) -> float:
    """Volume of the labelled voxels whose centre lies outside the box, in ml."""
    where = np.argwhere(label > 0)[:, ::-1]
    index = box.to_index(grid.to_physical(where))
    outside = ((index < -0.5) | (index > np.asarray(box.size) - 0.5)).any(axis=1)
    return float(outside.sum()) * grid.voxel_ml


def harmonize(
    cropped: Cropped, reference: ssimh.ReferenceSpectrum | None, config: PrepareConfig
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Harmonize the CT of a crop, and say what that changed.

    What the scanner did not see stays at the lower end of the valid range: a swap would fill it with the
    reference's low frequencies.

    Returns
    -------
    ct_hu : ndarray (z, y, x) float32
    record : dict
        Method, and mean and 95th percentile of the absolute change in soft tissue, in HU.
    """
    before = cropped.ct_hu
    if reference is None:
        return before, {"method": "none", "soft_tissue_mean_abs_hu": 0.0, "soft_tissue_p95_abs_hu": 0.0}
    after = ssimh.swap_spectrum(before, reference, config.threshold, axes=AXIAL, clip=config.valid_hu)
    after = np.where(cropped.scanned, after, np.float32(config.valid_hu[0]))
    low, high = SOFT_TISSUE_HU
    change = np.abs(after - before)[cropped.scanned & (before >= low) & (before <= high)]
    mean, p95 = (float(change.mean()), float(np.percentile(change, 95))) if change.size else (0.0, 0.0)
    return after, {
        "method": config.harmonization,
        "threshold": config.threshold,
        "soft_tissue_mean_abs_hu": round(mean, 2),
        "soft_tissue_p95_abs_hu": round(p95, 2),
    }


def prepare_case(
    case: Case,
    config: PrepareConfig,
    folder: Path,
    *,
    reference: ssimh.ReferenceSpectrum | None = None,
    reference_id: str | None = None,
) -> None:
    """Prepare one case into ``folder``; see :func:`hnseg.store.open_case` for reading it back.

    Raises
    ------
    CaseError
        The case cannot be prepared; nothing is left behind.
    """
    cropped = crop_case(case, config)
    ct, harmonization = harmonize(cropped, reference, config)
    try:
        pet = normalize_pet(cropped.pet_suv)
    except ValueError as error:
        raise CaseError(case.id, str(error), case.pet) from error
    image = np.stack([normalize_ct(ct, config.ct_window_hu), pet]).astype(np.float16)
    record = {
        "id": case.id,
        "centre": case.centre,
        "ct_grid": cropped.ct_grid.as_dict(),
        "pet_grid": cropped.pet_grid.as_dict(),
        "crop_grid": cropped.crop.grid.as_dict(),
        "crop": cropped.crop.as_dict(),
        "harmonization": {**harmonization, "reference": reference_id},
        "normalization": {
            "ct": f"window {config.ct_window_hu} HU, [0, 1], sigmoid",
            "pet": "z-score over the crop, sigmoid",
            "pet_mean_suv": float(cropped.pet_suv.mean(dtype=np.float64)),
            "pet_sd_suv": float(cropped.pet_suv.std(dtype=np.float64)),
        },
        "label_outside_box_ml": round(cropped.label_outside_box_ml, 3),
        "files": {path.name: _fingerprint(path) for path in case_files(case)},
        "settings": settings_digest(config, reference),
        "versions": versions(),
    }
    picture = partial(draw_qc, before_hu=cropped.ct_hu, after_hu=ct, pet_suv=cropped.pet_suv, label=cropped.label)
    write_case(folder, image, cropped.label, record, partial(picture, title=case.id, crop=cropped.crop))


def settings_digest(config: PrepareConfig, reference: ssimh.ReferenceSpectrum | None) -> str:
    """What a prepared case depends on beside its own files: the settings and the reference."""
    content = f"{config.digest()}:{reference.content_hash if reference is not None else None}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def case_files(case: Case) -> list[Path]:
    """The files that a case consists of."""
    return [path for path in (case.ct, case.pet, case.label) if path is not None]


def _fingerprint(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": sha256(path)}
