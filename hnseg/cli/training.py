"""Commands of training: plan, train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hnseg.cli.app import Device, Work, app, err, handle_errors, out, print_line, refuse_options
from hnseg.cli.set_option import Assignments, set_settings
from hnseg.outputs import check_output_file, is_json_with
from hnseg.progress import show_progress
from hnseg.workdir import write_json

PLAN_KEYS = ("cohort", "device", "free_gb", "options", "wanted")  # of Plan.as_dict


@app.command()
def train(
    context: typer.Context,
    work: Work,
    fold: Annotated[int | None, typer.Option(help="One fold; without it all of them.")] = None,
    device: Device = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Folds at once, on a CPU.")] = 1,
    init: Annotated[Path | None, typer.Option(help="Checkpoint whose weights a new fold begins with.")] = None,
    assignments: Assignments = None,
) -> None:
    """Train a fold, or all; an interrupted training continues. On a CPU, --jobs folds at once."""
    from hnseg.training.folds import train_folds, trains_on_cpu

    with handle_errors():
        if fold is not None:
            refuse_options(context, ["jobs"], "folds at once; --fold trains one")
        if not trains_on_cpu(device):
            refuse_options(context, ["jobs"], "folds at once on a CPU; a GPU trains one after the other")
        set_settings(work, assignments, "train")
        folds = None if fold is None else [fold]
        with show_progress("train", out) as progress:
            train_folds(work, folds, device=device, jobs=jobs, init=init, progress=progress)


@app.command()
def plan(
    work: Work,
    device: Device = "auto",
    cases: Annotated[
        int | None, typer.Option(min=1, help="Plan for so many labeled cases like those that are prepared.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--out", help="Also write the plan as JSON; an older plan is replaced.")
    ] = None,
) -> None:
    """Print what patch, batch and precision fit this device, and the disk, memory and hours of the run."""
    from hnseg.cli.tables import needs_table, plan_table
    from hnseg.training.plan import make_plan

    with handle_errors():
        if target is not None:
            check_output_file(target, suffixes=(".json",), is_ours=lambda path: is_json_with(path, PLAN_KEYS))
        made = make_plan(work, device=device, cases=cases)
        if target is not None:
            write_json(target, made.as_dict())
    cohort, best = made.cohort, made.recommended
    out.print(plan_table(made))
    out.print(needs_table(cohort, made.needs))
    kept = "stay decoded in memory" if cohort.cached else "are read by patch, in train.workers processes"
    out.print(
        f"{cohort.measured_cases} prepared cases measured; {cohort.cases} are {cohort.decoded_gb:.1f} GB decoded and "
        f"{kept}; {made.free_gb:.1f} GB free on {made.device}. Hours are those of the bare network on this device as "
        "it is now, over all epochs.",
        highlight=False,
    )
    if best is not None:
        out.print("The largest patch that fits:", highlight=False)
        print_line(best.settings)
    if not made.wanted.fits:
        fitting = "nothing tried here fits" if best is None else f"{best.patch_vox} voxels in {best.precision} fit"
        err.print(f"[bold red]error:[/] the run's own settings do not fit; {fitting}", highlight=False)
        raise typer.Exit(1)
