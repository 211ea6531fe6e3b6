"""Result of check: the usable cases of a run, and the findings about all of them.

Kept in ``check.json``, which every later stage reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from hnseg.cohort.cases import Case
from hnseg.images.geometry import Grid
from hnseg.settings.effects import READ_BY
from hnseg.settings.prepare import PrepareConfig
from hnseg.workdir import read_record, write_json

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # worst first
COHORT = "cohort"  # stands for the case ID of what concerns all of them


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a case.

    ``severity`` is ``error`` (the case is left out), ``warning`` (it is used; look at it) or ``info`` (it is used, and
    handled as the message says); ``path`` names the file at fault.
    """

    case_id: str
    severity: Severity
    code: str
    message: str
    path: str | None = None

    def __str__(self) -> str:
        where = f" [{self.path}]" if self.path else ""
        return f"{self.case_id}: {self.message}{where}"


@dataclass(frozen=True)
class CheckedCase:
    """A usable case, as later stages need it.

    Attributes:
        id, center: The case and where it comes from.
        ct, pet, label: Paths; ``label`` is None where there is none.
        gtvp_ml, gtvn_ml: Volume of the lesions; None without a label.
        head_found: Whether the crop box was placed by the head.
        in_view: Share of the crop box's height that the images cover.
        pet_unit ({"SUV", "Bq/ml"}): Of the PET's file.
        suv_factor: SUV per Bq/ml that the cohort's table names; used where the file is in Bq/ml.
    """

    id: str
    center: str
    ct: str
    pet: str
    label: str | None
    gtvp_ml: float | None
    gtvn_ml: float | None
    head_found: bool
    in_view: float
    pet_unit: Literal["SUV", "Bq/ml"] = "SUV"
    suv_factor: float | None = None

    def as_case(self) -> Case:
        """The case's files."""
        label = Path(self.label) if self.label else None
        return Case(self.id, Path(self.ct), Path(self.pet), label, self.center, self.suv_factor)


@dataclass(frozen=True)
class Overview:
    """What is known of a case, usable or not; None for what could not be read.

    Attributes:
        id, center: The case and where it comes from.
        usable: Whether no finding is an error.
        ct_grid, pet_grid: Where the images lie.
        pet_unit: Unit of the PET's file.
        gtvp_ml, gtvn_ml: Volume of the lesions; None without a label that can be read.
        crop: :meth:`hnseg.preprocessing.crop.find_box.Crop.as_dict`.
    """

    id: str
    center: str
    usable: bool
    ct_grid: Grid | None
    pet_grid: Grid | None
    pet_unit: str | None
    gtvp_ml: float | None
    gtvn_ml: float | None
    crop: dict[str, Any] | None


@dataclass(frozen=True)
class CohortCheck:
    """What check found.

    Attributes:
        cases: Those that can be used.
        findings: Everything worth knowing.
        overviews: Of every case.
        settings: What it was checked with, as :func:`read_settings` gives it; empty where that is not known.
    """

    cases: tuple[CheckedCase, ...]
    findings: tuple[Finding, ...]
    overviews: tuple[Overview, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that cost a case."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def unusable(self) -> tuple[str, ...]:
        """The cases that prepare will leave out."""
        return tuple(overview.id for overview in self.overviews if not overview.usable)

    def find_changes(self, config: PrepareConfig) -> tuple[str, ...]:
        """Settings that differ now from those it was checked with, as ``prepare.crop is head, was center``."""
        now = read_settings(config)
        return tuple(f"{name} is {now[name]}, was {old}" for name, old in self.settings.items() if now[name] != old)


def read_settings(config: PrepareConfig) -> dict[str, Any]:
    """The settings that check reads, by dotted name, as JSON holds them.

    >>> list(read_settings(PrepareConfig()))
    ['prepare.spacing_mm', 'prepare.box_mm', 'prepare.crop', 'prepare.registration', 'prepare.pet_resolution']
    """
    values = config.model_dump(mode="json")
    names = [name for name, stages in READ_BY.items() if "check" in stages]
    return {name: values[name.removeprefix("prepare.")] for name in names}


def worst(findings: Sequence[Finding]) -> Severity | None:
    """The worst severity among findings; None where there are none."""
    return min((finding.severity for finding in findings), key=SEVERITIES.index, default=None)


def save_check(check: CohortCheck, work: Path) -> None:
    """Write ``check.json``."""
    write_json(work / "check.json", asdict(check))


def load_check(work: Path) -> CohortCheck:
    """Read ``check.json`` back.

    Raises:
        WorkDirError: It is missing, damaged or of another shape.
    """
    return read_record(work / "check.json", CohortCheck, "check")
