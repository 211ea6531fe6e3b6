"""What a SUV is normalized by: body weight, lean body mass, body surface area, or ideal weight."""

from __future__ import annotations

from typing import Literal, get_args

from hnseg.errors import SuvError
from hnseg.suv.pet_header import PetHeader

SuvKind = Literal["bw", "lbm", "bsa", "ibw"]
KINDS: tuple[SuvKind, ...] = get_args(SuvKind)

WEIGHT_KG = (0.5, 400.0)
HEIGHT_M = (0.3, 2.5)


def compute_body_size(header: PetHeader, kind: SuvKind) -> tuple[float, str]:
    """Compute what the concentration over the dose is multiplied by.

    Lean body mass by Janmahasatian et al. 2005 (doi 10.2165/00003088-200544100-00004), body surface area by Du Bois and
    Du Bois 1916, ideal weight as in QIBA's FDG-PET/CT profile (Sugawara et al. 1999).

    Args:
        header: Weight in kg, height in m, and sex, as far as the kind needs them.
        kind: bw, lbm, bsa or ibw.

    Returns:
        ``(size, formula)``: in g, for bsa in cm²; and the formula with its numbers, in kg or cm².

    Raises:
        SuvError: A value that the kind needs is missing or impossible.
    """
    if kind == "bw":
        weight = _get_weight(header)
        return 1000 * weight, f"{weight:g} kg"
    height_cm = 100 * _get_height(header)
    if kind == "bsa":
        weight = _get_weight(header)
        area = 71.84 * weight**0.425 * height_cm**0.725
        return area, f"71.84 × {weight:g}^0.425 × {height_cm:g}^0.725 cm²"
    sex = _get_sex(header, kind)
    if kind == "ibw":
        base, slope = (48.0, 1.06) if sex == "M" else (45.5, 0.91)
        ideal = base + slope * (height_cm - 152)
        if ideal <= 0:
            raise SuvError(
                "PatientSize", f"a height of {height_cm:g} cm has no ideal weight; its formula is for adults"
            )
        return 1000 * ideal, f"({base:g} + {slope:g} × ({height_cm:g} − 152)) kg"
    weight = _get_weight(header)
    base, slope = (6680.0, 216.0) if sex == "M" else (8780.0, 244.0)
    index = weight / (height_cm / 100) ** 2
    lean = 9270 * weight / (base + slope * index)
    return 1000 * lean, f"9270 × {weight:g} / ({base:g} + {slope:g} × {index:.6g}) kg"


def _get_weight(header: PetHeader) -> float:
    low, high = WEIGHT_KG
    if header.weight_kg is None:
        raise SuvError("PatientWeight", "no body weight is stated, and none is assumed; give it in a table (--tags)")
    if not low <= header.weight_kg <= high:
        raise SuvError("PatientWeight", f"a body weight of {header.weight_kg:g} kg; allowed are {low:g} to {high:g} kg")
    return header.weight_kg


def _get_height(header: PetHeader) -> float:
    low, high = HEIGHT_M
    if header.height_m is None:
        raise SuvError("PatientSize", "no body height is stated, and none is assumed; give it in a table (--tags)")
    if not low <= header.height_m <= high:
        unit = "; it looks like centimeters" if low <= header.height_m / 100 <= high else ""
        raise SuvError(
            "PatientSize", f"a body height of {header.height_m:g} m; allowed are {low:g} to {high:g} m{unit}"
        )
    return header.height_m


def _get_sex(header: PetHeader, kind: SuvKind) -> str:
    if header.sex not in ("M", "F"):
        given = "another" if header.sex else "none"
        raise SuvError("PatientSex", f"SUV of kind {kind} has formulas for M and F; the header states {given}")
    return header.sex
