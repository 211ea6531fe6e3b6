"""Record of each subject of a site, as a structured array with named fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from ssimh._kernels.arrays import check_finite
from ssimh.site.field import TERMS

TISSUES = ("fat", "muscle", "other")
# In memory one subject is 31 float64 numbers, in this order.
SUBJECT = np.dtype(
    [
        ("log_field", "<f8", (len(TERMS),)),  # body coordinates; logarithm of a factor on HU + 1000
        ("linear_field", "<f8", (len(TERMS),)),  # body coordinates; units of 1000 HU
        ("body_box", "<f8", (3, 2)),  # ends of the body along (z, y, x), -1 and 1 at the faces of the array
        ("tissue_shares", "<f8", (len(TISSUES),)),  # of the voxels counted, 0 … 1
        ("tissue_voxels", "<f8"),  # number of voxels counted
        ("body_ml", "<f8"),  # volume of the body; 0 where no spacing was given
    ]
)


class SubjectRecord(TypedDict):
    """A subject for JSON: the fields of :data:`SUBJECT` as plain numbers, in lists of the same shape."""

    log_field: list[float]
    linear_field: list[float]
    body_box: list[list[float]]
    tissue_shares: list[float]
    tissue_voxels: float
    body_ml: float


def check_subjects(subjects: Any) -> NDArray[Any]:
    """The subjects as a read-only array in one order, so that a + b equals b + a.

    Args:
        subjects: (n,) structured array of dtype :data:`SUBJECT`.

    Raises:
        ValueError: no subject, another dtype or number of axes, or values that are not finite.
    """
    table = np.asarray(subjects)
    if table.dtype != SUBJECT or table.ndim != 1 or len(table) < 1:
        raise ValueError(
            f"a site holds one or more subjects as an array with the fields {', '.join(SUBJECT.names or ())}; given "
            f"shape {table.shape} and dtype {table.dtype}."
        )
    numbers = np.ascontiguousarray(table).view(np.float64).reshape(len(table), -1)
    check_finite(numbers, "the site's table of subjects")
    ordered = np.ascontiguousarray(table[np.lexsort(numbers.T[::-1])])
    ordered.flags.writeable = False
    return ordered


def subjects_from_dicts(subjects: Iterable[Mapping[str, Any]]) -> NDArray[Any]:
    """Array of subjects from one mapping of field names to numbers each, as JSON holds them.

    Raises:
        ValueError, TypeError: a field is missing or unknown, or has another shape.

    >>> subjects_from_dicts([]).shape
    (0,)
    """
    names = SUBJECT.names or ()
    rows = []
    for subject in subjects:
        if set(subject) != set(names):
            raise ValueError(f"a subject has the fields {', '.join(names)}; given {', '.join(map(str, subject))}.")
        row = np.zeros((), SUBJECT)
        for name in names:
            value = np.asarray(subject[name], dtype=np.float64)
            if value.shape != SUBJECT[name].shape:
                raise ValueError(f"{name} of a subject has shape {SUBJECT[name].shape}; given {value.shape}.")
            row[name] = value
        rows.append(row)
    return np.array(rows, dtype=SUBJECT)


def subjects_to_dicts(subjects: NDArray[Any]) -> list[SubjectRecord]:
    """One dictionary of plain numbers per subject, for JSON; the way back is exact."""
    return [cast(SubjectRecord, {name: subject[name].tolist() for name in SUBJECT.names or ()}) for subject in subjects]
