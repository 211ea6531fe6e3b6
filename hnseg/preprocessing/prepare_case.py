"""Preparation of one case: from its crop to the network's input, harmonized, normalized and stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.errors import CaseError
from hnseg.preprocessing.case_key import Key, case_key
from hnseg.preprocessing.crop_case import Cropped, crop_case
from hnseg.preprocessing.harmonization import HarmonizationRecord, Harmonizer
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.normalize import PetScale, normalize_ct
from hnseg.preprocessing.prepared_case import (
    ARRAYS,
    FAILURE,
    RECORD,
    CaseRecord,
    NormalizationRecord,
    write_case,
    write_failure,
)
from hnseg.preprocessing.qc_figure import draw_qc
from hnseg.provenance import versions
from hnseg.settings.prepare import PrepareConfig
from ssimh.files.artifact_cache import ArtifactCache

PLANES = 16
COMPUTATION = 4  # of the same settings: one more makes every run prepare its cases again


@dataclass(frozen=True)
class Prepared:
    """A case as the network gets it, before it is stored.

    Attributes:
        images: (2, z, y, x) float16: CT and PET, normalized, by version (:mod:`hnseg.preprocessing.image_versions`).
        record: All that ``case.json`` keeps but what it was made from.
        cropped: The case on its crop grid.
        harmonized_hu: (z, y, x) CT of the final version in HU, before normalization.
    """

    images: dict[str, NDArray[np.float16]]
    record: CaseRecord
    cropped: Cropped
    harmonized_hu: NDArray[np.float32]


def prepare_case(case: Case, config: PrepareConfig, folder: Path, harmonizer: Harmonizer) -> None:
    """Prepare one case of a run into ``folder``; :func:`hnseg.preprocessing.prepared_case.open_case` reads it back.

    Raises:
        CaseError: The case cannot be prepared; what was prepared of it before is gone, and ``failed.json`` says why.
    """
    key = case_key(case, preparation_key(config, harmonizer))
    try:
        made = preprocess_case(case, config, harmonizer)
    except CaseError as error:
        write_failure(folder, failure_cache(folder, key).as_record({"reason": str(error)}))
        raise
    picture = partial(draw_qc, cropped=made.cropped, harmonized_hu=made.harmonized_hu, title=case.id)
    record = case_cache(folder, key).as_record(made.record.as_dict())
    write_case(folder, made.images, made.cropped.label, record, picture)


def preprocess_case(case: Case, config: PrepareConfig, harmonizer: Harmonizer, *, is_new: bool = False) -> Prepared:
    """Crop, resample, harmonize and normalize one case, in memory.

    Args:
        case: Its files.
        config: Settings.
        harmonizer: Of the run.
        is_new: The case is none of the run's, even if one has its ID.

    Raises:
        CaseError: The case cannot be prepared.
    """
    cropped = crop_case(case, config)
    made = harmonizer.harmonize(cropped.ct_hu, cropped.scanned, None if is_new else case.id, case.center)
    images: dict[str, NDArray[np.float16]] = {}
    records: dict[str, HarmonizationRecord] = {}
    scales: dict[str, PetScale] = {}
    for version, harmonized in made.items():
        pet = harmonizer.harmonize_pet(cropped.pet_suv, cropped.crop.grid.spacing_zyx_mm, version, case.center)
        pet_suv = cropped.pet_suv if pet is None else pet.pet_suv
        try:
            scales[version] = PetScale.of(pet_suv, scale=config.pet_scale, sigmoid=config.sigmoid)
        except ValueError as error:
            raise CaseError(case.id, str(error), case.pet) from error
        images[version] = _channels(harmonized.ct_hu, pet_suv, scales[version], config)
        changes = {} if pet is None else {"pet": pet.record}
        records[version] = harmonized.record.model_copy(update=changes)
    folds = {version: record for version, record in records.items() if version != FINAL}
    record = CaseRecord(
        id=case.id,
        center=case.center,
        ct_grid=cropped.ct_grid,
        pet_grid=cropped.pet_grid,
        suv_factor=cropped.suv_factor,
        crop_grid=cropped.crop.grid,
        crop=cropped.crop,
        alignment=cropped.alignment,
        harmonization=records[FINAL].model_copy(update={"folds": folds}),
        normalization=NormalizationRecord(pet_mean_suv=scales[FINAL].mean_suv, pet_sd_suv=scales[FINAL].sd_suv),
        label_outside_box_ml=round(cropped.label_outside_box_ml, 3),
        versions=versions(),
    )
    return Prepared(images, record, cropped, made[FINAL].ct_hu)


def _channels(
    ct_hu: NDArray[np.float32], pet_suv: NDArray[np.float32], scaled: PetScale, config: PrepareConfig
) -> NDArray[np.float16]:
    """CT and PET as the network's two channels; a few planes at a time, so that no whole copy is made."""
    image = np.empty((2, *ct_hu.shape), np.float16)
    for first in range(0, ct_hu.shape[0], PLANES):
        part = slice(first, first + PLANES)
        image[0, part] = normalize_ct(
            ct_hu[part], config.ct_window_hu, clip=config.clip_ct_window, sigmoid=config.sigmoid
        )
        image[1, part] = scaled.apply(pet_suv[part])
    return image


def preparation_key(config: PrepareConfig, harmonizer: Harmonizer) -> Key:
    """What every prepared case of a run depends on: settings, what it is harmonized to, version of the computation.

    The reference counts by its content, which is part of the harmonizer's digest, and not by the path of its file.
    """
    settings = config.model_dump(mode="json", exclude={"reference"})
    return {"computation": COMPUTATION, "settings": settings, "harmonizer": harmonizer.digest}


def case_cache(folder: Path, key: Mapping[str, object]) -> ArtifactCache:
    """Whether ``folder`` holds the case that this key stands for."""
    return ArtifactCache(folder / RECORD, key, {"arrays": folder / ARRAYS})


def failure_cache(folder: Path, key: Mapping[str, object]) -> ArtifactCache:
    """Whether ``folder`` says that the case that this key stands for cannot be prepared."""
    return ArtifactCache(folder / FAILURE, key)
