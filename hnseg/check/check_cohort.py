"""Check a cohort before any work is put into it: files, geometry, units, labels, and whether a head is in view."""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import ssimh
from hnseg.check.case_viewer import write_check_viewer
from hnseg.check.check_case import CaseCheck, check_case
from hnseg.check.page import write_check_page
from hnseg.cohort.cases import Case, cohort_suv_factors, discover_cases
from hnseg.cohort.checked_cohort import COHORT, CohortCheck, Finding, Severity, read_settings, save_check
from hnseg.cohort.suv_table import TAGS_NAME
from hnseg.errors import CohortError, listed
from hnseg.parallel import map_processes
from hnseg.preprocessing.image_versions import FINAL
from hnseg.preprocessing.pet_resolution import MatchResolution
from hnseg.progress import ProgressCallback, no_progress
from hnseg.settings.prepare import PrepareConfig

MOST_LINES = 20  # of an error message


def check_cohort(
    root: Path,
    config: PrepareConfig,
    *,
    work: Path | None = None,
    jobs: int = 1,
    viewer_cases: int = 0,
    progress: ProgressCallback = no_progress,
) -> CohortCheck:
    """Check every case of a cohort; with ``work``, write ``check.json`` and ``check.html`` there.

    Args:
        root: See :func:`hnseg.cohort.cases.discover_cases`.
        config: The crop that prepare will use.
        work: Without it nothing is written and no picture drawn.
        jobs: Processes.
        viewer_cases: Cases in the viewer beside the page (``check_files``), those with the worst findings first.
        progress: Called after each case, and again after each case of the viewer.

    Raises:
        CohortError: The root cannot be used (nothing is written), or no case of it can (what was found is written).
    """
    cases = discover_cases(root)
    shown = 0 if work is None else min(viewer_cases, len(cases))
    results = map_processes(functools.partial(check_case, config=config, pictures=work is not None), cases, jobs)
    checks: list[CaseCheck] = []
    for case, result in zip(cases, results, strict=True):
        checks.append(result)
        progress(len(checks), len(cases) + shown, case.id)
    found = CohortCheck(
        tuple(check.checked for check in checks if check.checked is not None),
        (
            *check_together(cases, checks),
            *check_factors(root, cases),
            *check_resolution(checks),
            *(finding for check in checks for finding in check.findings),
        ),
        tuple(check.overview for check in checks),
        read_settings(config),
    )
    if work is not None:
        html = work / "check.html"
        viewer = write_check_viewer(
            html, cases, checks, config, shown, jobs=jobs, progress=_later(progress, len(cases))
        )
        write_check_page(found, {check.overview.id: check.views for check in checks}, root, html, viewer)
        if found.cases or not (work / "check.json").is_file():  # a run outlives data that are away for a while
            save_check(found, work)
    if not found.cases:
        lines = [f"  {finding}" for finding in found.errors]
        more = [f"  … and {len(lines) - MOST_LINES} more errors"] if len(lines) > MOST_LINES else []
        page = [f"  see {work / 'check.html'}"] if work is not None else []
        raise CohortError("\n".join([f"no case below {root} can be used:", *lines[:MOST_LINES], *more, *page]))
    return found


def _later(progress: ProgressCallback, before: int) -> ProgressCallback:
    """Progress of steps that come after ``before`` other ones."""

    def report(done: int, total: int, what: str) -> None:
        progress(before + done, before + total, f"{what} in the viewer")

    return report


def check_together(cases: Sequence[Case], checks: Sequence[CaseCheck]) -> list[Finding]:
    """Findings about the whole cohort: no PET in any case, and the same scan under two IDs."""
    findings = []
    if len(cases) > 1 and not any(case.pet is not None and case.pet.is_file() for case in cases):
        message = f"no PET in any of the {len(cases)} cases: this is a cohort of CT alone, and hnseg needs both"
        findings.append(Finding(COHORT, "error", "no-pet", message))
    same: dict[str, list[str]] = defaultdict(list)
    for check in checks:
        if check.ct_digest is not None:
            same[check.ct_digest].append(check.overview.id)
    for ids in same.values():
        if len(ids) > 1:
            message = f"{', '.join(ids)} hold the same CT: in two folds they would leak into each other"
            findings.append(Finding(COHORT, "warning", "same-ct", message))
    return findings


def check_resolution(checks: Sequence[CaseCheck]) -> list[Finding]:
    """Findings about the resolution of the PET of each center, where the run aligns it; all cases count here."""
    rows: dict[str, list[ssimh.SiteSpectrum]] = defaultdict(list)
    for check in checks:
        if check.pet_row is not None:
            rows[check.overview.center].append(check.pet_row)
    sites = {center: functools.reduce(operator.add, rows[center]) for center in sorted(rows)}
    lines = MatchResolution({FINAL: sites}).describe(FINAL)
    return [Finding(COHORT, "info", "pet-resolution", line) for line in lines]


def check_factors(root: Path, cases: Sequence[Case]) -> list[Finding]:
    """Findings about rows of the table of SUV factors that match no case."""
    factors = cohort_suv_factors(root)
    known = {case.id for case in cases}
    strange = sorted(factors.keys() - known)
    if not strange:
        return []
    message = f"{len(strange)} of {len(factors)} rows in {TAGS_NAME} belong to no case here: {listed(strange)}"
    severity: Severity = "info" if factors.keys() & known else "warning"
    return [Finding(COHORT, severity, "factor-without-case", message)]
