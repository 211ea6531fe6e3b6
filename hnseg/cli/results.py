"""Commands after prediction: tune, evaluate, compare, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from hnseg.cli.app import Device, Jobs, Work, app, err, handle_errors, out
from hnseg.cli.tables import comparison_table, tuning_table
from hnseg.errors import HnsegError
from hnseg.evaluation.cohort_scores import BOOTSTRAP_SEED
from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.overlap import PRESETS
from hnseg.locks import hold
from hnseg.progress import show_progress
from hnseg.workdir import load_config, write_json


@app.command()
def tune(
    work: Work,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = BOOTSTRAP_SEED,
) -> None:
    """Choose the post-processing by out-of-fold masks; predict uses what was chosen."""
    from hnseg.inference.out_of_fold import postprocess_out_of_fold, predict_out_of_fold
    from hnseg.inference.tune import format_settings, tune_workdir

    with handle_errors():
        before = load_config(work).predict
        with hold(work, "run", "hnseg tune"):
            with show_progress("out of fold", out) as progress:
                cases = predict_out_of_fold(work, device=device, progress=progress)
            with show_progress("tune", out) as progress:
                result = tune_workdir(work, seed=seed, progress=progress)
            postprocess_out_of_fold(work, cases)
    out.print(tuning_table(result))
    out.print(f"{result['why']}: {format_settings(result['chosen'])}", highlight=False, soft_wrap=True)
    if load_config(work).predict != before and (work / "predictions").is_dir():
        err.print("the settings have changed: predict again to use them", highlight=False)


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Work directory, or a folder of <ID>.nii.gz masks.")],
    truth: Annotated[Path | None, typer.Argument(help="For a folder of masks: a data root, or a label folder.")] = None,
    target: Annotated[Path, typer.Option("--out", help="For a folder of masks.")] = Path("metrics.json"),
    rules: Annotated[Literal["2025", "2022"], typer.Option(help="Preset that the options below change.")] = "2025",
    connectivity: Annotated[str | None, typer.Option(help="What a lesion is: 6, 18 or 26-connected.")] = None,
    matching: Annotated[str | None, typer.Option(help="greedy, hungarian or grouped.")] = None,
    iou_threshold: Annotated[float | None, typer.Option(help="A lesion is found above this IoU.")] = None,
    strict: Annotated[bool | None, typer.Option("--strict/--at-least", help="Above the IoU, or already at it.")] = None,
    empty_truth: Annotated[str | None, typer.Option(help="GTVp Dice without true GTVp: score, skip or zero.")] = None,
    aggregate: Annotated[str | None, typer.Option(help="What aggregated Dice sums: ml or voxels.")] = None,
    zero_division: Annotated[str | None, typer.Option(help="Aggregated score of 0/0: undefined, one or zero.")] = None,
    min_lesion_ml: Annotated[float | None, typer.Option(help="Smaller components are no lesions.")] = None,
    tolerance_mm: Annotated[float | None, typer.Option(help="Of surface Dice.")] = None,
    missing: Annotated[
        Literal["error", "empty"], typer.Option(help="A case without a mask: an error, or an empty mask.")
    ] = "error",
    allow_extra: Annotated[bool, typer.Option("--allow-extra", help="Ignore masks of cases without a truth.")] = False,
    jobs: Jobs = 1,
) -> None:
    """Score masks with the challenge's metrics; every rule is recorded in metrics.json."""
    changes = {
        "connectivity": None if connectivity is None else int(connectivity) if connectivity.isdigit() else connectivity,
        "matching": matching,
        "iou_threshold": iou_threshold,
        "strict": strict,
        "empty_truth": empty_truth,
        "aggregate": aggregate,
        "zero_division": zero_division,
        "min_lesion_ml": min_lesion_ml,
        "tolerance_mm": tolerance_mm,
    }
    with handle_errors():
        try:
            chosen = PRESETS[rules].replace({name: value for name, value in changes.items() if value is not None})
        except ValueError as error:
            raise HnsegError(str(error)) from error
        with show_progress("evaluate", err) as progress:
            if truth is None:
                if not (predictions / "run.json").is_file() and any(predictions.glob("*.nii.gz")):
                    raise HnsegError(f"{predictions} is a folder of masks: name the truth, too (a data root or labels)")
                if allow_extra:
                    raise HnsegError("--allow-extra is for a folder of masks; a run knows its cases")
                result = evaluate_workdir(predictions, rules=chosen, missing=missing, jobs=jobs, progress=progress)
                scores = result["ensemble"]
            else:
                scores = result = evaluate_folder(
                    predictions,
                    find_labels(truth),
                    rules=chosen,
                    missing=missing,
                    allow_extra=allow_extra,
                    jobs=jobs,
                    progress=progress,
                )
                write_json(target, result)
    for entry in result["skipped"]:
        err.print(f"not scored: {entry['case_id']}: {entry['reason']}", highlight=False, soft_wrap=True)
    for case_id in scores["missing"]:
        err.print(f"scored as an empty mask: {case_id}: there is no prediction", highlight=False, soft_wrap=True)
    out.print_json(json.dumps({key: scores[key] for key in chosen.headline}))


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="metrics.json, a work directory, or a folder of masks (with --truth).")],
    b: Annotated[Path, typer.Argument(help="The other side; differences are B − A.")],
    truth: Annotated[Path | None, typer.Option(help="For folders of masks: a data root, or a label folder.")] = None,
    method_a: Annotated[str, typer.Option(help="Of a work directory: ensemble, validation, …")] = "ensemble",
    method_b: Annotated[str, typer.Option(help="Of a work directory: ensemble, validation, …")] = "ensemble",
    common: Annotated[bool, typer.Option("--common", help="Compare the cases that both have.")] = False,
    target: Annotated[Path | None, typer.Option("--out", help="Write the comparison as JSON.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = BOOTSTRAP_SEED,
    jobs: Jobs = 1,
) -> None:
    """Compare two sets of scores of the same cases: differences, intervals, paired tests."""
    from hnseg.evaluation.compare import Scored, read_scores, read_scores_file
    from hnseg.evaluation.compare import compare as compare_scores

    def scored(path: Path, method: str) -> Scored:
        if truth is None or not path.is_dir() or (path / "metrics.json").is_file():
            return read_scores_file(path, method)
        with show_progress("evaluate", err) as progress:
            return read_scores(evaluate_folder(path, find_labels(truth), jobs=jobs, progress=progress), str(path))

    with handle_errors():
        sides = scored(a, method_a), scored(b, method_b)
        result = compare_scores(*sides, common=common, seed=seed)
        if target is not None:
            write_json(target, result)
    out.print(comparison_table(result))
    out.print(
        f"{result['n_cases']} cases; difference is B − A with its 95 % interval; p: {result['method']['p']}"
        f"{'' if result['method']['exact'] else ', at random'}; Holm: corrected for the scores of the challenge",
        highlight=False,
    )
    for case_id in result["left_out"]:
        err.print(f"only one side has {case_id}: left out", highlight=False, soft_wrap=True)


@app.command()
def report(work: Work) -> None:
    """Write report.html."""
    from hnseg.report.page import write_report

    with handle_errors():
        out.print(f"report: {write_report(work)}", highlight=False, soft_wrap=True)
