"""PET of a case in SUV: the only place that converts Bq/ml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.cohort.suv_table import TAGS_NAME
from hnseg.cohort.unit_checks import detect_pet_unit
from hnseg.errors import CaseError
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image
from ssimh.files.artifact_cache import hash_file, read_record

MADE_BY = "hnseg dicom"  # in the record of a case that was made from DICOM


@dataclass(frozen=True)
class Pet:
    """A PET in SUV body weight, and the unit of its file.

    Attributes:
        suv: SUV, float32, (z, y, x).
        grid: Its grid.
        stored ({"SUV", "Bq/ml"}): Unit of the file's values.
        factor: Factor that was applied to them; 1 for a file in SUV.
        evidence: Reason for the detected unit.
    """

    suv: NDArray[Any]
    grid: Grid
    stored: Literal["SUV", "Bq/ml"]
    factor: float
    evidence: str


def read_suv(case: Case) -> Pet:
    """Read the PET of a case in SUV; Bq/ml is converted by the cohort's factor.

    The values decide whether to convert, not the table: a file in SUV is not changed, whether the table names the case
    or not. A file that ``hnseg dicom`` wrote is in SUV, also where its values look like Bq/ml, as with a hot bladder.

    Raises:
        CaseError: There is no PET, it cannot be read, it is constant or not a PET, or it is in Bq/ml and no factor is
            known.
    """
    if case.pet is None:
        raise CaseError(case.id, "the case has no PET: the cohort names none")
    pet, grid = read_image(case.pet, case.id)
    detected = detect_pet_unit(case, pet)
    if detected.unit == "SUV":
        return Pet(pet, grid, "SUV", 1.0, detected.evidence)
    if _is_marked_suv(case.pet, case.id):
        return Pet(pet, grid, "SUV", 1.0, f"its record says that it was converted to SUV, although {detected.evidence}")
    if case.suv_factor is None:
        raise CaseError(
            case.id,
            f"the PET looks like Bq/ml, not SUV: {detected.evidence}; convert it to SUV body weight first, or put its "
            f"factor into {TAGS_NAME} beside the images",
            case.pet,
        )
    suv = np.multiply(pet, np.float32(case.suv_factor), dtype=np.float32)
    after = detect_pet_unit(case, suv)
    if after.unit != "SUV":
        raise CaseError(
            case.id,
            f"the PET is not SUV even after its conversion by {case.suv_factor:g} from {TAGS_NAME}: {after.evidence}",
            case.pet,
        )
    return Pet(suv, grid, "Bq/ml", case.suv_factor, detected.evidence)


def _is_marked_suv(pet: Path, case_id: str) -> bool:
    """Whether the record of ``hnseg dicom`` beside a PET says that this very file is in SUV."""
    record = read_record(pet.with_name(f"{case_id}.json"))
    if record is None or record.get("made_by") != MADE_BY or not isinstance(stated := record.get("pet"), dict):
        return False
    return stated.get("unit") == "SUV" and (record["outputs"] or {}).get("pet") == hash_file(pet)
