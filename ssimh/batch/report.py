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
from ssimh.viewer.case_folder import ViewerFolder, viewer_folder

CSV_NAME, PAGE_NAME = "report.csv", "report.html"
# name → heading, format, meaning
COLUMNS = {
    "scan": ("scan", "{}", ""),
    "unit": ("unit", "{}", ""),
    "soft_tissue_mean_abs_delta": ("mean change", "{:.1f}", "in soft tissue (within ±150 HU before), without sign"),
    "soft_tissue_p95_abs_delta": ("95 % below", "{:.1f}", "95 % of the soft tissue changed by less"),
    "out_of_range_share": ("out of range", "{:.2%}", "voxels outside of −1024 to 3071 after"),
    "high_frequency_energy_kept": ("detail kept", "{:.4f}", "energy of all but the slow cosines, 1 is all"),
    "ssim": ("SSIM", "{:.4f}", "structural similarity to before at a data range of 4095, 1 is equal"),
    "limited_voxels": ("limited", "{}", "voxels whose value the pixel type of the file could not hold"),
    "noise_gain": ("white noise", "× {:.2f}", "factor on the standard deviation of white noise"),
}
_PAGE_START = '<!doctype html><html lang="en"><meta charset="utf-8"><title>ssimh report</title>'
_VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left } thead { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f2f2f2 } img { max-width: 100% } .failed { color: #a00 }
.scroll { overflow-x: auto } h1, h2 { overflow-wrap: anywhere }
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
    noise_gain: float | None

    def cells(self, columns: Sequence[str] = tuple(COLUMNS)) -> list[str]:
        """The values of these columns as text; a dash where there is none."""
        values = {name: getattr(self, name) for name in columns}
        return ["–" if value is None else COLUMNS[name][1].format(value) for name, value in values.items()]


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
            record.noise_gain,
        )
        for name, record in sorted(manifest.scans.items())
    ]


def select_columns(rows: Sequence[ReportRow]) -> list[str]:
    """Names of :data:`COLUMNS` of which some row has a value."""
    return [name for name in COLUMNS if any(getattr(row, name) is not None for row in rows) or not rows]


def explain_columns(columns: Sequence[str]) -> str:
    """What the headings of these columns mean, in one paragraph."""
    return " ".join(f"{COLUMNS[name][0].capitalize()}: {COLUMNS[name][2]}." for name in columns if COLUMNS[name][2])


def write_report(folder: Path, manifest: Manifest, *, viewer_scans: int = 0) -> Path:
    """Write ``report.csv`` and ``report.html`` beside the figures that the page shows; returns the page.

    Args:
        folder: Output folder of the run.
        manifest: Of the run.
        viewer_scans: Scans in the viewer beside the page (``report_files``), those that changed most first.

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
    viewer = _write_viewer(page, manifest, viewer_scans)
    with atomic_write(page) as temporary:
        temporary.write_text(format_page(manifest, rows, viewer), encoding="utf-8")
    return page


def _write_viewer(page: Path, manifest: Manifest, count: int) -> ViewerFolder:
    if count == 0 and not viewer_folder(page).is_dir():
        return ViewerFolder()
    from ssimh.batch.scan_viewer import write_scan_viewer  # reads images

    return write_scan_viewer(page, manifest, count)


def _begins_with(path: Path, text: str) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(text.encode())) == text.encode()


def format_page(manifest: Manifest, rows: Sequence[ReportRow], viewer: ViewerFolder | None = None) -> str:
    """The HTML page; every text in it is escaped, every address quoted."""
    viewer = viewer or ViewerFolder()
    names = select_columns(rows)
    heading = "".join(f'<th scope="col">{escape(COLUMNS[name][0])}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.cells(names)) + "</tr>" for row in rows)
    failed = "".join(
        f'<p class="failed">{escape(name)}: {escape(message)}</p>' for name, message in sorted(manifest.failed.items())
    )
    figures = "".join(
        _format_scan(name, record.figure, viewer)
        for name, record in sorted(manifest.scans.items())
        if record.figure is not None or name in viewer.cases or name in viewer.left_out
    )
    looks = ""
    if viewer.address:
        looks = (
            f'<p><a href="{escape(viewer.address)}">Viewer</a> with {len(viewer.cases)} of the scans, those that '
            "changed most first: before, after and the change. It lies in a folder beside this page.</p>"
        )
    return f"""{_PAGE_START}{_VIEWPORT}<style>{_STYLE}</style>
<main><h1>{_TITLES.get(manifest.recipe.method, "What harmonization changed")}</h1>
<p>{escape(manifest.recipe.description)}.</p>{looks}
<div class="scroll" role="region" aria-label="Scans" tabindex="0">
<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table></div><p>{escape(explain_columns(names))}</p>{failed}{figures}</main></html>
"""


def _format_scan(name: str, figure: str | None, viewer: ViewerFolder) -> str:
    """Heading, link to the viewer and figure of a scan."""
    parts = [f"<h2>{escape(name)}</h2>"]
    if name in viewer.cases:
        parts.append(f'<p><a href="{escape(viewer.cases[name].address)}">Look at {escape(name)} in the viewer</a></p>')
    elif name in viewer.left_out:
        parts.append(f"<p>Not in the viewer: {escape(viewer.left_out[name])}.</p>")
    if figure is not None:
        source = escape(quote((Path(name).parent / figure).as_posix()))
        parts.append(f'<img alt="{escape(name)}: reference, before, after, difference" src="{source}">')
    return "".join(parts)
