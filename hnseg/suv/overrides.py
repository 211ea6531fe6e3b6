"""What a table says about a PET in place of its header."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from hnseg.suv.pet_header import PetHeader


@dataclass(frozen=True)
class PetOverrides:
    """Values that replace those of a header; None keeps the header's.

    Attributes:
        suv_factor: SUV body weight per Bq/ml.
        dose_at_reference_bq: Activity at the time that the values are corrected to.
        weight_kg: Body weight.
        height_m: Body height.
        sex: M or F.
        dose_bq: Administered activity.
        half_life_s: Half-life of the nuclide.
    """

    suv_factor: float | None = None
    dose_at_reference_bq: float | None = None
    weight_kg: float | None = None
    height_m: float | None = None
    sex: str | None = None
    dose_bq: float | None = None
    half_life_s: float | None = None


def apply_overrides(header: PetHeader, overrides: PetOverrides | None) -> PetHeader:
    """Replace values of a header by those of a table.

    Args:
        header: Of a PET.
        overrides: What the table says; None for nothing.

    Returns:
        The header with the table's values, and a note for each.
    """
    if overrides is None:
        return header
    given = {part.name: getattr(overrides, part.name) for part in fields(overrides)}
    given = {name: value for name, value in given.items() if value is not None}
    notes = tuple(_describe(name, getattr(header, name), value) for name, value in given.items())
    return replace(header, **given, notes=header.notes + notes)


def _describe(name: str, stated: float | str | None, value: float | str) -> str:
    if stated is None:
        return f"{name} is {value}, from the table"
    return f"{name} is {value}, from the table; the header states {stated}"
