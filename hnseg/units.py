"""Are these values HU and SUV? Told by value, with the evidence in the message."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cases import Case
from hnseg.errors import CaseError

BQML_MEAN = 50.0  # mean of the positive voxels: below 2 in SUV even for a hot head, above 500 in Bq/ml


def check_ct_units(case: Case, ct: NDArray[Any]) -> None:
    """Refuse a CT that is not in HU: air must be there, or at least fat and soft tissue around zero."""
    low, high = float(ct.min()), float(ct.max())
    if low >= 0 or high <= -500:
        raise CaseError(case.id, f"CT values from {low:g} to {high:g} are not HU (expected air near -1000)", case.ct)


def check_pet_units(case: Case, pet: NDArray[Any]) -> None:
    """Refuse a PET that is constant or not in SUV."""
    low, high = float(pet.min()), float(pet.max())
    if low == high:
        raise CaseError(case.id, f"the PET is {low:g} everywhere", case.pet)
    mean = float(pet[pet > 0].mean(dtype=np.float64)) if high > 0 else 0.0
    if mean > BQML_MEAN:
        raise CaseError(
            case.id,
            f"the PET looks like Bq/ml, not SUV: its positive voxels have a mean of {mean:.0f} "
            f"(SUV images stay below {BQML_MEAN:g}); convert it to SUV body weight first",
            case.pet,
        )
