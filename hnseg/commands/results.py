"""Commands after training: predict, evaluate, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hnseg.commands.shell import Device, Work, app, out, reported
from hnseg.errors import HnsegError
from hnseg.evaluate import evaluate_folder, evaluate_workdir
from hnseg.progress import shown
from hnseg.workdir import write_json


@app.command()
def predict(
    work: Work,
    ct: Annotated[Path | None, typer.Option(help="A CT in HU, for one pair of files.")] = None,
    pet: Annotated[Path | None, typer.Option(help="Its PET in SUV.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Where to write the pair's mask.")] = None,
    device: Device = "auto",
) -> None:
    """Predict the test cases, or one pair of files, with the ensemble."""
    from hnseg.predict import predict_baselines, predict_cohort, predict_pair

    with reported():
        if ct is not None and pet is not None and mask is not None:
            predict_pair(work, ct, pet, mask, device=device)
            out.print(f"mask: {mask}", highlight=False)
            return
        if ct is not None or pet is not None or mask is not None:
            raise HnsegError("one pair needs --ct, --pet and --mask; the run's test cases need none of them")
        with shown("predict", out) as progress:
            predict_cohort(work, device=device, progress=progress)
        with shown("baselines", out) as progress:
            predict_baselines(work, progress=progress)


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Work directory, or a folder of <ID>.nii.gz masks.")],
    truth: Annotated[Path | None, typer.Argument(help="For a folder of masks: a HECKTOR root.")] = None,
    target: Annotated[Path, typer.Option("--out", help="For a folder of masks.")] = Path("metrics.json"),
) -> None:
    """Score masks with the challenge's metrics."""
    from hnseg.cases import discover_cases

    with reported():
        if truth is None:
            scores = evaluate_workdir(predictions)["ensemble"]
        else:
            labels = {case.id: case.label for case in discover_cases(truth) if case.label is not None}
            scores = evaluate_folder(predictions, labels)
            write_json(target, scores)
    shown_keys = ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg")
    out.print_json(json.dumps({key: scores[key] for key in shown_keys}))


@app.command()
def report(work: Work) -> None:
    """Write report.html."""
    from hnseg.report import write_report

    with reported():
        out.print(f"report: {write_report(work)}", highlight=False, soft_wrap=True)
