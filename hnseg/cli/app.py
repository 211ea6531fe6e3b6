"""The application, its consoles, common options, and how an error reaches the user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from hnseg.errors import HnsegError, OptionError
from ssimh.cli.version import Version
from ssimh.files.lock import LockedError
from ssimh.files.output_guard import OutputError

app = typer.Typer(
    name="hnseg",
    help="Head-and-neck tumor and lymph-node segmentation in FDG-PET/CT. Run the commands in this order: "
    "init, check, split, prepare, train, tune, predict, evaluate, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
WIDTH_IN_FILES = 200  # columns of a table that goes to a file or another program; a terminal has its own


def _make_console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    is_free = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(stderr=stderr, width=WIDTH_IN_FILES if is_free else None)


out = _make_console()
err = _make_console(stderr=True)

Work = Annotated[Path, typer.Argument(help="Work directory of the run.")]
Root = Annotated[Path, typer.Argument(help="Folder in HECKTOR 2025 or nnU-Net layout, or a CSV file of paths.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
Shard = Annotated[str, typer.Option(help="Share of the cases: 2/8 is the second of eight.")]
Dask = Annotated[str | None, typer.Option(help="Address of a Dask scheduler: run on its workers.")]
Viewer = Annotated[
    int,
    typer.Option("--viewer", min=0, help="Cases in the viewer beside the page, the worst first; each ≤ 5 MB."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:<n> or mps.")]


@app.callback()
def _common(version: Version = False) -> None:
    """Options of the command as a whole."""


def print_line(text: str, console: Console = out) -> None:
    """Print a text as it is, in one line."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Print a message on standard error."""
    err.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)


def refuse_options(context: typer.Context, names: Iterable[str], reason: str) -> None:
    """Refuse options that would change nothing.

    Args:
        context: Of the command.
        names: Parameters of the command's function.
        reason: When they apply.

    Raises:
        OptionError: One of them was given on the command line.
    """
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [flags[name] for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
    if given:
        raise OptionError(f"{', '.join(given)}: {reason}")


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn an error that a user can correct into one message and exit status 1 (2: options that do not fit).

    A defect keeps its traceback.
    """
    try:
        yield
    except OptionError as error:
        print_error(str(error))
        raise typer.Exit(2) from error
    except (HnsegError, LockedError, OutputError) as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    except OSError as error:  # disk full, no permission: the system's message, with the file
        print_error(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        raise typer.Exit(1) from error
