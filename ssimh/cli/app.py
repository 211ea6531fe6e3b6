"""The ``ssimh`` command: its subcommands by name."""

from __future__ import annotations

import typer

from ssimh.cli.apply import align, apply
from ssimh.cli.benchmark import benchmark
from ssimh.cli.fit import fit, fit_site
from ssimh.cli.nnunet import nnunet
from ssimh.cli.report import report
from ssimh.cli.version import Version

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Harmonize CT scans by swapping their low-frequency spectrum with that of a reference (SSIMH), or by "
    "aligning what two sites differ in.",
)


@app.callback()
def _common(version: Version = False) -> None:
    """Options of the command as a whole."""


app.command("fit")(fit)
app.command("fit-site")(fit_site)
app.command("apply")(apply)
app.command("align")(align)
app.command("benchmark")(benchmark)
app.command("nnunet")(nnunet)
app.command("report")(report)
