"""Commands that predict the run's test cases, a cohort of files or one pair of them, and hand the models on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hnseg.cli.app import Device, Jobs, Work, app, handle_errors, out, print_error
from hnseg.errors import CaseError, HnsegError
from hnseg.inference.predict_case import InferenceOptions
from hnseg.parallel import ParallelConfig, parse_shard
from hnseg.progress import show_progress

FLIPS = "Average over flips along these axes: x, y, z, xy, … xyz. Each axis doubles the network's work."
WINDOW = "Windows: patch (the training patch, as published) or auto (the cheapest). Default: as the run says."


@app.command()
def predict(
    work: Work,
    data: Annotated[Path | None, typer.Argument(help="A cohort of CT and PET files. Default: the test cases.")] = None,
    target: Annotated[Path | None, typer.Option("--out", help="Folder for the cohort's masks.")] = None,
    ct: Annotated[Path | None, typer.Option(help="A CT in HU, for one pair of files.")] = None,
    pet: Annotated[Path | None, typer.Option(help="Its PET in SUV.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Where to write the pair's mask.")] = None,
    center: Annotated[str, typer.Option(help="The pair's center, if it is one of the training cases.")] = "",
    window: Annotated[Literal["patch", "auto"] | None, typer.Option(help=WINDOW)] = None,
    flips: Annotated[str | None, typer.Option(help=FLIPS)] = None,
    disagreement: Annotated[bool, typer.Option("--disagreement", help="Also map where the models disagree.")] = False,
    memory_gb: Annotated[
        float | None, typer.Option(min=0.1, help="Memory for the windows of --window auto, of all processes together.")
    ] = None,
    jobs: Jobs = 1,
    shard: Annotated[str, typer.Option(help="Which share of the cases: 2/8 is the second of eight.")] = "1/1",
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler: run on its workers.")] = None,
    device: Device = "auto",
) -> None:
    """Predict with the ensemble. Exit status 1 if a case could not be predicted; the others are.

    Masks that were made from the same files with the same models and settings are left alone.
    """
    from hnseg.inference.predict_cohort import (
        predict_baselines,
        predict_cohort,
        predict_cohort_from_files,
        predict_pair,
    )

    options = InferenceOptions(device, window, flips, disagreement, memory_gb)
    failures: list[CaseError] = []
    with handle_errors():
        parallel = ParallelConfig(jobs, parse_shard(shard), dask)
        if ct is not None or pet is not None or mask is not None:
            if ct is None or pet is None or mask is None or data is not None or target is not None:
                raise HnsegError("one pair needs --ct, --pet and --mask, and neither a cohort nor --out")
            predict_pair(work, ct, pet, mask, options=options, center=center)
            out.print(f"mask: {mask}", highlight=False, soft_wrap=True)
        elif data is not None:
            if target is None:
                raise HnsegError(f"where shall the masks of {data} go? Name a folder with --out")
            with show_progress("predict", out) as progress:
                failures = predict_cohort_from_files(
                    work, data, target, options=options, parallel=parallel, progress=progress
                )
        else:
            if target is not None:
                raise HnsegError("the masks of the run's test cases go to its `predictions`; --out is for a cohort")
            with show_progress("predict", out) as progress:
                failures = predict_cohort(work, options=options, parallel=parallel, progress=progress)
            if parallel.shard[0] == 1:  # they take a tenth of a second each: not worth sharing
                with show_progress("baselines", out) as progress:
                    predict_baselines(work, progress=progress)
    for failure in failures:
        print_error(str(failure))
    if failures:
        raise typer.Exit(1)


@app.command()
def export(
    work: Work, folder: Annotated[Path, typer.Argument(help="New folder; `predict` takes it for a run.")]
) -> None:
    """Copy the trained models with what predicting new scans needs, without images and paths."""
    from hnseg.inference.export import export_models

    with handle_errors():
        models = export_models(work, folder)
    out.print(f"{len(models)} models: {folder}", highlight=False, soft_wrap=True)
