"""The page ``check.html``: findings and pictures of every case, self-contained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hnseg.cohort.checked_cohort import SEVERITIES, CohortCheck, Finding, Overview, worst
from hnseg.images.geometry import Grid
from hnseg.pictures.html import environment
from hnseg.pictures.planes import CT, PET, View
from hnseg.provenance import versions
from hnseg.workdir import write_text
from ssimh.viewer.case_folder import ViewerFolder


def write_check_page(
    check: CohortCheck, views: Mapping[str, Sequence[View]], root: Path, path: Path, viewer: ViewerFolder | None = None
) -> None:
    """Write the page, whole or not at all.

    Args:
        check: Result of the check.
        views: Pictures by case ID.
        root: The data root, named on the page.
        path: File to write.
        viewer: Beside the page.
    """
    of_case: dict[str, list[Finding]] = {overview.id: [] for overview in check.overviews}
    general = [finding for finding in check.findings if finding.case_id not in of_case]
    for finding in check.findings:
        if finding.case_id in of_case:
            of_case[finding.case_id].append(finding)
    cases = [_case_row(overview, of_case[overview.id], views.get(overview.id, ())) for overview in check.overviews]
    order: list[str] = [*SEVERITIES, "none"]
    cases.sort(key=lambda case: (order.index(case.worst), case.id))
    html = (
        environment()
        .get_template("check.html.j2")
        .render(
            root=str(root),
            cases=cases,
            general=general,
            counts={name: sum(case.worst == name for case in cases) for name in order},
            usable=sum(case.usable for case in cases),
            viewer=viewer or ViewerFolder(),
            windows={"ct": CT.window, "pet": PET.window},
            versions=versions(),
        )
    )
    write_text(path, html)


@dataclass(frozen=True)
class _CaseRow:
    """A case on the page; ``head``: whether the head was found, None without a crop box."""

    id: str
    center: str
    usable: bool
    worst: str
    findings: Sequence[Finding]
    ct: str
    pet: str
    pet_unit: str | None
    gtvp_ml: float | None
    gtvn_ml: float | None
    reason: str
    head: bool | None
    in_view: float | None
    views: Sequence[View]


def _case_row(overview: Overview, findings: Sequence[Finding], views: Sequence[View]) -> _CaseRow:
    crop = overview.crop or {}
    return _CaseRow(
        id=overview.id,
        center=overview.center,
        usable=overview.usable,
        worst=worst(findings) or "none",
        findings=sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)),
        ct=grid_text(overview.ct_grid),
        pet=grid_text(overview.pet_grid),
        pet_unit=overview.pet_unit,
        gtvp_ml=overview.gtvp_ml,
        gtvn_ml=overview.gtvn_ml,
        reason=crop.get("reason", ""),
        head=None if not crop else not crop["fallback"],
        in_view=crop.get("in_view"),
        views=views,
    )


def grid_text(grid: Grid | None) -> str:
    """Voxels and spacing in mm of a grid, short enough for a line of the table.

    >>> grid_text(Grid((512, 512, 90), (0.977, 0.977, 3.27), (0, 0, 0)))
    '512×512×90 · 0.98×0.98×3.27'
    """
    if grid is None:
        return "–"
    spacing = "×".join(f"{length:.2f}".rstrip("0").rstrip(".") for length in grid.spacing_mm)
    return f"{'×'.join(str(n) for n in grid.size)} · {spacing}"
