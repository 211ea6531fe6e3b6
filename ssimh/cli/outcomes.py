"""What became of each scan of a run, on the console, for all commands that harmonize."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import typer

from ssimh.batch.harmonize_folder import ScanOutcome, State
from ssimh.batch.manifest import MANIFEST
from ssimh.cli.console import print_error, print_line, progress_bar


def show_outcomes(outcomes: Iterable[ScanOutcome], total: int, out: Path) -> None:
    """Progress, every failure, and a last line that counts.

    Args:
        outcomes: of a run, as they come.
        total: number of scans.
        out: output folder, which holds the manifest.

    Raises:
        typer.Exit: status 1 if a scan failed.
    """
    counts: Counter[State] = Counter()
    with progress_bar() as progress:
        bar = progress.add_task("harmonizing", total=total)
        for outcome in outcomes:
            counts[outcome.state] += 1
            if outcome.state is State.FAILED:
                print_error("failed", f"{outcome.target}: {outcome.message}")
            elif outcome.message:
                print_error("no figure", f"{outcome.target}: {outcome.message}")
            progress.advance(bar)
    print_line(
        f"{counts[State.DONE]} harmonized, {counts[State.KEPT]} kept from an earlier run, {counts[State.FAILED]} failed"
        f"; see {out / MANIFEST}"
    )
    if counts[State.FAILED]:
        raise typer.Exit(1)
