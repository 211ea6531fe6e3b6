"""Table of a checked cohort for the terminal: one row per case."""

from __future__ import annotations

from collections import Counter

from rich.table import Table
from rich.text import Text

from hnseg.cohort.checked_cohort import SEVERITIES, CohortCheck
from hnseg.images.geometry import Grid

SHORT = {"error": "err", "warning": "warn", "info": "info"}
COLORS = {"error": "red", "warning": "yellow", "info": "cyan"}


def cohort_table(check: CohortCheck) -> Table:
    """Table with voxel sizes, lesions, field of view and the number of findings of every case."""
    table = Table(title=f"{len(check.cases)} of {len(check.overviews)} cases can be used", title_justify="left")
    for name in ("case", "CT mm", "PET mm", "GTVp ml", "GTVn ml", "head", "in view", *SHORT.values()):
        table.add_column(name, justify="left" if name in ("case", "head") else "right", no_wrap=name == "case")
    counts = Counter((finding.case_id, finding.severity) for finding in check.findings)
    for row in check.overviews:
        crop = row.crop or {}
        head = "–" if not crop else "no" if crop["fallback"] else "yes"
        cells = [
            *(_spacing(grid) for grid in (row.ct_grid, row.pet_grid)),
            *("–" if ml is None else f"{ml:.1f}" for ml in (row.gtvp_ml, row.gtvn_ml)),
            head,
            f"{crop['in_view']:.0%}" if crop else "–",
        ]
        marks = [Text(str(counts[row.id, severity] or ""), style=COLORS[severity]) for severity in SEVERITIES]
        table.add_row(Text(row.id, style="" if row.usable else "red"), *map(Text, cells), *marks)
    return table


def _spacing(grid: Grid | None) -> str:
    if grid is None:
        return "–"
    x, y, z = grid.spacing_mm
    return f"{x:.2g}×{z:.2g}" if abs(x - y) < 0.005 else f"{x:.2g}×{y:.2g}×{z:.2g}"
