"""``ssimh benchmark``: what tells sites apart, before and after alignment, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssimh.cli.apply import Jobs
from ssimh.cli.console import handle_errors, print_error, print_line, progress_bar
from ssimh.cli.fit import SiteModality
from ssimh.site_benchmark.features import TITLES
from ssimh.site_benchmark.run_benchmark import PAGE_NAME, run_benchmark


def benchmark(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder of scans (patients or a phantom) per site.")],
    out: Annotated[Path, typer.Option(help="Folder to write: benchmark.html, benchmark.json, what was measured.")],
    modality: Annotated[
        SiteModality, typer.Option(help="CT in HU: field and grain. PT in SUV: the resolution.")
    ] = SiteModality.CT,
    jobs: Jobs = 1,
) -> None:
    """Compare sites before and after alignment, each scan aligned without itself. Exit status 1 if a scan failed.

    A second run measures only what is missing or has changed.
    """
    with handle_errors():
        with progress_bar() as progress:
            bar = progress.add_task("measuring", total=None)

            def show(done: int, total: int, what: str) -> None:
                progress.update(bar, completed=done, total=total, description=what)

            result = run_benchmark(folder, out, modality=modality.value, jobs=jobs, progress=show)
        for part in result.parts:
            before, after = part.before.accuracy, part.after.accuracy
            if before is not None and after is not None:
                print_line(
                    f"{TITLES[part.part]}: nearest site right in {before:.0%} of scans before, {after:.0%} after "
                    f"(shuffled names: {part.before.chance:.0%})"
                )
        for note in result.notes:
            print_line(f"note: {note}")
        for key, message in sorted(result.failed.items()):
            print_error("failed", f"{key}: {message}")
        print_line(str(out / PAGE_NAME))
    if result.failed:
        raise typer.Exit(1)
