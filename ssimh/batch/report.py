"""Summary of an output folder as rows, as CSV and as one HTML page."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from ssimh.batch.manifest import Manifest
from ssimh.files.atomic import atomic_write
from ssimh.files.output_guard import check_output

CSV_NAME, PAGE_NAME = "report.csv", "report.html"
# name → heading, format
COLUMNS = {
    "scan": ("scan", "{}"),
    "unit": ("unit", "{}"),
    "soft_tissue_mean_abs_delta": ("mean |Δ| in soft tissue", "{:.1f}"),
    "soft_tissue_p95_abs_delta": ("95th percentile", "{:.1f}"),
    "out_of_range_share": ("out of range", "{:.2%}"),
    "high_frequency_energy_kept": ("high-frequency energy kept", "{:.4f}"),
    "ssim": ("SSIM to before", "{:.4f}"),
    "limited_voxels": ("limited voxels", "{}"),
}
_PAGE_START = '<!doctype html><html lang="en"><meta charset="utf-8"><title>ssimh report</title>'
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left } thead { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f2f2f2 } img { max-width: 100% } .failed { color: #a00 }
"""
_TITLES = {"swap": "What spectrum swapping changed", "align": "What alignment changed"}


@dataclass(frozen=True)
class ReportRow:
    """What one harmonized scan shows in the table; the changes are in ``unit``."""

    scan: str
    unit: str
    soft_tissue_mean_abs_delta: float
    soft_tissue_p95_abs_delta: float
    out_of_range_share: float
    high_frequency_energy_kept: float
    ssim: float
    limited_voxels: int

    def cells(self) -> list[str]:
        """The values as text, in the order of :data:`COLUMNS`."""
        return [form.format(getattr(self, name)) for name, (_, form) in COLUMNS.items()]


def make_report_rows(manifest: Manifest) -> list[ReportRow]:
    """One row per harmonized scan, in the order of their names."""
    return [
        ReportRow(
            name,
            record.unit or "not stated",
            record.scores.soft_tissue_mean_abs_delta,
            record.scores.soft_tissue_p95_abs_delta,
            record.scores.out_of_range_share,
            record.scores.high_frequency_energy_kept,
            record.scores.ssim,
            record.limited_voxels,
        )
        for name, record in sorted(manifest.scans.items())
    ]


def write_report(folder: Path, manifest: Manifest) -> Path:
    """Write ``report.csv`` and ``report.html`` beside the figures that the page shows; returns the page.

    Raises:
        OutputError: a file of one of these names that is no report of ours.
    """
    page, table = folder / PAGE_NAME, folder / CSV_NAME
    check_output(page, is_ours=lambda path: _begins_with(path, _PAGE_START))
    check_output(table, is_ours=lambda path: _begins_with(path, ",".join(COLUMNS)))
    rows = make_report_rows(manifest)
    with atomic_write(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(COLUMNS))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    with atomic_write(page) as temporary:
        temporary.write_text(format_page(manifest, rows), encoding="utf-8")
    return page


def _begins_with(path: Path, text: str) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(text.encode())) == text.encode()


def format_page(manifest: Manifest, rows: Sequence[ReportRow]) -> str:
    """The HTML page; every text in it is escaped, every address quoted."""
    heading = "".join(f"<th>{escape(title)}</th>" for title, _ in COLUMNS.values())
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.cells()) + "</tr>" for row in rows)
    failed = "".join(
        f'<p class="failed">{escape(name)}: {escape(message)}</p>' for name, message in sorted(manifest.failed.items())
    )
    figures = "".join(
        f'<h2>{escape(name)}</h2><img alt="reference, before, after, difference" '
        f'src="{escape(quote((Path(name).parent / record.figure).as_posix()))}">'
        for name, record in sorted(manifest.scans.items())
        if record.figure is not None
    )
    return f"""{_PAGE_START}<style>{_STYLE}</style>
<h1>{_TITLES.get(manifest.recipe.method, "What harmonization changed")}</h1>
<p>{escape(manifest.recipe.description)}.
Soft tissue is what lies within ±150 HU before; SSIM is taken at a data range of 4095 HU.</p>
<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>{failed}{figures}</html>
"""
