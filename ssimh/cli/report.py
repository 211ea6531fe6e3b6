"""``ssimh report``: what a run changed, as a table and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ssimh.batch.manifest import read_manifest
from ssimh.batch.report import COLUMNS, explain_columns, make_report_rows, select_columns, write_report
from ssimh.cli.console import handle_errors, print_error, print_line, stdout
from ssimh.viewer.case_folder import DEFAULT_CASES


def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of `ssimh apply`, `ssimh align` or `ssimh nnunet`.")],
    viewer: Annotated[
        int, typer.Option(min=0, help="Scans in the viewer, those that changed most first; each ≤ 5 MB.")
    ] = DEFAULT_CASES,
) -> None:
    """Summarize a run: a table here, report.csv and report.html in the folder."""
    with handle_errors():
        manifest = read_manifest(folder)
        page = write_report(folder, manifest, viewer_scans=viewer)
        rows = make_report_rows(manifest)
        table = Table(title=escape(f"{len(rows)} scan(s), {manifest.recipe.description}"))
        columns = select_columns(rows)
        for name in columns:
            table.add_column(COLUMNS[name][0], justify="left" if name == "scan" else "right")
        for row in rows:
            table.add_row(*map(escape, row.cells(columns)))
        stdout.print(table)
        print_line(explain_columns(columns))
        for name, message in sorted(manifest.failed.items()):
            print_error("failed", f"{name}: {message}")
        print_line(str(page))
