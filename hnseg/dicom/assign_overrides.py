"""Which row of a table replaces values of which study's header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from hnseg.suv.overrides import PetOverrides


def assign_overrides(
    patient_ids: Mapping[int, frozenset[str]],
    ids: Mapping[int, str],
    overrides: Mapping[str, PetOverrides],
    table: Path | None,
) -> tuple[dict[int, PetOverrides], dict[int, str], tuple[str, ...]]:
    """Find the row of each study by its case ID or its PatientID.

    A dose and a factor belong to one study: a row that names several, or a study that two rows name, is a problem.

    Args:
        patient_ids: Values of PatientID by number of the study.
        ids: Case IDs by number of the study; a study may have none.
        overrides: Rows of the table by ID.
        table: The table, for messages; those name no ID, which may be a patient's.

    Returns:
        Overrides by number of the study; why a study cannot have one; a message about rows that name no study.
    """
    keys = {
        number: {key for key in (ids.get(number), *own_ids) if key is not None} & overrides.keys()
        for number, own_ids in patient_ids.items()
    }
    counts = Counter(key for found in keys.values() for key in found)
    own: dict[int, PetOverrides] = {}
    problems: dict[int, str] = {}
    for number, found in keys.items():
        shared = max((counts[key] for key in found), default=0)
        if len(found) > 1:
            problems[number] = f"{len(found)} rows of {table} name it, by case ID and by PatientID; keep one"
        elif shared > 1:
            problems[number] = f"a row of {table} names {shared} studies by PatientID; name them by their case IDs"
        elif found:
            own[number] = overrides[found.pop()]
    unused = len(overrides) - len(counts)
    if not unused:
        return own, problems, ()
    return own, problems, (f"{table}: {unused} of {len(overrides)} rows name no study by case ID or PatientID",)
