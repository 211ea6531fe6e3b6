"""Factors from Bq/ml to SUV body weight, from HECKTOR 2026's table ``suv_conversion_tags.csv``.

``SUV = Bq/ml * weight in g / dose in Bq``, the dose decay-corrected to the time that the PET is corrected to. Column
names as in the challenge's own table and converter (github.com/BioMedIA-MBZUAI/HECKTOR2026,
``convert_nifti_Bq_SUV.py``).
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import TypeVar

from hnseg.errors import CohortError
from hnseg.suv.overrides import PetOverrides

TAGS_NAME = "suv_conversion_tags.csv"
IDS = ("pid", "patient_id", "patient", "patientid")
FACTORS = ("bqml_to_suvbw_factor", "suv_factor", "suvfactor")
WEIGHTS = ("patient_weight_kg", "weight_kg")
DOSES = ("dose_for_suv_bq", "decay_corrected_dose_at_scan_bq", "decay_corrected_dose_bq")
UNITS = ("BQML", "BQ/ML")
NEAR = 0.84  # likeness of names: patient_weight has 0.90 to patient_weight_kg, patient_age 0.82 to patient_sex
Value = TypeVar("Value")
AGREEMENT = 1e-5  # of a factor with its weight and dose, relative, as in the challenge's converter


@dataclass(frozen=True)
class _Cell:
    """A cell: the name of its column, and its text without blanks around it."""

    column: str
    text: str


@dataclass(frozen=True)
class _Table:
    """Rows of a table.

    Attributes:
        columns: Their names as stated.
        kinds: Kinds of columns that the table has, of those in ``_KINDS``.
        unread: Names of the other columns.
        rows: Line and cells by kind; an empty cell where there is no such column.
    """

    columns: tuple[str, ...]
    kinds: frozenset[str]
    unread: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, _Cell]], ...]


def read_suv_factors(path: Path) -> dict[str, float]:
    """Read SUV per Bq/ml by case ID; empty if there is no such file.

    Args:
        path: A CSV file with a column of IDs (``pid``) and either ``bqml_to_suvbw_factor``, or ``patient_weight_kg``
            and ``dose_for_suv_bq``; with all three they must agree. A column ``units`` must contain ``BQML``.

    Raises:
        CohortError: The table lacks these columns, has one whose name is nearly a known one, names a case twice, or has
            a factor that is not a positive number.
    """
    if not path.is_file():
        return {}
    table = _read_table(path)
    if "id" not in table.kinds or not ("factor" in table.kinds or {"weight", "dose"} <= table.kinds):
        raise CohortError(
            f"{path} has the columns {', '.join(table.columns) or 'none'}; needed are {IDS[0]}, and {FACTORS[0]} or "
            f"{WEIGHTS[0]} with {DOSES[0]}"
        )
    return _read_by_id(path, table, _required_factor, are_ids_shown=True)


def read_suv_overrides(path: Path) -> dict[str, PetOverrides]:
    """Read what a table says about PETs in place of their DICOM headers.

    Args:
        path: A CSV file with a column of IDs (``pid``) and at least one of those of :func:`read_suv_factors`, or
            ``patient_height_m``, ``patient_sex`` (M, F), ``radionuclide_total_dose_bq`` (at administration),
            ``radionuclide_half_life_s`` and ``injection_time`` (time of day, HH:MM:SS or HHMMSS, local time of the
            scanner; on the day of the scan, or the day before). An empty cell keeps the header's value. Other columns
            are not used, which the overrides say.

    Returns:
        Overrides by ID. A factor, or a weight with ``dose_for_suv_bq``, replaces the whole computation for Bq/ml.

    Raises:
        CohortError: No such file, no such columns, a column whose name is nearly a known one, an ID named twice, or an
            impossible value. Messages name lines and columns, not the texts of cells: those may be a patient's.
    """
    if not path.is_file():
        raise CohortError(f"{path}: no such file")
    table = _read_table(path)
    if "id" not in table.kinds or not table.kinds - {"id", "units"}:
        wanted = ", ".join(names[0] for kind, names in _KINDS.items() if kind not in ("id", "units"))
        raise CohortError(f"{path} needs the column {IDS[0]}, and one or more of {wanted}; separated by commas")
    return _read_by_id(path, table, lambda cells: _overrides(cells, table.unread), are_ids_shown=False)


def _read_by_id(
    path: Path, table: _Table, read: Callable[[Mapping[str, _Cell]], Value], *, are_ids_shown: bool
) -> dict[str, Value]:
    """What each row says, by its ID.

    Raises:
        CohortError: A row has no ID, that of another row, another unit than Bq/ml, or what ``read`` refuses.
    """
    found: dict[str, Value] = {}
    for line, cells in table.rows:
        key = cells["id"].text
        where = f"{path}, line {line}: " + (f"{key}: " if are_ids_shown and key else "")
        if not key:
            raise CohortError(f"{where}there is no ID")
        if key in found:
            raise CohortError(f"{where}its ID is named twice")
        try:
            _check_units(cells)
            found[key] = read(cells)
        except ValueError as error:
            raise CohortError(f"{where}{error}") from error
    return found


def _read_table(path: Path) -> _Table:
    """Read and check the shape of a table.

    Raises:
        CohortError: It is no CSV file, a column is there twice or has nearly the name of a known one, or a row has more
            or fewer cells than there are columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            columns = tuple(name.strip() for name in next(reader, ()))
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path} is not a readable CSV file: {error}") from error
    kinds = _find_kinds(path, columns)
    for line, row in lines:
        if any(row[len(columns) :]) or (any(row) and len(row) < len(columns)):
            raise CohortError(
                f"{path}, line {line}: {len(row)} cells for {len(columns)} columns; commas separate columns, also "
                "empty ones, and the decimal separator is a point"
            )
    rows = tuple((line, _take_cells(columns, kinds, row)) for line, row in lines if any(row))
    unread = tuple(name for name, kind in zip(columns, kinds, strict=True) if kind is None and name)
    return _Table(columns, frozenset(kind for kind in kinds if kind), unread, rows)


def _find_kinds(path: Path, columns: Sequence[str]) -> list[str | None]:
    """Kind of each column; None for one that means nothing here."""
    known = {name: kind for kind, names in _KINDS.items() for name in names}
    stated = [name.lower() for name in columns]
    kinds = [known.get(name) for name in stated]
    for place, (name, kind) in enumerate(zip(stated, kinds, strict=True), start=1):
        near = () if kind else difflib.get_close_matches(name, known, n=1, cutoff=NEAR)
        if near and "id" in kinds:  # else the first row may be no header, and its cells a patient's
            raise CohortError(
                f"{path}, column {place}: {columns[place - 1]} is nearly {near[0]}; correct the name, or choose one "
                "that is less like it"
            )
        if kind and name in stated[: place - 1]:
            raise CohortError(f"{path}, column {place}: {name} is there twice")
    return kinds


def _take_cells(columns: Sequence[str], kinds: Sequence[str | None], row: Sequence[str]) -> dict[str, _Cell]:
    """The first cell of each kind that is not empty, as in the challenge's converter."""
    cells = dict.fromkeys(_KINDS, _Cell("", ""))
    for kind, column, text in zip(kinds, columns, row[: len(columns)], strict=True):
        if kind and text and not cells[kind].text:
            cells[kind] = _Cell(column, text)
    return cells


def _check_units(cells: Mapping[str, _Cell]) -> None:
    units = cells["units"]
    if units.text and units.text.upper() not in UNITS:
        raise ValueError(f"column {units.column} does not state {UNITS[0]}, the only unit that can be converted")


def _overrides(cells: Mapping[str, _Cell], unread: tuple[str, ...]) -> PetOverrides:
    factor = _factor(cells)
    sex = cells["sex"].text.upper()
    if sex and sex not in ("M", "F"):
        raise ValueError(f"column {cells['sex'].column} is neither M nor F")
    return PetOverrides(
        suv_factor=factor,
        dose_at_reference_bq=None if factor else _positive(cells["dose"]),
        weight_kg=_positive(cells["weight"]),
        height_m=_positive(cells["height"]),
        sex=sex or None,
        dose_bq=_positive(cells["total_dose"]),
        half_life_s=_positive(cells["half_life"]),
        injection_time=_time_of_day(cells["injection_time"]),
        unread_columns=unread,
    )


_KINDS: dict[str, tuple[str, ...]] = {
    "id": IDS,
    "factor": FACTORS,
    "weight": WEIGHTS,
    "dose": DOSES,
    "height": ("patient_height_m", "height_m"),
    "sex": ("patient_sex", "sex"),
    "total_dose": ("radionuclide_total_dose_bq",),
    "half_life": ("radionuclide_half_life_s", "radionuclide_half_life_sec"),
    "injection_time": ("injection_time",),
    "units": ("units",),
}


def _factor(cells: Mapping[str, _Cell]) -> float | None:
    """The factor of one row; None if it has neither a factor nor a weight with a dose."""
    stated, weight_kg, dose_bq = (_positive(cells[kind]) for kind in ("factor", "weight", "dose"))
    if weight_kg is None or dose_bq is None:
        return stated
    computed = weight_kg * 1000.0 / dose_bq
    if stated is not None and not math.isclose(stated, computed, rel_tol=AGREEMENT):
        raise ValueError(f"the factor {stated:g} is not the {computed:g} of {weight_kg:g} kg and {dose_bq:g} Bq")
    return computed


def _required_factor(cells: Mapping[str, _Cell]) -> float:
    factor = _factor(cells)
    if factor is None:
        raise ValueError("there is neither a factor nor a weight with a dose")
    return factor


def _positive(cell: _Cell) -> float | None:
    """A positive number, or None for an empty cell."""
    if not cell.text:
        return None
    try:
        value = float(cell.text)
    except ValueError:
        raise ValueError(f"column {cell.column} is not a number; the decimal separator is a point") from None
    if not 0 < value < math.inf:
        raise ValueError(f"column {cell.column} is {value:g}; it must be a positive number")
    return value


def _time_of_day(cell: _Cell) -> str | None:
    """A time as HH:MM:SS, or None for an empty cell."""
    if not cell.text:
        return None
    message = f"column {cell.column} is not a local time of day without a date or a zone (HH:MM:SS or HHMMSS)"
    text = f"0{cell.text}" if cell.text[1:2] == ":" else cell.text
    try:
        value = time.fromisoformat(text)
    except ValueError:
        raise ValueError(message) from None
    if value.tzinfo is not None or len(text) < len("HHMM"):
        raise ValueError(message)
    return value.isoformat()
