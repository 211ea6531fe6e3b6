"""The option ``--version`` of the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from ssimh._version import __version__


def _print_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]
