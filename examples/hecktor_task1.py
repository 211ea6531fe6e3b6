"""HECKTOR 2025 Task 1 from end to end: check, split, prepare, train, tune, predict, evaluate, report.

    python examples/hecktor_task1.py                                          # a generated cohort, minutes on two cores
    python examples/hecktor_task1.py --data-root HECKTOR2025 --preset paper   # the published recipe, wants a GPU
    python examples/hecktor_task1.py --work-dir demo --resume                 # continue an interrupted run

Every stage is a public function of ``hnseg`` and keeps its results in the work directory (docs/hnseg/workdir.md), so
a run that was interrupted continues with ``--resume`` where it stopped. Exit status 0: every case was used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from hnseg.check.check_cohort import check_cohort
from hnseg.cli.app import HARMONIZATION_HELP, handle_errors, print_error
from hnseg.cohort.checked_cohort import CohortCheck, load_check
from hnseg.cohort.open_run import open_run
from hnseg.cohort.splits import load_splits, make_splits, save_splits
from hnseg.config import Config, Harmonization
from hnseg.evaluation.evaluate import evaluate_workdir
from hnseg.inference.out_of_fold import postprocess_out_of_fold, predict_out_of_fold
from hnseg.inference.predict_case import InferenceOptions
from hnseg.inference.predict_cohort import predict_baselines, predict_cohort
from hnseg.inference.tune import format_settings, tune_workdir
from hnseg.phantom import generate_cohort
from hnseg.preprocessing.prepare_cohort import prepare_cohort
from hnseg.progress import show_progress
from hnseg.report.page import write_report
from hnseg.training.folds import train_folds

SCORES = {
    "gtvp_dice_mean": "GTVp mean Dice",
    "gtvn_dice_agg": "GTVn aggregated Dice",
    "gtvn_f1_agg": "GTVn aggregated F1",
}
SYSTEMS = {
    "ensemble": "ensemble of the folds",
    "threshold_baseline": "everything above SUV 4",
    "empty_baseline": "empty mask",
}
console = Console()


def main(
    data_root: Annotated[Path | None, typer.Option(help="HECKTOR 2025 layout; default: a generated cohort.")] = None,
    work_dir: Annotated[Path, typer.Option(help="Where all results go.")] = Path("demo"),
    preset: Annotated[Literal["demo", "paper"], typer.Option(help="Coarse and quick, or as published.")] = "demo",
    folds: Annotated[int, typer.Option(min=2, help="Cross-validation folds, each a model of the ensemble.")] = 5,
    harmonization: Annotated[Harmonization, typer.Option(help=HARMONIZATION_HELP)] = "spectrum-swap",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:<n> or mps.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the cohort, the splits and the training.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes: cases, and on a CPU folds, at once.")] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the work directory.")] = False,
) -> None:
    """Run HECKTOR 2025 Task 1 from end to end."""
    with handle_errors():
        config = Config.from_preset(preset, seed=seed, folds=folds, harmonization=harmonization)
        root = data_root or work_dir / "cohort"
        if data_root is None:
            with show_progress("phantom", console) as progress:
                generate_cohort(root, seed=seed, cases_per_center=10, jobs=jobs, progress=progress)
        open_run(work_dir, config, root, resume=resume)
        found = check(root, work_dir, config, jobs)
        if not (work_dir / "splits.json").is_file():
            save_splits(make_splits(found.cases, config.split, config.seed), work_dir)
        splits = load_splits(work_dir)
        console.print(f"split: {len(splits.test)} test cases, {folds} folds, reference {splits.reference}")
        with show_progress("prepare", console) as progress:
            failures = prepare_cohort(work_dir, jobs=jobs, progress=progress)
        for failure in failures:
            print_error(str(failure))
        with show_progress("train", console) as progress:
            train_folds(work_dir, device=device, jobs=jobs, progress=progress)
        with show_progress("out of fold", console) as progress:
            validated = predict_out_of_fold(work_dir, device=device, progress=progress)
        with show_progress("tune", console) as progress:
            tuned = tune_workdir(work_dir, progress=progress)
        console.print(
            f"post-processing: {format_settings(tuned['chosen'])} ({tuned['why']})", soft_wrap=True, highlight=False
        )
        postprocess_out_of_fold(work_dir, validated)
        with show_progress("predict", console) as progress:
            unpredicted = predict_cohort(work_dir, options=InferenceOptions(device=device), progress=progress)
        for failure in unpredicted:
            print_error(str(failure))
        with show_progress("baselines", console) as progress:
            predict_baselines(work_dir, progress=progress)
        scores = evaluate_workdir(work_dir, missing="empty")  # a case that could not be predicted costs its score
        report = write_report(work_dir)
    show(scores, len(splits.test))
    console.print(f"report: {report.resolve()}", soft_wrap=True, highlight=False)
    left_out = {failure.case_id for failure in [*found.errors, *failures, *unpredicted]}
    if left_out:
        print_error(f"{len(left_out)} case(s) were left out, see above and the report")
        raise typer.Exit(1)


def check(root: Path, work_dir: Path, config: Config, jobs: int) -> CohortCheck:
    """Check the cohort, or read what an interrupted run had found; say what is wrong."""
    if (work_dir / "check.json").is_file():
        found = load_check(work_dir)
    else:
        with show_progress("check", console) as progress:
            found = check_cohort(root, config.prepare, work=work_dir, jobs=jobs, progress=progress)
    for finding in found.findings:
        if finding.severity == "error":
            print_error(str(finding))
        else:
            console.print(f"{finding.severity}: {finding}", soft_wrap=True, markup=False, highlight=False)
    return found


def show(scores: dict[str, dict[str, float | None]], cases: int) -> None:
    """Print the scores of the ensemble beside those of the baselines."""
    table = Table(title=f"Test scores, {cases} cases")
    table.add_column("")
    for title in SCORES.values():
        table.add_column(title, justify="right")
    for system, title in SYSTEMS.items():
        values = [scores[system][name] for name in SCORES]
        table.add_row(title, *("undefined" if value is None else f"{value:.3f}" for value in values))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
