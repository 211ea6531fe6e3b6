"""Check a cohort before any work is put into it: files, geometry, units, labels, and whether a head is in view."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np

from hnseg.cases import Case, discover_cases
from hnseg.cohort import CheckedCase, CohortCheck, Finding, save_check
from hnseg.config import PrepareConfig
from hnseg.crop import find_crop
from hnseg.errors import CaseError, CohortError
from hnseg.geometry import Grid
from hnseg.images import read_grid, read_image
from hnseg.progress import Report, silent
from hnseg.resample import overlap_mm
from hnseg.suv import read_suv
from hnseg.units import check_ct_units

LABELS = {0: "background", 1: "GTVp", 2: "GTVn"}


def check_cohort(
    root: Path,
    config: PrepareConfig,
    *,
    work: Path | None = None,
    jobs: int = 1,
    progress: Report = silent,
) -> CohortCheck:
    """Check every case below ``root``; with ``work``, write ``check.json`` there.

    Parameters
    ----------
    root : Path
        HECKTOR 2025 layout, see :func:`hnseg.cases.discover_cases`.
    config : PrepareConfig
        The crop that prepare will use.
    jobs : int
        Processes.
    progress : Report
        Called after each case.

    Raises
    ------
    CohortError
        The root cannot be used, or no case of it can.
    """
    cases = discover_cases(root)
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
    checked: list[CheckedCase] = []
    findings: list[Finding] = []
    results = parallel(joblib.delayed(_check)(case, config) for case in cases)
    for done, (case, (usable, found)) in enumerate(zip(cases, results, strict=True), start=1):
        findings += found
        if usable is not None:
            checked.append(usable)
        progress(done, len(cases), case.id)
    result = CohortCheck(tuple(checked), tuple(findings))
    if not checked:
        raise CohortError(f"no case below {root} can be used:\n" + "\n".join(f"  {f}" for f in result.errors))
    if work is not None:
        save_check(result, work)
    return result


def _check(case: Case, config: PrepareConfig) -> tuple[CheckedCase | None, list[Finding]]:
    """Check one case; a :class:`CaseError` becomes an error finding."""
    findings: list[Finding] = []
    try:
        return _check_files(case, config, findings), findings
    except CaseError as error:
        path = str(error.path) if error.path else None
        findings.append(Finding(case.id, "error", "unusable", error.reason, path))
        return None, findings


def _check_files(case: Case, config: PrepareConfig, findings: list[Finding]) -> CheckedCase:
    def warn(code: str, message: str, path: Path | None = None) -> None:
        findings.append(Finding(case.id, "warning", code, message, str(path) if path else None))

    if case.pet is None:
        raise CaseError(case.id, "the case has no PET: the cohort names none")
    ct_grid, pet_grid = read_grid(case.ct, case.id), read_grid(case.pet, case.id)
    if overlap_mm(ct_grid, pet_grid) is None:
        raise CaseError(case.id, "CT and PET do not overlap in physical space", case.pet)
    ct, _ = read_image(case.ct, case.id)
    check_ct_units(case, ct)
    measured = read_suv(case)
    pet = measured.suv
    for name, grid, path in (("CT", ct_grid, case.ct), ("PET", pet_grid, case.pet)):
        if np.abs(grid.matrix - np.eye(3)).max() > 1e-3:
            kind = "flipped or permuted" if _along_axes(grid) else "oblique"
            warn("direction", f"{name} axes are {kind} (handled): direction {grid.direction}", path)
    volumes: dict[int, float] | None = None
    if case.label is None:
        warn("no-label", "no label file: the case can be predicted, not trained on or scored")
    else:
        volumes = _label_volumes(case, case.label, ct_grid)
        if not any(volumes.values()):
            warn("empty-label", "the label holds neither GTVp nor GTVn", case.label)
    crop = find_crop(
        ct, ct_grid, pet, pet_grid, box_vox=config.box_vox, spacing_mm=config.spacing_mm, method=config.crop
    )
    if crop.fallback:
        warn("no-head", crop.reason)
    return CheckedCase(
        case.id,
        case.centre,
        str(case.ct),
        str(case.pet),
        str(case.label) if case.label else None,
        volumes[1] if volumes else None,
        volumes[2] if volumes else None,
        not crop.fallback,
        crop.in_view,
        measured.stored,
        case.suv_factor,
    )


def _along_axes(grid: Grid) -> bool:
    return bool(np.abs(np.abs(grid.matrix).max(axis=0) - 1).max() < 1e-3)


def _label_volumes(case: Case, path: Path, ct_grid: Grid) -> dict[int, float]:
    label, grid = read_image(path, case.id, dtype=np.float64)
    if not grid.matches(ct_grid, tolerance_mm=0.01):
        raise CaseError(
            case.id,
            f"the label is not on the CT grid: size {grid.size}, spacing {grid.spacing_mm} mm, "
            f"origin {grid.origin_mm} mm against {ct_grid.size}, {ct_grid.spacing_mm} mm, {ct_grid.origin_mm} mm",
            path,
        )
    values, counts = np.unique(label, return_counts=True)
    foreign = [float(value) for value in values if value not in LABELS]
    if foreign:
        allowed = ", ".join(f"{value} {name}" for value, name in LABELS.items())
        shown = ", ".join(f"{value:g}" for value in foreign[:5])
        raise CaseError(case.id, f"label value {shown} found; allowed are {allowed}", path)
    present = dict(zip((int(value) for value in values), counts, strict=True))
    return {value: float(present.get(value, 0)) * grid.voxel_ml for value in (1, 2)}
