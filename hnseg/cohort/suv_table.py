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
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path} is not a readable CSV file: {error}") from error
    column = {kind: next((columns[n] for n in names if n in columns), None) for kind, names in _KINDS.items()}
    if column["id"] is None or not (column["factor"] or (column["weight"] and column["dose"])):
        raise CohortError(
            f"{path} has the columns {', '.join(columns) or 'none'}; needed are {IDS[0]}, and {FACTORS[0]} or "
            f"{WEIGHTS[0]} with {DOSES[0]}"
        )
    factors: dict[str, float] = {}
    for line, row in enumerate(rows, start=2):
        cells = {kind: (row[name] or "").strip() if name else "" for kind, name in column.items()}
        case_id = cells["id"]
        if case_id in factors:
            raise CohortError(f"{path}, line {line}: {case_id} is named twice")
        if cells["units"] and cells["units"].upper() not in ("BQML", "BQ/ML"):
            raise CohortError(f"{path}, line {line}: {case_id} is in {cells['units']}; only BQML can be converted")
        try:
            factors[case_id] = _factor(cells)
        except ValueError as error:
            raise CohortError(f"{path}, line {line}: {case_id}: {error}") from error
    return factors


_KINDS = {"id": IDS, "factor": FACTORS, "weight": WEIGHTS, "dose": DOSES, "units": ("units",)}


def _factor(cells: Mapping[str, str]) -> float:
    """The factor of one row."""
    stated = _positive("factor", cells["factor"])
    weight_kg, dose_bq = _positive("weight in kg", cells["weight"]), _positive("dose in Bq", cells["dose"])
    if weight_kg is None or dose_bq is None:
        if stated is None:
            raise ValueError("there is neither a factor nor a weight with a dose")
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
