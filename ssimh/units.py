"""Intensity units: the unit that a file states, and the refusal to swap PET."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# DICOM (0054,1001) Units and common spellings; a swap changes tracer uptake (SUVmax 8.9 became 10.2 in a simulation).
_PET_UNITS = {"suv", "suvbw", "suvlbm", "suvbsa", "gml", "g/ml", "bqml", "bq/ml", "kbqml", "kbq/ml", "cnts", "pet"}
_SUV_UNITS = {"suv", "suvbw", "suvlbm", "suvbsa", "gml", "g/ml", "pet"}


def is_pet_unit(unit: str | None) -> bool:
    """Whether ``unit`` names tracer uptake.

    >>> is_pet_unit("SUV"), is_pet_unit("HU"), is_pet_unit(None)
    (True, False, False)
    """
    return unit is not None and unit.strip().lower() in _PET_UNITS


def is_suv_unit(unit: str) -> bool:
    """Whether ``unit`` is SUV, or names PET without saying in which unit.

    >>> is_suv_unit("SUVbw"), is_suv_unit("GML"), is_suv_unit("BQML")
    (True, True, False)
    """
    return unit.strip().lower() in _SUV_UNITS


def unit_from_metadata(metadata: Mapping[Any, Any]) -> str | None:
    """Unit that a file states: this package's own key, DICOM Units (0054,1001) or modality, or a NIfTI description.

    Returns:
        The unit as stated; ``"HU"`` or ``"PET"`` by modality; None where nothing states one.

    >>> unit_from_metadata({"0008|0060": "PT", "0054|1001": "GML "})
    'GML'
    >>> unit_from_metadata({"0008|0060": "CT"})
    'HU'
    """
    for key in ("unit", "intensity_unit", "0054|1001"):
        value = metadata.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    modality = str(metadata.get("0008|0060", "")).strip()
    if modality:
        return {"PT": "PET", "CT": "HU"}.get(modality)
    for key in ("intent_name", "descrip"):
        value = metadata.get(key)
        if value is not None and "suv" in str(value).lower():
            return "SUV"
    return None


def refuse_pet(unit: str | None, whose: str, allow_pet: bool) -> None:
    """Raise an error for PET, unless the caller allows it.

    Args:
        unit: Unit of the image, or None.
        whose: The image, as the message names it.
        allow_pet: Whether PET is allowed.

    Raises:
        ValueError: ``unit`` names tracer uptake and ``allow_pet`` is False.
    """
    if is_pet_unit(unit) and not allow_pet:
        raise ValueError(
            f"{whose} is declared as PET (unit={unit!r}). Spectrum swapping changes uptake values and is meant for CT "
            "in HU; pass allow_pet=True to swap it nevertheless."
        )
