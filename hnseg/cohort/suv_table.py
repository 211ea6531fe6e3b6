"""Factors from Bq/ml to SUV body weight, from HECKTOR 2026's table ``suv_conversion_tags.csv``.

``SUV = Bq/ml * weight in g / dose in Bq``, the dose decay-corrected to the time that the PET is corrected to. Column
names as in the challenge's own converter (github.com/BioMedIA-MBZUAI/HECKTOR2026, ``convert_nifti_Bq_SUV.py``).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from hnseg.errors import CohortError
from hnseg.suv.overrides import PetOverrides

TAGS_NAME = "suv_conversion_tags.csv"
IDS = ("pid", "patient_id", "patient", "patientid")
FACTORS = ("bqml_to_suvbw_factor", "suv_factor", "suvfactor")
WEIGHTS = ("patient_weight_kg", "weight_kg")
DOSES = ("dose_for_suv_bq", "decay_corrected_dose_at_scan_bq", "decay_corrected_dose_bq")
AGREEMENT = 1e-5  # of a factor with its weight and dose, relative, as in the challenge's converter


def read_suv_factors(path: Path) -> dict[str, float]:
    """Read SUV per Bq/ml by case ID; empty if there is no such file.

    Args:
        path: A CSV file with a column of IDs (``pid``) and either ``bqml_to_suvbw_factor``, or ``patient_weight_kg``
            and ``dose_for_suv_bq``; with all three they must agree. A column ``units`` must contain ``BQML``.

    Raises:
        CohortError: The table lacks these columns, names a case twice, or has a factor that is not a positive number.
    """
    if not path.is_file():
        return {}
    stated, columns, rows = _read_rows(path)
    if "id" not in columns or not ("factor" in columns or {"weight", "dose"} <= columns):
        raise CohortError(
            f"{path} has the columns {', '.join(stated) or 'none'}; needed are {IDS[0]}, and {FACTORS[0]} or "
            f"{WEIGHTS[0]} with {DOSES[0]}"
        )
    factors: dict[str, float] = {}
    for line, cells in rows:
        case_id = cells["id"]
        if case_id in factors:
            raise CohortError(f"{path}, line {line}: {case_id} is named twice")
        try:
            _check_units(cells)
            factor = _factor(cells)
            if factor is None:
                raise ValueError("there is neither a factor nor a weight with a dose")
        except ValueError as error:
            raise CohortError(f"{path}, line {line}: {case_id}: {error}") from error
        factors[case_id] = factor
    return factors


def read_suv_overrides(path: Path) -> dict[str, PetOverrides]:
    """Read what a table says about PETs in place of their DICOM headers.

    Args:
        path: A CSV file with a column of IDs (``pid``) and at least one of those of :func:`read_suv_factors`, or
            ``patient_height_m``, ``patient_sex`` (M, F), ``radionuclide_total_dose_bq`` (at administration) and
            ``radionuclide_half_life_s``. An empty cell keeps the header's value.

    Returns:
        Overrides by ID. A factor, or a weight with ``dose_for_suv_bq``, replaces the whole computation for Bq/ml.

    Raises:
        CohortError: No such file, no such columns, an ID named twice, or an impossible value. Messages name lines, not
            IDs: those may be a patient's.
    """
    if not path.is_file():
        raise CohortError(f"{path}: no such file")
    _, columns, rows = _read_rows(path)
    if "id" not in columns or len(columns) < 2:
        wanted = ", ".join(names[0] for kind, names in _KINDS.items() if kind != "id")
        raise CohortError(f"{path} needs the column {IDS[0]}, and one or more of {wanted}")
    found: dict[str, PetOverrides] = {}
    for line, cells in rows:
        if not cells["id"]:
            raise CohortError(f"{path}, line {line}: there is no ID")
        if cells["id"] in found:
            raise CohortError(f"{path}, line {line}: its ID is named twice")
        try:
            _check_units(cells)
            found[cells["id"]] = _overrides(cells)
        except ValueError as error:
            raise CohortError(f"{path}, line {line}: {error}") from error
    return found


def _read_rows(path: Path) -> tuple[list[str], set[str], list[tuple[int, dict[str, str]]]]:
    """Names of the table's columns, which kinds of columns it has, and its rows with their lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            stated = {name.strip().lower(): name for name in reader.fieldnames or ()}
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path} is not a readable CSV file: {error}") from error
    columns = {kind: next((stated[name] for name in names if name in stated), None) for kind, names in _KINDS.items()}
    cells = [{kind: (row[name] or "").strip() if name else "" for kind, name in columns.items()} for row in rows]
    return list(stated), {kind for kind, name in columns.items() if name}, list(enumerate(cells, start=2))


def _check_units(cells: Mapping[str, str]) -> None:
    if cells["units"] and cells["units"].upper() not in ("BQML", "BQ/ML"):
        raise ValueError(f"the unit is {cells['units']}; only BQML can be converted")


def _overrides(cells: Mapping[str, str]) -> PetOverrides:
    factor = _factor(cells)
    sex = cells["sex"].upper()
    if sex and sex not in ("M", "F"):
        raise ValueError("the sex is neither M nor F")
    return PetOverrides(
        suv_factor=factor,
        dose_at_reference_bq=None if factor else _positive("dose in Bq", cells["dose"]),
        weight_kg=_positive("weight in kg", cells["weight"]),
        height_m=_positive("height in m", cells["height"]),
        sex=sex or None,
        dose_bq=_positive("administered dose in Bq", cells["total_dose"]),
        half_life_s=_positive("half-life in s", cells["half_life"]),
    )


_KINDS: dict[str, tuple[str, ...]] = {
    "id": IDS,
    "factor": FACTORS,
    "weight": WEIGHTS,
    "dose": DOSES,
    "height": ("patient_height_m",),
    "sex": ("patient_sex",),
    "total_dose": ("radionuclide_total_dose_bq",),
    "half_life": ("radionuclide_half_life_s",),
    "units": ("units",),
}


def _factor(cells: Mapping[str, str]) -> float | None:
    """The factor of one row; None if it has neither a factor nor a weight with a dose."""
    stated = _positive("factor", cells["factor"])
    weight_kg, dose_bq = _positive("weight in kg", cells["weight"]), _positive("dose in Bq", cells["dose"])
    if weight_kg is None or dose_bq is None:
        return stated
    computed = weight_kg * 1000.0 / dose_bq
    if stated is not None and not math.isclose(stated, computed, rel_tol=AGREEMENT):
        raise ValueError(f"the factor {stated:g} is not the {computed:g} of {weight_kg:g} kg and {dose_bq:g} Bq")
    return computed


def _positive(name: str, text: str) -> float | None:
    """A positive number, or None for an empty cell."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"the {name} {text!r} is not a number") from error
    if not 0 < value < math.inf:
        raise ValueError(f"the {name} is {text}; it must be a positive number")
    return value
