"""What check found: the cases of a run that can be used, and everything worth knowing about the others.

Kept in ``check.json``, which every later stage reads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from hnseg.cases import Case
from hnseg.workdir import read_json, write_json

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a case.

    ``severity`` is ``error`` (the case is left out) or ``warning`` (it is used); ``path`` names the file at fault.
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

    Attributes
    ----------
    id, centre : str
    ct, pet, label : str
        Paths; ``label`` is None where there is none.
    gtvp_ml, gtvn_ml : float or None
        Lesions; None without a label.
    head_found : bool
    in_view : float
        Share of the crop box's height that the images cover.
    pet_unit : {"SUV", "Bq/ml"}
        Of the PET's file.
    suv_factor : float or None
        SUV per Bq/ml that the cohort's table names; used where the file is in Bq/ml.
    """

    id: str
    centre: str
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
        return Case(self.id, Path(self.ct), Path(self.pet), label, self.centre, self.suv_factor)


@dataclass(frozen=True)
class CohortCheck:
    """What check found: the cases that can be used, and everything worth knowing."""

    cases: tuple[CheckedCase, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that cost a case."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def save_check(check: CohortCheck, work: Path) -> None:
    """Write ``check.json``."""
    content = {"cases": [asdict(c) for c in check.cases], "findings": [asdict(f) for f in check.findings]}
    write_json(work / "check.json", content)


def load_check(work: Path) -> CohortCheck:
    """Read ``check.json`` back."""
    content = read_json(work / "check.json", "check")
    cases = tuple(CheckedCase(**c) for c in content["cases"])
    return CohortCheck(cases, tuple(Finding(**f) for f in content["findings"]))
