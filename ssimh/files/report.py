"""Summary of a run of ``ssimh apply`` as rows and as one HTML page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from ssimh.files.atomic import atomic_write

# name → heading, format
COLUMNS = {
    "scan": ("scan", "{}"),
    "soft_tissue_mean_abs_delta": ("mean |Δ| in soft tissue, HU", "{:.1f}"),
    "soft_tissue_p95_abs_delta": ("95th percentile, HU", "{:.1f}"),
    "out_of_range_share": ("out of range", "{:.2%}"),
    "high_frequency_energy_kept": ("high-frequency energy kept", "{:.4f}"),
    "ssim": ("SSIM to before", "{:.4f}"),
    "limited_voxels": ("limited voxels", "{}"),
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left } thead { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f2f2f2 } img { max-width: 100% } .failed { color: #a00 }
"""


def rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per harmonized scan, in the order of their names."""
    result = []
    for name, entry in sorted(manifest["scans"].items()):
        values = {"scan": name, "limited_voxels": entry["limited_voxels"], **entry["scores"]}
        result.append({column: values[column] for column in COLUMNS})
    return result


def write_html(path: Path, manifest: dict[str, Any], table_rows: list[dict[str, Any]]) -> None:
    """Write the page beside the figures it shows."""
    reference = manifest["reference"]
    heading = "".join(f"<th>{escape(title)}</th>" for title, _ in COLUMNS.values())
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(form.format(row[name]))}</td>" for name, (_, form) in COLUMNS.items()) + "</tr>"
        for row in table_rows
    )
    failed = "".join(
        f'<p class="failed">{escape(name)}: {escape(message)}</p>' for name, message in manifest["failed"].items()
    )
    figures = "".join(
        f'<h2>{escape(name)}</h2><img alt="reference, before, after, difference" '
        f'src="{escape((Path(name).parent / entry["figure"]).as_posix())}">'
        for name, entry in sorted(manifest["scans"].items())
        if entry["figure"] is not None
    )
    what = (
        f"Alignment to a site of {reference['n_subjects']} scan(s): {escape(reference['difference'])}."
        if "difference" in reference
        else f"Reference of {reference['n_subjects']} scan(s) on a grid of {escape(str(reference['shape']))}, "
        f"threshold {reference['threshold']}, axes {escape(str(reference['axes']))}, "
        f"region {escape(reference['region'])}."
    )
    title = "What alignment changed" if "difference" in reference else "What spectrum swapping changed"
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>ssimh report</title><style>{_STYLE}</style>
<h1>{title}</h1>
<p>{what}
Soft tissue is what lies within ±150 HU before; SSIM is taken at a data range of 4095 HU.</p>
<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>{failed}{figures}</html>
"""
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
