"""The two consoles, errors as one line, and a progress bar over scans, for all commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from ssimh.files.lock import LockedError
from ssimh.files.output_guard import check_output
from ssimh.reference import ReferenceFileError

stdout, stderr = Console(), Console(stderr=True)

Scans = Annotated[list[Path], typer.Argument(help="Scans, DICOM folders, or folders of scans.")]


@contextmanager
def handle_errors() -> Iterator[None]:
    """One line instead of a traceback for what a user can correct.

    Raises:
        typer.Exit: status 1, after the line was printed.
    """
    try:
        yield
    except (ValueError, OSError, LockedError, ImportError) as error:
        print_error("error", str(error))
        raise typer.Exit(1) from error


def print_line(text: str) -> None:
    """One line on standard output, as it is: brackets of a file name are no markup."""
    stdout.print(escape(text), highlight=False, soft_wrap=True)


def print_error(label: str, text: str) -> None:
    """One line on standard error after a red label."""
    stderr.print(f"[bold red]{label}:[/] {escape(text)}", highlight=False, soft_wrap=True)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error that leaves nothing behind."""
    with Progress(console=stderr, transient=True) as progress:
        yield progress


def check_fitted_output(out: Path, inputs: Sequence[Path], load: Callable[[Path], object]) -> None:
    """Refuse the output of ``fit`` and ``fit-site`` before any work is done.

    Args:
        out: file to write.
        inputs: scans that are read.
        load: reads a file of this kind; an existing one may be replaced.

    Raises:
        OutputError: no ``.npz``, an input, or an existing file that this command did not write.
        FileNotFoundError: the folder of ``out`` does not exist.
    """

    def is_ours(path: Path) -> bool:
        try:
            load(path)
        except (ReferenceFileError, OSError):
            return False
        return True

    check_output(out, inputs=inputs, suffixes=(".npz",), is_ours=is_ours)
    if not out.parent.is_dir():
        raise FileNotFoundError(f"cannot write {out}: the folder {out.parent} does not exist.")
