"""HECKTOR 2025 Task 1 from end to end: check, split, prepare, train, tune, predict, evaluate, report.

    python examples/hecktor_task1.py                                          # a generated cohort, minutes on two cores
    python examples/hecktor_task1.py --data-root HECKTOR2025 --preset paper   # the published recipe, wants a GPU
    python examples/hecktor_task1.py --config mine.yaml --set train.epochs=150 --work-dir runs/mine
    python examples/hecktor_task1.py --work-dir demo --resume                 # continue an interrupted run

Every stage is a public function of ``hnseg`` and keeps its results in the work directory (docs/hnseg/workdir.md), so
an interrupted run continues with ``--resume`` where it stopped, with the settings in its ``config.yaml``. Exit status
0: every case was used; 1: a message on standard error names what went wrong; 2: unusable options.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hnseg import (
    CohortCheck,
    Config,
    HnsegError,
    InferenceOptions,
    OptionError,
    ParallelConfig,
    WorkdirEvaluation,
    build_config,
    check_cohort,
    choose_reference,
    evaluate_workdir,
    format_settings,
    generate_cohort,
    load_check,
    load_config,
    load_splits,
    make_splits,
    open_run,
    parse_assignments,
    postprocess_out_of_fold,
    predict_baselines,
    predict_cohort,
    predict_out_of_fold,
    prepare_cohort,
    read_config_file,
    save_splits,
    show_progress,
    train_folds,
    tune_workdir,
    write_figures,
    write_report,
)

SCORES = {
    "gtvp_dice_mean": "GTVp mean Dice",
    "gtvn_dice_agg": "GTVn aggregated Dice",
    "gtvn_f1_agg": "GTVn lesion F1",
}
SYSTEMS = {
    "ensemble": "ensemble of the folds",
    "threshold_baseline": "everything above SUV 4",
    "empty_baseline": "empty mask",
}
STAGES = "stages: cohort, check, prepare, train (half of the time), out of fold, tune, predict, evaluate, report"
CASES_PER_CENTER, FIRST_IN_VIEWER = 10, 1
console, errors = Console(), Console(stderr=True)


def main(
    data_root: Annotated[Path | None, typer.Option(help="HECKTOR 2025 layout; default: a generated cohort.")] = None,
    work_dir: Annotated[Path, typer.Option(help="Where all results go.")] = Path("demo"),
    preset: Annotated[
        Literal["demo", "paper", "recommended"] | None,
        typer.Option(help="Settings: coarse and quick (default), as published, or as we recommend."),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Settings file (YAML); what it does not name is as in the preset.")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, as train.epochs=150; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:<n> or mps.")] = "auto",
    seed: Annotated[int | None, typer.Option(min=0, help="Of the cohort, the splits and the training.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes: cases, and on a CPU folds, at once.")] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the work directory.")] = False,
) -> None:
    """Run HECKTOR 2025 Task 1 from end to end."""
    try:
        values = parse_assignments([*(assignments or ()), *([f"seed={seed}"] if seed is not None else [])])
        if resume and (work_dir / "config.yaml").is_file() and not values and preset is None and config_file is None:
            config = load_config(work_dir, tuned=False)  # as it was begun, or edited since
        elif config_file is not None:
            config = build_config(values, base=read_config_file(config_file, preset=preset))
        else:
            config = build_config(values, base=Config.from_preset(preset or "demo"))
        left_out = run(config, data_root, work_dir, device=device, jobs=jobs, resume=resume)
    except (HnsegError, OSError) as error:
        print_error(str(error))
        sys.exit(2 if isinstance(error, OptionError) else 1)
    if left_out:
        print_error(f"{len(left_out)} case(s) were left out, see above and the report")
        sys.exit(1)


def run(config: Config, data_root: Path | None, work_dir: Path, *, device: str, jobs: int, resume: bool) -> set[str]:
    """Run all stages; returns the IDs of the cases that were left out."""
    console.print(STAGES, highlight=False)
    root = data_root or work_dir / "cohort"
    if data_root is None:
        generate(root, config, jobs)
    open_run(work_dir, config, root, resume=resume)
    found = check(root, work_dir, config, jobs)
    console.print(f"pictures of all cases: {(work_dir / 'check.html').resolve()}", soft_wrap=True, highlight=False)
    if not (work_dir / "splits.json").is_file():
        reference = choose_reference(config.prepare, found, work_dir)
        save_splits(make_splits(found.cases, config.split, config.seed, reference=reference), work_dir)
    splits = load_splits(work_dir)
    console.print(
        f"split: {len(splits.test)} test cases, {len(splits.folds)} folds, reference {splits.reference or 'none'}"
    )
    with show_progress("prepare", console) as progress:
        unprepared = prepare_cohort(work_dir, jobs=jobs, progress=progress)
    for failure in unprepared:
        print_error(str(failure))
    with show_progress("train", console) as progress:
        train_folds(work_dir, device=device, jobs=jobs, progress=progress)
    with show_progress("out of fold", console) as progress:
        validated = predict_out_of_fold(work_dir, device=device, jobs=jobs, progress=progress)
    with show_progress("tune", console) as progress:
        tuned = tune_workdir(work_dir, jobs=jobs, progress=progress)
    console.print(f"post-processing: {format_settings(tuned.chosen)} ({tuned.why})", soft_wrap=True, highlight=False)
    postprocess_out_of_fold(work_dir, validated, jobs=jobs)
    with show_progress("predict", console) as progress:
        options, parallel = InferenceOptions(device=device), ParallelConfig(jobs)
        unpredicted = predict_cohort(work_dir, options=options, parallel=parallel, progress=progress)
    for failure in unpredicted:
        print_error(str(failure))
    with show_progress("baselines", console) as progress:
        predict_baselines(work_dir, jobs=jobs, progress=progress)
    scores = evaluate_workdir(work_dir, missing="empty", jobs=jobs)  # a case without a prediction counts as missed
    report = write_report(work_dir, viewer_cases=20, jobs=jobs)
    print_scores(scores, len(splits.test))
    figures = write_figures(work_dir)
    console.print(f"figures: {figures.paths[0].parent.resolve()}", soft_wrap=True, highlight=False)
    console.print(f"[bold]open in a browser:[/] {escape(str(report.resolve()))}", soft_wrap=True, highlight=False)
    failed = {failure.case_id for failure in [*unprepared, *unpredicted]}
    return failed | {finding.case_id for finding in found.errors}


def generate(root: Path, config: Config, jobs: int) -> None:
    """Generate the cohort: one case of each center first, with a page of pictures to look at meanwhile."""
    if not root.exists():
        with show_progress("first cases", console) as progress:
            generate_cohort(root, seed=config.seed, cases_per_center=1, jobs=jobs, progress=progress)
        check_cohort(root, config.prepare, work=root, jobs=jobs, viewer_cases=FIRST_IN_VIEWER)
        console.print(
            f"pictures of the first cases: {(root / 'check.html').resolve()}", soft_wrap=True, highlight=False
        )
    with show_progress("phantom", console) as progress:
        generate_cohort(root, seed=config.seed, cases_per_center=CASES_PER_CENTER, jobs=jobs, progress=progress)


def print_error(message: str) -> None:
    """Print a message on standard error."""
    errors.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)


def check(root: Path, work_dir: Path, config: Config, jobs: int) -> CohortCheck:
    """Check the cohort, or read the findings of an interrupted run; print them."""
    found = load_check(work_dir) if (work_dir / "check.json").is_file() else None
    if found is None or found.find_changes(config.prepare):
        with show_progress("check", console) as progress:
            found = check_cohort(root, config.prepare, work=work_dir, jobs=jobs, progress=progress)
    for finding in found.findings:
        if finding.severity == "error":
            print_error(str(finding))
        else:
            console.print(f"{finding.severity}: {finding}", soft_wrap=True, markup=False, highlight=False)
    return found


def print_scores(scores: WorkdirEvaluation, cases: int) -> None:
    """Print the scores of the ensemble beside those of the baselines; without test cases, those of the folds."""
    table = Table(title=f"Test scores, {cases} cases" if cases else "Out-of-fold scores")
    table.add_column("")
    for title in SCORES.values():
        table.add_column(title, justify="right")
    rows = {title: scores[system] for system, title in SYSTEMS.items() if scores[system] is not None}
    if not cases and scores.folds is not None:
        rows |= {f"fold {fold.fold}": fold for fold in scores.folds.folds}
        rows |= {"mean of the folds": scores.folds.mean, "all cases, out of fold": scores.validation}
    for title, row in rows.items():
        values = [row[name] for name in SCORES]
        table.add_row(title, *("undefined" if value is None else f"{value:.3f}" for value in values))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
