"""Notes on values that are possible and unlikely: most often a unit is wrong. Nothing is refused here."""

from __future__ import annotations

from collections.abc import Mapping

from hnseg.suv.body_size import HEIGHT_M
from hnseg.suv.pet_header import PetHeader

LARGEST_SUV = (0.5, 1000.0)  # blood and liver alone reach 2, a bladder some hundreds; SUV 1 is 1,500 to 4,800 Bq/ml
# The limits below are choices, wide enough that a note is rare. A weight in pounds turns an index above 20.4 into one
# above 45.
BODY_MASS_INDEX = (12.0, 45.0)
WEIGHT_KG = 227.0  # 500 lb, without a height
DOSE_18F_BQ = (1e7, 1e9)
UPTAKE_18F_S = 600.0  # static scans of 18F begin after 30 to 90 min; a time of injection that is the scan's is a slip
KG_PER_POUND = 0.45359237


def note_inputs(header: PetHeader, inputs: Mapping[str, str | float]) -> tuple[str, ...]:
    """Notes on the weight, the dose and the uptake time that a SUV depends on.

    Args:
        header: Of the series.
        inputs: What was used, as in :class:`~hnseg.suv.conversion.SuvConversion`.
    """
    notes: tuple[str, ...] = ()
    weight_kg, dose_bq = inputs.get("PatientWeight"), inputs.get("RadionuclideTotalDose")
    if isinstance(weight_kg, float | int):
        notes += _note_weight(weight_kg, header.height_m)
    if header.nuclide != "18F":
        return notes
    low, high = DOSE_18F_BQ
    if isinstance(dose_bq, float | int) and not low <= dose_bq <= high:
        usual = f"usual are {low / 1e6:g} to {high / 1e6:g} MBq"
        notes += (f"an administered activity of {dose_bq / 1e6:g} MBq of 18F; {usual}",)
    uptake_s = inputs.get("decay_s")
    if isinstance(uptake_s, float | int) and uptake_s < UPTAKE_18F_S:
        notes += (
            f"{uptake_s:.0f} s lie between administration and scan; usual for 18F are {UPTAKE_18F_S:g} s or more",
        )
    return notes


def _note_weight(weight_kg: float, height_m: float | None) -> tuple[str, ...]:
    low, high = BODY_MASS_INDEX
    index = weight_kg / height_m**2 if height_m is not None and HEIGHT_M[0] <= height_m <= HEIGHT_M[1] else None
    if index is not None and not low <= index <= high:
        pounds = f"; if the weight is in pounds, it is {index * KG_PER_POUND:.1f}" if index > high else ""
        unusual = f"a body mass index of {index:.1f} ({weight_kg:g} kg, {height_m:g} m)"
        return (f"{unusual}; usual are {low:g} to {high:g}{pounds}",)
    if weight_kg > WEIGHT_KG:
        return (f"a body weight of {weight_kg:g} kg; usual are up to {WEIGHT_KG:g} kg (500 lb)",)
    return ()


def note_largest_suv(largest: float, *, is_converted: bool) -> str | None:
    """A note on a PET whose largest SUV is implausible.

    Args:
        largest: Largest value of the PET in SUV.
        is_converted: Whether the values were converted, as in
            :class:`~hnseg.suv.conversion.SuvConversion`; False for a file that says that it is SUV already.

    Returns:
        The note, with the value; None for a plausible one.

    >>> note_largest_suv(21.68, is_converted=False)
    >>> print(note_largest_suv(21643, is_converted=False))
    the largest SUV is 21643; usual are 0.5 to 1000: the file says that it is SUV already, but its values may be Bq/ml
    """
    low, high = LARGEST_SUV
    if low <= largest <= high:
        return None
    if is_converted:
        reason = "the unit of the values, the dose, or the weight may be another one than the header states"
    elif largest > high:
        reason = "the file says that it is SUV already, but its values may be Bq/ml"
    else:
        reason = "the file says that it is SUV already; it may have been converted twice"
    return f"the largest SUV is {largest:.5g}; usual are {low:g} to {high:g}: {reason}"
