"""The ``hnseg`` command: one command a verb, each a thin shell around the public function of that name.

Exit status: 0 everything done; 1 a message on standard error says what went wrong (also when single cases had to be
left out and the others were done); 2 unusable arguments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from hnseg.check import check_cohort
from hnseg.cohort import load_check
from hnseg.config import Config
from hnseg.errors import HnsegError
from hnseg.evaluate import evaluate_folder, evaluate_workdir
from hnseg.progress import shown
from hnseg.splits import make_splits, save_splits
from hnseg.workdir import load_config, open_run, write_json

app = typer.Typer(
    name="hnseg",
    help="Head-and-neck tumour and lymph-node segmentation in FDG-PET/CT. Run the verbs in their order: "
    "check, split, prepare, train, predict, evaluate, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Work = Annotated[Path, typer.Argument(help="Work directory of the run.")]
Root = Annotated[Path, typer.Argument(help="Data root in HECKTOR 2025 layout.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:<n> or mps.")]


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    err.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)


@contextmanager
def reported() -> Iterator[None]:
    """Turn what a user can mend into one message and exit status 1; a defect of ours keeps its traceback."""
    try:
        yield
    except HnsegError as error:
        complain(str(error))
        raise typer.Exit(1) from error
    except OSError as error:  # disk full, no permission: the machine's own words name the file
        complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        raise typer.Exit(1) from error


@app.command()
def phantom(
    root: Root,
    cases_per_centre: Annotated[int, typer.Option(min=1)] = 10,
    seed: int = 0,
    full_resolution: Annotated[bool, typer.Option(help="512 x 512 CT at 0.98 mm.")] = False,
    jobs: Jobs = 1,
) -> None:
    """Generate a multi-centre PET/CT cohort in HECKTOR layout."""
    from hnseg.phantom import generate_cohort

    with reported(), shown("phantom", out) as progress:
        generate_cohort(
            root,
            seed=seed,
            cases_per_centre=cases_per_centre,
            full_resolution=full_resolution,
            jobs=jobs,
            progress=progress,
        )


@app.command()
def check(
    root: Root,
    work: Work,
    preset: Annotated[Literal["demo", "paper"], typer.Option(help="Settings of the run.")] = "paper",
    seed: int = 0,
    folds: Annotated[int, typer.Option(min=2)] = 5,
    jobs: Jobs = 1,
) -> None:
    """Begin a run: check every case, write check.json. Exit status 1 if a case cannot be used."""
    with reported():
        config = Config.from_preset(preset, seed=seed, folds=folds)
        open_run(work, config, root, resume=True)
        with shown("check", out) as progress:
            result = check_cohort(root, config.prepare, work=work, jobs=jobs, progress=progress)
    for finding in result.findings:
        colour = "red" if finding.severity == "error" else "yellow"
        err.print(f"[{colour}]{finding.severity}:[/] {escape(str(finding))}", highlight=False, soft_wrap=True)
    out.print(f"{len(result.cases)} cases can be used, {len(result.errors)} cannot")
    if result.errors:
        raise typer.Exit(1)


@app.command()
def split(work: Work) -> None:
    """Hold out the test cases and deal the folds, write splits.json."""
    with reported():
        config = load_config(work)
        if (work / "splits.json").is_file():
            raise HnsegError(
                f"{work / 'splits.json'} exists; models trained on it would leak: remove it to split again"
            )
        splits = make_splits(load_check(work).cases, config.split, config.seed)
        save_splits(splits, work)
    sizes = ", ".join(str(len(fold)) for fold in splits.folds)
    out.print(f"{len(splits.test)} test cases; folds of {sizes}; reference {splits.reference}", highlight=False)


@app.command()
def prepare(work: Work, jobs: Jobs = 1) -> None:
    """Crop, resample, harmonize and normalize every case."""
    from hnseg.prepare import prepare_cohort

    with reported(), shown("prepare", out) as progress:
        failures = prepare_cohort(work, jobs=jobs, progress=progress)
    for failure in failures:
        complain(str(failure))
    if failures:
        raise typer.Exit(1)


@app.command()
def train(
    work: Work,
    fold: Annotated[int | None, typer.Option(help="One fold; without it all of them.")] = None,
    device: Device = "auto",
    jobs: Jobs = 1,
) -> None:
    """Train a fold, or all; continues where it stopped. On a CPU, --jobs folds at once."""
    from hnseg.train_folds import train_folds

    with reported(), shown("train", out) as progress:
        train_folds(work, None if fold is None else [fold], device=device, jobs=jobs, progress=progress)


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


def main() -> None:
    """Entry point of the ``hnseg`` command."""
    app()
