"""Factors from the values of a PET to standardized uptake values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from hnseg.errors import SuvError
from hnseg.suv.body_size import KINDS, SuvKind, compute_body_size
from hnseg.suv.dose import check_dose_bq, check_half_life_s, compute_decay_s
from hnseg.suv.pet_header import PetHeader
from hnseg.suv.plausibility import note_inputs
from hnseg.suv.reference_time import compare_administration, find_reference_time, find_slice_times
from hnseg.suv.slice_numbers import check_philips_factors

SUV_UNITS = {"GML": "g/ml", "CM2ML": "cm²/ml"}
STORED_KINDS: dict[str, SuvKind] = {"BW": "bw", "LBMJANMA": "lbm", "BSA": "bsa", "IBW": "ibw"}
JAMES = ("LBM", "LBMJAMES128")
AGREEMENT = 0.01  # of Philips' SUV factor with the one by dose and weight, relative
NO_USE = "dose_in_mbq (--dose-in-mbq) would change nothing"

TABLE_FACTOR = (1e-9, 100.0)  # what the limits of weight, dose and decay leave
TABLE_DOSE_BQ = (1e4, 2e10)


@dataclass(frozen=True)
class SuvConversion:
    """How the values of a PET become SUV.

    Attributes:
        kind: bw (body weight), lbm (lean body mass, Janmahasatian), bsa (body surface area), ibw (ideal weight).
        factors: SUV per value of each slice, in the volume's order; the values with their rescale applied.
        is_converted: Whether values change; False for a file that is SUV of this kind already.
        formula: How the factors come about, with the numbers; of the first slice where they differ.
        inputs: What was used, by DICOM keyword; times are those of day.
        notes: What was unusual.
    """

    kind: SuvKind
    factors: tuple[float, ...]
    is_converted: bool
    formula: str
    inputs: Mapping[str, str | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def factor(self) -> float | None:
        """The factor that all slices share; None where they differ."""
        return self.factors[0] if len(set(self.factors)) == 1 else None


@dataclass(frozen=True)
class _Activity:
    """The dose that is left at the times that the slices are corrected to."""

    doses_bq: tuple[float, ...]
    formula: str
    inputs: dict[str, str | float]
    notes: tuple[str, ...]


def compute_suv_conversion(header: PetHeader, kind: SuvKind = "bw", *, dose_in_mbq: bool = False) -> SuvConversion:
    """Compute the factors from the values of a PET to SUV.

    ``SUV = value × size / (dose × 2^(−t / half-life))``, where t is the time from the administration to the time that
    the values are corrected to (:func:`~hnseg.suv.reference_time.find_reference_time`). DecayCorrection ADMIN has
    t = 0, NONE the time of each slice's own frame. Values in GML are SUV already. CNTS has Philips' own factors.
    Nothing that is missing gets a default. See ``docs/hnseg/suv.md``.

    Args:
        header: Of the series.
        kind: bw, lbm, bsa or ibw.
        dose_in_mbq: The file states the dose in MBq, against the standard; refused where it does not look like it.

    Raises:
        SuvError: The unit cannot be converted, or an attribute, or a column of a table, is missing, impossible, or
            contradicts another one.
        ValueError: Another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    found = _convert(header, kind, dose_in_mbq)
    return replace(found, notes=(*found.notes, *compare_administration(header), *note_inputs(header, found.inputs)))


def _convert(header: PetHeader, kind: SuvKind, dose_in_mbq: bool) -> SuvConversion:
    """By the unit of the values."""
    units = (header.units or "").upper()
    if header.suv_factor is not None:
        return _use_factor_of_table(header, units, kind, dose_in_mbq)
    if units in SUV_UNITS:
        return _convert_suv(header, units, kind, dose_in_mbq)
    if units == "BQML":
        return _convert_activity(header, kind, dose_in_mbq)
    if units == "CNTS":
        return _convert_philips_counts(header, kind, dose_in_mbq)
    raise SuvError("Units", _explain_units(units))


def _explain_units(units: str) -> str:
    if not units:
        return "no unit is stated, and none is assumed"
    if units == "PROPCPS":
        return "values are proportional to counts per second (PROPCPS): nothing in the file relates them to Bq/ml"
    known = "BQML, GML, CM2ML, and CNTS with Philips' factors"
    return f"values are in a unit without a conversion to SUV; there is one for {known}"


def _use_factor_of_table(header: PetHeader, units: str, kind: SuvKind, dose_in_mbq: bool) -> SuvConversion:
    factor = header.suv_factor
    assert factor is not None
    if units != "BQML":
        raise SuvError("Units", "the table's factor is from Bq/ml, and the values are not in BQML")
    if dose_in_mbq:
        raise SuvError("RadionuclideTotalDose", f"the table gives the factor: {NO_USE}")
    low, high = TABLE_FACTOR
    if not low <= factor <= high:
        message = f"the table's factor is {factor:g} SUV per Bq/ml; allowed are {low:g} to {high:g}"
        raise SuvError("bqml_to_suvbw_factor", message)
    ratio, note = _size_ratio(header, "bw", kind)
    return SuvConversion(
        kind,
        (factor * ratio,) * len(header.slices),
        True,
        f"SUV = Bq/ml × {factor:g}{note}",
        {"Units": units, "table_suv_factor": factor},
        header.notes,
    )


def _size_ratio(header: PetHeader, stored: SuvKind, kind: SuvKind) -> tuple[float, str]:
    if stored == kind:
        return 1.0, ""
    have, had = compute_body_size(header, stored)
    want, wanted = compute_body_size(header, kind)
    return want / have, f" × ({wanted}) / ({had})"


def _convert_suv(header: PetHeader, units: str, kind: SuvKind, dose_in_mbq: bool) -> SuvConversion:
    """Values that are SUV: as they are, or of another kind by the ratio of the sizes."""
    if dose_in_mbq:
        raise SuvError("RadionuclideTotalDose", f"the values are SUV already: {NO_USE}")
    stated = (header.suv_type or "").upper()
    name = stated or ("BSA" if units == "CM2ML" else "BW")  # PS3.3 C.8.9.1: no SUV type means body weight
    if (name == "BSA") != (units == "CM2ML"):
        raise SuvError("SUVType", f"values in {SUV_UNITS[units]} do not belong to the stated kind of SUV")
    if name in JAMES:
        other = "lbm (Janmahasatian)" if kind == "lbm" else kind
        raise SuvError(
            "SUVType", f"values are SUV of kind {name} (lean body mass of James): not convertible to {other}"
        )
    if name not in STORED_KINDS:
        raise SuvError("SUVType", f"values are SUV of a kind that is none of {', '.join(STORED_KINDS)}")
    stored = STORED_KINDS[name]
    ratio, text = _size_ratio(header, stored, kind)
    notes = () if stated else (f"no SUVType is stated: by the standard the values are of kind {name}",)
    inputs: dict[str, str | float] = {"Units": units, "SUVType": name}
    return SuvConversion(
        kind,
        (ratio,) * len(header.slices),
        stored != kind,
        f"SUV = value{text}",
        inputs | _size_inputs(header, stored, kind),
        (*header.notes, *notes),
    )


def _size_inputs(header: PetHeader, *kinds: SuvKind) -> dict[str, str | float]:
    if len(set(kinds)) == 1 and len(kinds) > 1:
        return {}
    uses = {"bw": "w", "lbm": "whs", "bsa": "wh", "ibw": "hs"}
    used = {letter for kind in kinds for letter in uses[kind]}
    values = {"PatientWeight": header.weight_kg, "PatientSize": header.height_m, "PatientSex": header.sex}
    return {
        name: value for (name, value), letter in zip(values.items(), "whs", strict=True) if letter in used and value
    }


def _check_corrections(header: PetHeader) -> tuple[str, ...]:
    done = {name.upper() for name in header.corrected_image}
    decay = (header.decay_correction or "").upper()
    if decay not in ("START", "ADMIN", "NONE"):
        given = "another term" if decay else "nothing"
        raise SuvError("DecayCorrection", f"allowed are START, ADMIN and NONE; the header states {given}")
    if not done:
        return ("CorrectedImage is empty: attenuation correction is not confirmed",)
    if "ATTN" not in done:
        raise SuvError("CorrectedImage", "the values are not corrected for attenuation (no ATTN): they have no SUV")
    if (decay == "NONE") == ("DECY" in done):
        stated = "lists DECY" if "DECY" in done else "does not list DECY"
        raise SuvError(
            "CorrectedImage", f"CorrectedImage {stated}, DecayCorrection is {decay}: they contradict each other"
        )
    return ()


def _convert_activity(header: PetHeader, kind: SuvKind, dose_in_mbq: bool) -> SuvConversion:
    notes = _check_corrections(header)
    size, size_text = compute_body_size(header, kind)
    left = _remaining_doses(header, dose_in_mbq)
    return SuvConversion(
        kind,
        tuple(size / dose for dose in left.doses_bq),
        True,
        f"SUV = Bq/ml × ({size_text}) / ({left.formula})",
        {"Units": "BQML", **_size_inputs(header, kind), **left.inputs},
        (*header.notes, *notes, *left.notes),
    )


def _remaining_doses(header: PetHeader, dose_in_mbq: bool) -> _Activity:
    count = len(header.slices)
    decay = (header.decay_correction or "").upper()
    inputs: dict[str, str | float] = {"DecayCorrection": decay}
    if header.dose_at_reference_bq is not None:
        dose = header.dose_at_reference_bq
        if dose_in_mbq:
            raise SuvError("RadionuclideTotalDose", f"the table gives the dose in Bq: {NO_USE}")
        if decay == "NONE":
            raise SuvError(
                "DecayCorrection", "the table has one dose for all slices, but they are not corrected for decay"
            )
        low, high = TABLE_DOSE_BQ
        if not low <= dose <= high:
            message = f"the table's dose is {dose:g} Bq; allowed are {low:g} to {high:g} Bq"
            raise SuvError("dose_for_suv_bq", message)
        return _Activity((dose,) * count, f"{dose:g} Bq", inputs | {"table_dose_at_reference_bq": dose}, ())
    dose = check_dose_bq(header, dose_in_mbq=dose_in_mbq)
    inputs["RadionuclideTotalDose"] = dose
    if decay == "ADMIN":
        return _Activity((dose,) * count, f"{dose:g} Bq", inputs, ())
    half_life_s, notes = check_half_life_s(header)
    inputs["RadionuclideHalfLife"] = half_life_s
    if decay == "START":
        reference = find_reference_time(header, half_life_s)
        times: tuple[datetime, ...] = (reference.time,)
        notes += reference.notes
        source = reference.source
    else:
        times = find_slice_times(header, half_life_s)
        source = "AcquisitionTime with half of ActualFrameDuration"
    decays = [compute_decay_s(header, time, half_life_s) for time in times]
    notes += tuple(dict.fromkeys(note for _, found in decays for note in found))
    doses = tuple(dose * 2 ** (-decay_s / half_life_s) for decay_s, _ in decays)
    assert header.injection_time is not None
    inputs |= {
        "RadiopharmaceuticalStartTime": _time_of_day(header.injection_time),
        "reference": source,
        "reference_time": _time_of_day(times[0]),
        "decay_s": round(decays[0][0], 3),
    }
    formula = f"{dose:g} Bq × 2^(−{decays[0][0]:g} s / {half_life_s:g} s)"
    return _Activity(doses if len(doses) == count else doses * count, formula, inputs, notes)


def _time_of_day(time: datetime) -> str:
    text = time.strftime("%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".")


def _convert_philips_counts(header: PetHeader, kind: SuvKind, dose_in_mbq: bool) -> SuvConversion:
    """Counts by Philips' private factors: (7053,1000) to SUV body weight, else (7053,1009) to Bq/ml."""
    check_philips_factors(header)
    to_suv = [part.philips_suv_factor or 0.0 for part in header.slices]
    to_activity = [part.philips_activity_factor or 0.0 for part in header.slices]
    if all(to_suv):
        return _use_philips_suv_factor(header, kind, dose_in_mbq, tuple(to_suv), all(to_activity))
    if not all(to_activity):
        raise SuvError(
            "Philips (7053,1000)",
            "values are in counts, and neither (7053,1000) nor (7053,1009) has a factor above 0 in every slice",
        )
    converted = _convert_activity(header, kind, dose_in_mbq)
    factors = tuple(scale * factor for scale, factor in zip(to_activity, converted.factors, strict=True))
    return SuvConversion(
        kind,
        factors,
        True,
        f"SUV = counts × {to_activity[0]:g} Bq/ml{converted.formula.removeprefix('SUV = Bq/ml')}",
        {**converted.inputs, "Units": "CNTS", "Philips (7053,1009)": to_activity[0]},
        converted.notes,
    )


def _use_philips_suv_factor(
    header: PetHeader, kind: SuvKind, dose_in_mbq: bool, factors: tuple[float, ...], has_activity: bool
) -> SuvConversion:
    ratio, text = _size_ratio(header, "bw", kind)
    notes: tuple[str, ...] = ()
    if dose_in_mbq and not has_activity:
        raise SuvError("RadionuclideTotalDose", f"Philips' SUV factor is used: {NO_USE}")
    if has_activity:
        notes = _compare_philips_factors(header, dose_in_mbq, factors)
    inputs: dict[str, str | float] = {"Units": "CNTS", "Philips (7053,1000)": factors[0]}
    return SuvConversion(
        kind,
        tuple(factor * ratio for factor in factors),
        True,
        f"SUV = counts × {factors[0]:g}{text}",
        inputs | _size_inputs(header, "bw", kind),
        (*header.notes, *notes),
    )


def _compare_philips_factors(header: PetHeader, dose_in_mbq: bool, factors: tuple[float, ...]) -> tuple[str, ...]:
    """Compare Philips' factor to SUV with the one by way of Bq/ml, dose and weight."""
    try:
        by_dose = _convert_activity(header, "bw", dose_in_mbq)
    except SuvError as error:
        return (f"Philips' SUV factor could not be compared with dose and weight: {error}",)
    ratios = [
        (part.philips_activity_factor or 0.0) * other / factor
        for part, other, factor in zip(header.slices, by_dose.factors, factors, strict=True)
    ]
    worst = max(ratios, key=lambda ratio: abs(ratio - 1))
    if abs(worst - 1) <= AGREEMENT:
        return ()
    return (f"dose and weight give {100 * (worst - 1):+.1f} % from Philips' SUV factor, which is used",)
