"""Detection of units by value: HU or not, SUV or Bq/ml; messages contain the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.cases import Case
from hnseg.errors import CaseError
from hnseg.suv.plausibility import LARGEST_SUV

BQML_MEAN = 50.0  # mean of the positive voxels: below 2 in SUV even for a hot head, above 200 in Bq/ml
LEAST_SUV, BQML_PEAK = LARGEST_SUV  # of the hottest voxel, in SUV; above it, values are Bq/ml
NEGATIVE_SUV = -0.1  # interpolation undershoots beside hot voxels: rarely, and not by much
NEGATIVE_SHARE = 0.05
DENSE = 300.0  # above: bone and metal in HU, everything but air and lung where an offset was added
OFFSET_TISSUE = (800.0, 1250.0)  # where soft tissue lies in an image of HU + 1000 or HU + 1024
SOFT_HU = ((-150.0, -50.0), (60.0, 200.0))  # fat and organs in HU; with an offset nothing, for air is then near 0 or 24
MUSCLE_HU = 40.0
OFFSET_SHARE = 0.65  # of the dense voxels in that range: at most 0.47 in images in HU, at least 0.78 with an offset


@dataclass(frozen=True)
class PetUnit:
    """Detected unit of a PET, and the evidence."""

    unit: Literal["SUV", "Bq/ml"]
    evidence: str


def stored_offset(ct: NDArray[Any]) -> float:
    """Estimate the offset in the values of a CT, within about 30 HU: 0 in HU, about 1000 if the intercept was lost.

    The values of most dense voxels decide, not the lowest value: such an image may be padded with −1024, which looks
    right at the lower end.
    """
    dense = int(np.count_nonzero(ct > DENSE))
    tissue = ct[(ct >= OFFSET_TISSUE[0]) & (ct <= OFFSET_TISSUE[1])]
    soft = sum(int(np.count_nonzero((ct >= low) & (ct <= high))) for low, high in SOFT_HU)
    if tissue.size <= max(OFFSET_SHARE * dense, soft):
        return 0.0
    counts, edges = np.histogram(tissue, bins=45, range=OFFSET_TISSUE)
    return float(edges[int(counts.argmax())]) + 5.0 - MUSCLE_HU


def check_ct_units(case: Case, ct: NDArray[Any]) -> None:
    """Refuse a CT that is not in HU, by its range and the values of its soft tissue.

    Raises:
        CaseError: The CT is constant, has an offset, or has no values near those of air.
    """
    low, high = float(ct.min()), float(ct.max())
    if low == high:
        raise CaseError(case.id, f"the CT is {low:g} everywhere", case.ct)
    offset = stored_offset(ct)
    if offset:
        raise CaseError(
            case.id,
            f"CT values from {low:g} to {high:g} are not HU: soft tissue lies near {offset + MUSCLE_HU:.0f} "
            "where HU has 0 to 60; it looks like HU + 1000 or HU + 1024, subtract what was added",
            case.ct,
        )
    if low >= 0 or high <= -500:
        raise CaseError(case.id, f"CT values from {low:g} to {high:g} are not HU (expected air near -1000)", case.ct)


def detect_pet_unit(case: Case, pet: NDArray[Any]) -> PetUnit:
    """Detect whether a PET is in SUV or in Bq/ml.

    Raises:
        CaseError: It is constant, has no positive value, has too many negative ones, or is too small for either unit.
    """
    low, high = float(pet.min()), float(pet.max())
    if low == high:
        raise CaseError(case.id, f"the PET is {low:g} everywhere", case.pet)
    if high <= 0:
        raise CaseError(case.id, f"PET values from {low:g} to {high:g}: none is positive", case.pet)
    negative = float(np.count_nonzero(pet < NEGATIVE_SUV)) / pet.size
    if negative > NEGATIVE_SHARE:
        raise CaseError(
            case.id,
            f"{negative:.0%} of the PET is below {NEGATIVE_SUV:g} (lowest {low:g}); SUV and Bq/ml are not negative: "
            "the image has been normalized, or is no PET",
            case.pet,
        )
    if high < LEAST_SUV:
        raise CaseError(
            case.id,
            f"the hottest voxel of the PET is {high:.3g}; in SUV it is above {LEAST_SUV:g}: converted twice?",
            case.pet,
        )
    mean = float(pet[pet > 0].mean(dtype=np.float64))
    if mean > BQML_MEAN:
        return PetUnit("Bq/ml", f"its positive voxels have a mean of {mean:.3g}, above {BQML_MEAN:g}")
    if high > BQML_PEAK:
        return PetUnit("Bq/ml", f"its hottest voxel is {high:.0f}, above {BQML_PEAK:g}")
    return PetUnit("SUV", f"its positive voxels have a mean of {mean:.3g}, at most {BQML_MEAN:g}")
