"""From one case's crop to the network's input: harmonize, normalize, store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.config import PrepareConfig
from hnseg.errors import CaseError
from hnseg.preprocessing.crop_case import Cropped, crop_case
from hnseg.preprocessing.harmonization import Harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.normalize import PetScale, normalize_ct
from hnseg.preprocessing.prepared_case import write_case
from hnseg.preprocessing.qc_figure import draw_qc
from hnseg.provenance import sha256, versions

PLANES = 16
VERSION = 2  # of what is computed from the same settings: one more makes every run prepare its cases again


@dataclass(frozen=True)
class Prepared:
    """A case as the network gets it, before it is stored.

    Attributes:
        images: (2, z, y, x) float16: CT and PET, normalized, by version (:mod:`hnseg.preprocessing.image_versions`).
        record: What :func:`hnseg.preprocessing.prepared_case.write_case` keeps as ``case.json``.
        cropped: Cropped.
        harmonized_hu (ndarray (z, y, x)): CT of the final version, before normalization.
    """

    images: dict[str, NDArray[np.float16]]
    record: dict[str, Any]
    cropped: Cropped
    harmonized_hu: NDArray[np.float32]


def prepare_case(case: Case, config: PrepareConfig, folder: Path, harmonizer: Harmonizer) -> None:
    """Prepare one case of a run into ``folder``; :func:`hnseg.preprocessing.prepared_case.open_case` reads it back.

    Raises:
        CaseError: The case cannot be prepared; nothing is left behind.
    """
    made = preprocess_case(case, config, harmonizer)
    cropped = made.cropped
    picture = partial(
        draw_qc, before_hu=cropped.ct_hu, after_hu=made.harmonized_hu, pet_suv=cropped.pet_suv, label=cropped.label
    )
    write_case(folder, made.images, cropped.label, made.record, partial(picture, title=case.id, crop=cropped.crop))


def preprocess_case(case: Case, config: PrepareConfig, harmonizer: Harmonizer, *, is_new: bool = False) -> Prepared:
    """Crop, resample, harmonize and normalize one case, in memory.

    ``is_new``: the case is none of the run's, whatever its ID.

    Raises:
        CaseError: The case cannot be prepared.
    """
    cropped = crop_case(case, config)
    made = harmonizer.harmonize(cropped.ct_hu, cropped.scanned, None if is_new else case.id, case.center)
    try:
        scaled = PetScale.of(cropped.pet_suv, scale=config.pet_scale, sigmoid=config.sigmoid)
    except ValueError as error:
        raise CaseError(case.id, str(error), case.pet) from error
    images = {
        version: _channels(harmonized.ct_hu, cropped.pet_suv, scaled, config) for version, harmonized in made.items()
    }
    final = made[FINAL]
    record = {
        "id": case.id,
        "center": case.center,
        "ct_grid": cropped.ct_grid.as_dict(),
        "pet_grid": cropped.pet_grid.as_dict(),
        "suv_factor": cropped.suv_factor,  # by which the file's values were multiplied; 1 where they were in SUV
        "crop_grid": cropped.crop.grid.as_dict(),
        "crop": cropped.crop.as_dict(),
        "alignment": cropped.alignment.as_dict() if cropped.alignment else None,
        "config": config.model_dump(mode="json"),
        "harmonization": {
            **final.record,
            "folds": {version: made[version].record for version in made if version != FINAL},
        },
        "normalization": {
            "pet_mean_suv": scaled.mean_suv,
            "pet_sd_suv": scaled.sd_suv,
        },
        "label_outside_box_ml": round(cropped.label_outside_box_ml, 3),
        "files": fingerprints(case),
        "settings": settings_digest(config, harmonizer),
        "versions": versions(),
    }
    return Prepared(images, record, cropped, final.ct_hu)


def _channels(
    ct_hu: NDArray[np.float32], pet_suv: NDArray[np.float32], scaled: PetScale, config: PrepareConfig
) -> NDArray[np.float16]:
    """CT and PET as the network's two channels; a few planes at a time, so that no whole copy is made."""
    image = np.empty((2, *ct_hu.shape), np.float16)
    for first in range(0, ct_hu.shape[0], PLANES):
        part = slice(first, first + PLANES)
        image[0, part] = normalize_ct(ct_hu[part], config.ct_window_hu, sigmoid=config.sigmoid)
        image[1, part] = scaled.apply(pet_suv[part])
    return image


def settings_digest(config: PrepareConfig, harmonizer: Harmonizer) -> str:
    """What a prepared case depends on beside its own files: the settings and what it is harmonized to."""
    return hashlib.sha256(f"{VERSION}:{config.digest()}:{harmonizer.digest}".encode()).hexdigest()[:16]


def case_files(case: Case) -> dict[str, Path]:
    """The files that a case consists of, by what they hold; their names alone may be the same."""
    files = {"ct": case.ct, "pet": case.pet, "label": case.label}
    return {name: path for name, path in files.items() if path is not None}


def fingerprints(case: Case) -> dict[str, dict[str, Any]]:
    """Name, size, date and content hash of each of a case's files, and the PET's factor to SUV."""
    prints = {name: _fingerprint(path) for name, path in case_files(case).items()}
    prints["pet"]["suv_per_bqml"] = case.suv_factor
    return prints


def is_up_to_date(record: Mapping[str, Any], case: Case, settings: str) -> bool:
    """Whether a record with ``settings`` and ``files`` was made from this case's files with these settings."""
    files = case_files(case)
    if record["settings"] != settings or set(record["files"]) != set(files):
        return False
    if record["files"]["pet"]["suv_per_bqml"] != case.suv_factor:
        return False
    for name, path in files.items():
        if not path.is_file():
            return False
        known, status = record["files"][name], path.stat()
        same = (known["bytes"], known["modified_ns"]) == (status.st_size, status.st_mtime_ns)
        if not same and sha256(path) != known["sha256"]:
            return False
    return True


def _fingerprint(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"name": path.name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": sha256(path)}
