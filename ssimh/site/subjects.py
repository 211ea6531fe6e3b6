"""Records of the subjects of a site, as structured arrays with named fields: one for CT, one for PET."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_finite
from ssimh.site.field import TERMS
from ssimh.site.grain_spectrum import SHELLS
from ssimh.site.power_spectrum import SECTORS, SHELLS_PER_MM

TISSUES = ("fat", "muscle", "other")
# In memory one subject is 47 float64 numbers, in this order.
SUBJECT = np.dtype(
    [
        ("log_field", "<f8", (len(TERMS),)),  # body coordinates; logarithm of a factor on HU + 1000
        ("linear_field", "<f8", (len(TERMS),)),  # body coordinates; units of 1000 HU
        ("body_box", "<f8", (3, 2)),  # ends of the body along (z, y, x), -1 and 1 at the faces of the array
        ("tissue_shares", "<f8", (len(TISSUES),)),  # of the voxels counted, 0 … 1
        ("tissue_voxels", "<f8"),  # number of voxels counted
        ("body_ml", "<f8"),  # volume of the body; 0 where no spacing was given
        ("grain_hu2mm2", "<f8", (SHELLS,)),  # power in rings about 1/16 … 16/16 per mm; 0: not measured
    ]
)
# Shells of frequency from 0.04 to 0.12 per mm and sectors of direction from in plane to axial.
PET_SUBJECT = np.dtype(
    [
        ("power_mm3", "<f8", (len(SHELLS_PER_MM), SECTORS)),  # over the square of the mean uptake; 0: not measured
        ("noise_mm3", "<f8", (len(SHELLS_PER_MM), SECTORS)),  # the part of it that is noise
    ]
)
MODALITIES = {"CT": SUBJECT, "PT": PET_SUBJECT}


class SubjectRecord(TypedDict):
    """A subject for JSON: the fields of :data:`SUBJECT` as plain numbers, in lists of the same shape."""

    log_field: list[float]
    linear_field: list[float]
    body_box: list[list[float]]
    tissue_shares: list[float]
    tissue_voxels: float
    body_ml: float
    grain_hu2mm2: list[float]


class PetSubjectRecord(TypedDict):
    """A subject of a PET site for JSON: the fields of :data:`PET_SUBJECT`."""

    power_mm3: list[list[float]]
    noise_mm3: list[list[float]]


def check_subjects(subjects: Any, modality: str) -> NDArray[Any]:
    """The subjects as a read-only array in one order, so that a + b equals b + a.

    Args:
        subjects: (n,) structured array of the modality's dtype.
        modality: ``"CT"`` or ``"PT"``.

    Raises:
        ValueError: no subject, another dtype or number of axes, or values that are not finite.
    """
    table, wanted = np.asarray(subjects), MODALITIES[modality]
    if table.dtype != wanted or table.ndim != 1 or len(table) < 1:
        raise ValueError(
            f"a site of {modality} holds one or more subjects as an array with the fields "
            f"{', '.join(wanted.names or ())}; given shape {table.shape} and dtype {table.dtype}."
        )
    numbers = np.ascontiguousarray(table).view(np.float64).reshape(len(table), -1)
    check_finite(numbers, "the site's table of subjects")
    ordered = np.ascontiguousarray(table[np.lexsort(numbers.T[::-1])])
    ordered.flags.writeable = False
    return ordered


def subjects_from_dicts(subjects: Iterable[Mapping[str, Any]], modality: str) -> NDArray[Any]:
    """Array of subjects from one mapping of field names to numbers each, as JSON holds them.

    Args:
        subjects: one mapping per subject.
        modality: ``"CT"`` or ``"PT"``.

    Raises:
        ValueError, TypeError: a field is missing or unknown, or has another shape.

    >>> subjects_from_dicts([], "PT").shape
    (0,)
    """
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}; given {modality!r}.")
    wanted = MODALITIES[modality]
    names = wanted.names or ()
    rows = []
    for subject in subjects:
        if set(subject) != set(names):
            raise ValueError(f"a subject has the fields {', '.join(names)}; given {', '.join(map(str, subject))}.")
        row = np.zeros((), wanted)
        for name in names:
            value = np.asarray(subject[name], dtype=np.float64)
            if value.shape != wanted[name].shape:
                raise ValueError(f"{name} of a subject has shape {wanted[name].shape}; given {value.shape}.")
            row[name] = value
        rows.append(row)
    return np.array(rows, dtype=wanted)


def subjects_to_dicts(subjects: NDArray[Any], modality: str) -> list[SubjectRecord] | list[PetSubjectRecord]:
    """One dictionary of plain numbers per subject, for JSON; the way back is exact."""
    names = MODALITIES[modality].names or ()
    records = [{name: subject[name].tolist() for name in names} for subject in subjects]
    return cast(list[SubjectRecord] | list[PetSubjectRecord], records)
