"""``hnseg view``: a page in which scans and masks are looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hnseg.cli.app import app, handle_errors, print_line

MASK = "Mask: 1 GTVp, 2 GTVn. The truth where --prediction is given."


@app.command()
def view(
    ct: Annotated[Path, typer.Argument(help="A CT in HU; the planes run along its axes.")],
    pet: Annotated[Path, typer.Argument(help="Its PET in SUV.")],
    mask: Annotated[Path | None, typer.Argument(help=MASK)] = None,
    target: Annotated[Path, typer.Option("--out", help="Page to write, *.html.")] = Path("view.html"),
    prediction: Annotated[
        Path | None, typer.Option(help="A second mask; the lesions are then found, missed or false.")
    ] = None,
    disagreement: Annotated[
        Path | None, typer.Option(help="Map of `predict --disagreement`, laid over the CT on request.")
    ] = None,
) -> None:
    """Write one page that shows a CT, a PET and masks in a browser, without a server or a network."""
    from hnseg.report.view_page import write_view

    with handle_errors():
        page = write_view(ct, pet, mask, target, prediction=prediction, disagreement=disagreement)
        print_line(f"view: {page}")
