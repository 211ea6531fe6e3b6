"""Random PET headers, each plain or with one trick, with what the trick does to the factor here and in pysuv."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.random import Generator
from pydicom import Dataset

from tests.hnseg.dicom.pet.pet_headers import GE, PHILIPS, make_slices
from tests.hnseg.dicom.phantoms import coded

VENDORS = ("SIEMENS", "GE MEDICAL SYSTEMS", "Philips Medical Systems", "UIH", "Canon", "Mediso")
DATE_AND_TIME, TIME = "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"


@dataclass
class Case:
    """A header, and the two factors that are expected of it.

    Attributes:
        weight_kg, height_cm, sex, dose_bq, half_life_s: As generated.
        injected, scanned: Times.
        series, administration, bed, private: What a trick changes; see :func:`pet_headers.make_slices`.
        ours: Expected factor; a string is the attribute that a refusal names.
        pysuv: Expected factor; None: an exception.
        kind: Of SUV.
        count: Items in the sequence of administrations.
    """

    weight_kg: float
    height_cm: float
    sex: str
    dose_bq: float
    half_life_s: float
    injected: datetime
    scanned: datetime
    manufacturer: str
    series: dict[str, Any] = field(default_factory=dict)
    administration: dict[str, Any] = field(default_factory=dict)
    bed: dict[str, Any] = field(default_factory=dict)
    private: list[tuple[tuple[int, str], int, str, Any]] = field(default_factory=list)
    ours: float | str = 0.0
    pysuv: float | None = 0.0
    kind: str = "bw"
    count: int = 1

    @property
    def uptake_s(self) -> float:
        """From the administration to the scan."""
        return (self.scanned - self.injected).total_seconds()

    def by_hand(self, uptake_s: float | None = None) -> float:
        """SUV body weight per Bq/ml."""
        seconds = self.uptake_s if uptake_s is None else uptake_s
        return 1000 * self.weight_kg / (self.dose_bq * 2 ** (-seconds / self.half_life_s))

    def make_dataset(self) -> Dataset:
        """The only slice of the series."""
        series = {
            "Manufacturer": self.manufacturer,
            "PatientWeight": f"{self.weight_kg:.1f}",
            "PatientSize": f"{self.height_cm / 100:.2f}",
            "PatientSex": self.sex,
            "SeriesDate": f"{self.scanned:%Y%m%d}",
            "SeriesTime": f"{self.scanned:%H%M%S}",
            "RescaleSlope": "1",
            "RescaleIntercept": "0",
            **self.series,
        }
        bed = {"AcquisitionDate": f"{self.scanned:%Y%m%d}", "AcquisitionTime": f"{self.scanned:%H%M%S}", **self.bed}
        administration = {
            DATE_AND_TIME: f"{self.injected:%Y%m%d%H%M%S}",
            TIME: f"{self.injected:%H%M%S}",
            "RadionuclideTotalDose": f"{self.dose_bq:.0f}",
            "RadionuclideHalfLife": str(self.half_life_s),
            **self.administration,
        }
        (dataset,) = make_slices(series, administration, [bed], self.private)
        items = list(dataset.RadiopharmaceuticalInformationSequence)
        dataset.RadiopharmaceuticalInformationSequence = items * self.count
        return dataset


def draw_case(random: Generator) -> Case:
    """A plain header: both give the factor by hand."""
    scanned = datetime(2021, 3, 1) + timedelta(
        days=int(random.integers(300)), seconds=int(random.integers(36_000, 72_000))
    )
    case = Case(
        weight_kg=round(random.uniform(40, 130), 1),
        height_cm=round(random.uniform(150, 200)),
        sex=str(random.choice(["M", "F"])),
        dose_bq=float(random.integers(100_000_000, 600_000_000)),
        half_life_s=float(random.choice([6586.2, 6588.0])),
        injected=scanned - timedelta(seconds=int(random.integers(1800, 9000))),
        scanned=scanned,
        manufacturer=str(random.choice(VENDORS)),
    )
    case.ours = case.pysuv = case.by_hand()
    return case


def _kind(kind: str) -> Callable[[Case, Generator], None]:
    def change(case: Case, random: Generator) -> None:
        case.kind = kind
        weight, height = case.weight_kg, case.height_cm
        man = case.sex == "M"
        if kind == "ibw":
            ideal = 48 + 1.06 * (height - 152) if man else 45.5 + 0.91 * (height - 152)
            case.ours = case.pysuv = case.by_hand() * ideal / weight
        elif kind == "lbm":
            index = weight / (height / 100) ** 2
            james = 1.1 * weight - 128 * (weight / height) ** 2 if man else 1.07 * weight - 148 * (weight / height) ** 2
            lean = 9270 * weight / (6680 + 216 * index if man else 8780 + 244 * index)
            case.ours, case.pysuv = case.by_hand() * lean / weight, case.by_hand() * james / weight
        else:
            area_m2 = 0.007184 * weight**0.425 * height**0.725
            case.ours = case.by_hand() * area_m2 * 1e4 / (1000 * weight)
            case.pysuv = case.ours / 1e4

    return change


def _mode(mode: str) -> Callable[[Case, Generator], None]:
    def change(case: Case, random: Generator) -> None:
        case.series["DecayCorrection"] = mode
        case.pysuv = None
        if mode == "ADMIN":
            case.ours = case.by_hand(0)
            return
        case.series["CorrectedImage"] = ["ATTN", "SCAT"]
        exponent = math.log(2) * 120 / case.half_life_s  # the base has frames of 120 s
        case.ours = case.by_hand() * exponent / -math.expm1(-exponent)

    return change


def _counts(suv: bool, activity: bool) -> Callable[[Case, Generator], None]:
    def change(case: Case, random: Generator) -> None:
        case.series["Units"] = "CNTS"
        case.ours, case.pysuv = "Philips (7053,1000)", None
        if activity:
            case.private.append((PHILIPS, 0x09, "DS", "1.5"))
            case.ours = 1.5 * case.by_hand()
        if suv:
            stated = f"{random.uniform(1e-4, 1e-2):.8f}"
            case.private.append((PHILIPS, 0x00, "DS", stated))
            case.ours = case.pysuv = float(stated)

    return change


def _late(private: bool) -> Callable[[Case, Generator], None]:
    def change(case: Case, random: Generator) -> None:
        late_s = int(random.integers(60, 3600))
        case.series["SeriesTime"] = f"{case.scanned + timedelta(seconds=late_s):%H%M%S}"
        case.manufacturer = "GE MEDICAL SYSTEMS"
        case.pysuv = case.by_hand(case.uptake_s + late_s)
        if private:
            case.private.append((GE, 0x0D, "DT", f"{case.scanned:%Y%m%d%H%M%S}"))
            case.bed["AcquisitionTime"] = f"{case.scanned + timedelta(seconds=30):%H%M%S}"

    return change


def _reference(since_s: float) -> Callable[[Case, Generator], None]:
    """Philips' frame reference times; pysuv takes acquisition + middle of the frame − FrameReferenceTime by default."""

    def change(case: Case, random: Generator) -> None:
        case.manufacturer = "Philips Medical Systems"
        case.bed["FrameReferenceTime"] = f"{1000 * since_s:.0f}"
        rate = math.log(2) / case.half_life_s
        middle_s = math.log(rate * 120 / (1 - math.exp(-rate * 120))) / rate
        case.pysuv = case.by_hand(case.uptake_s + middle_s - since_s)

    return change


def _decay_factor(case: Case, random: Generator) -> None:
    """The series was prepared ten minutes before the first bed, and the values are corrected to that bed."""
    case.series["SeriesTime"] = f"{case.scanned - timedelta(seconds=600):%H%M%S}"
    case.bed["DecayFactor"] = f"{2 ** (59.9 / case.half_life_s):.5f}"
    case.manufacturer = "SIEMENS"
    case.pysuv = case.by_hand(case.uptake_s - 600)


def _set(**values: Any) -> Callable[[Case, Generator], None]:
    """Attributes of the series or of the administration; ``ours`` and ``pysuv`` are the expected results."""

    def change(case: Case, random: Generator) -> None:
        for name, value in values.items():
            result = value(case) if callable(value) else value
            if name in ("ours", "pysuv", "count", "manufacturer"):
                setattr(case, name, result)
            elif name.startswith("Radio"):
                case.administration[name] = result
            else:
                case.series[name] = result

    return change


def _midnight(days: int = 0, dated: bool = True) -> Callable[[Case, Generator], None]:
    def change(case: Case, random: Generator) -> None:
        case.scanned = case.scanned.replace(hour=0, minute=int(random.integers(1, 30)))
        case.injected = case.scanned - timedelta(seconds=int(random.integers(2400, 7200)))
        if days:  # of 124I
            case.half_life_s = 360_806.4
            case.injected -= timedelta(days=days)
            case.administration["RadionuclideCodeSequence"] = [coded("40937006", "SCT", "^124^Iodine")]
        if not dated:
            case.administration[DATE_AND_TIME] = None
        case.ours = case.by_hand()
        case.pysuv = case.by_hand(case.uptake_s - 86_400 * days)

    return change


def _after(seconds: int) -> Callable[[Case, Generator], None]:
    def change(case: Case, random: Generator) -> None:
        case.injected = case.scanned + timedelta(seconds=seconds)
        case.ours = DATE_AND_TIME
        case.pysuv = case.by_hand(86_400 - seconds if seconds > 3600 else -seconds)

    return change


def _plain(case: Case, random: Generator) -> None:
    """No trick."""


Trick = Callable[[Case, Generator], None]
BOTH_AGREE: dict[str, Trick] = {
    "plain": _plain,
    "ideal weight": _kind("ibw"),
    "counts with (7053,1000)": _counts(True, False),
    "administration before midnight": _midnight(),
    "administration before midnight, undated": _midnight(dated=False),
}
BOTH_REFUSE: dict[str, Trick] = {
    "no weight": _set(PatientWeight=None, ours="PatientWeight", pysuv=None),
    "no dose": _set(RadionuclideTotalDose=None, ours="RadionuclideTotalDose", pysuv=None),
    "no half-life": _set(RadionuclideHalfLife=None, ours="RadionuclideHalfLife", pysuv=None),
    "weight 0": _set(PatientWeight="0", ours="PatientWeight", pysuv=None),
    "PROPCPS": _set(Units="PROPCPS", ours="Units", pysuv=None),
    "no ATTN": _set(CorrectedImage=["DECY"], ours="CorrectedImage", pysuv=None),
    "counts without a factor": _counts(False, False),
}
DISAGREE: dict[str, Trick] = {
    "GML": _set(Units="GML", SUVType="BW", ours=1.0, pysuv=None),
    "ADMIN": _mode("ADMIN"),
    "NONE": _mode("NONE"),
    "counts with (7053,1009)": _counts(False, True),
    "lean body mass": _kind("lbm"),
    "body surface area": _kind("bsa"),
    "only a date and time": _set(**{TIME: None}, pysuv=None),
    "time with colons": _set(**{DATE_AND_TIME: None, TIME: lambda case: f"{case.injected:%H:%M:%S}"}, pysuv=None),
    "no CorrectedImage": _set(CorrectedImage=None, pysuv=None),
    "several days": _midnight(days=3),
    "series made later": _late(False),
    "series made later, GE's own time": _late(True),
    "decay factors of another time": _decay_factor,
    "Philips' frame reference time": _reference(1300.0),
    "no DECY": _set(CorrectedImage=["ATTN"], ours="CorrectedImage"),
    "half-life 6500": _set(
        RadionuclideHalfLife="6500",
        ours="RadionuclideHalfLife",
        pysuv=lambda case: 1000 * case.weight_kg / (case.dose_bq * 2 ** (-case.uptake_s / 6500)),
    ),
    "dose in MBq": _set(
        RadionuclideTotalDose=lambda case: f"{case.dose_bq / 1e6:.6f}",
        ours="RadionuclideTotalDose",
        pysuv=lambda case: 1e6 * case.by_hand(),
    ),
    "weight 7000": _set(
        PatientWeight="7000", ours="PatientWeight", pysuv=lambda case: case.by_hand() * 7000 / case.weight_kg
    ),
    "injection after the scan": _after(1200),
    "injection hours after the scan": _after(7200),
    "two administrations": _set(count=2, ours="RadiopharmaceuticalInformationSequence"),
}
CLASSES = BOTH_AGREE | BOTH_REFUSE | DISAGREE


def draw_cases(count: int, seed: int) -> Iterator[tuple[str, Case]]:
    """Headers with the name of their trick; three of ten are plain."""
    random = np.random.default_rng(seed)
    names = list(CLASSES)
    for _ in range(count):
        name = "plain" if random.random() < 0.3 else str(random.choice(names))
        case = draw_case(random)
        CLASSES[name](case, random)
        yield name, case
