"""Commands after prediction: tune, evaluate, compare, report, figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from hnseg.cli.app import Device, Jobs, Viewer, Work, app, err, handle_errors, out, print_line
from hnseg.cli.set_option import Assignments, set_settings
from hnseg.cli.tables import comparison_table, tuning_table
from hnseg.errors import HnsegError
from hnseg.evaluation.cohort_scores import BOOTSTRAP_SEED
from hnseg.evaluation.evaluate import evaluate_folder, evaluate_workdir, find_labels
from hnseg.evaluation.mask_origin import is_predicted_folder
from hnseg.evaluation.rules import PRESETS, RULE_KEYS, parse_rules
from hnseg.evaluation.score_specs import headline
from hnseg.locks import hold
from hnseg.outputs import check_output_file, is_json_with
from hnseg.progress import show_progress
from hnseg.workdir import list_files, load_config, write_json
from ssimh.viewer.case_folder import DEFAULT_CASES


@app.command()
def tune(
    work: Work,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = BOOTSTRAP_SEED,
    assignments: Assignments = None,
    jobs: Jobs = 1,
) -> None:
    """Choose the post-processing by out-of-fold masks; predict uses what was chosen."""
    from hnseg.inference.out_of_fold import postprocess_out_of_fold, predict_out_of_fold
    from hnseg.inference.tune import format_settings, tune_workdir

    with handle_errors():
        set_settings(work, assignments, "tune")
        before = load_config(work).predict
        with hold(work, "run", "hnseg tune"):
            with show_progress("out of fold", out) as progress:
                cases = predict_out_of_fold(work, device=device, jobs=jobs, progress=progress)
            with show_progress("tune", out) as progress:
                result = tune_workdir(work, seed=seed, jobs=jobs, progress=progress)
            postprocess_out_of_fold(work, cases, jobs=jobs)
    out.print(tuning_table(result))
    print_line(f"{result.why}: {format_settings(result.chosen)}")
    if load_config(work).predict != before and (work / "predictions").is_dir():
        err.print("the settings have changed: predict again to use them", highlight=False)


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Work directory, or a folder of <ID>.nii.gz masks.")],
    truth: Annotated[Path | None, typer.Argument(help="For a folder of masks: a data root, or a label folder.")] = None,
    target: Annotated[
        Path | None, typer.Option("--out", help="Default: metrics.json in WORK, in the --out of predict, or here.")
    ] = None,
    preset: Annotated[Literal["2025", "2022"], typer.Option("--rules", help="The challenge's rules.")] = "2025",
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="KEY=VALUE", help=f"Change a rule: {', '.join(RULE_KEYS)}.")
    ] = None,
    missing: Annotated[
        Literal["error", "empty"], typer.Option(help="A case without a mask: an error, or an empty mask.")
    ] = "error",
    allow_extra: Annotated[bool, typer.Option("--allow-extra", help="Ignore masks of cases without a truth.")] = False,
    jobs: Jobs = 1,
) -> None:
    """Score masks with the challenge's metrics; every rule is recorded in metrics.json."""
    with handle_errors():
        rules = parse_rules(PRESETS[preset], rule or ())
        with show_progress("evaluate", err) as progress:
            if truth is None:
                _check_workdir(predictions, target, allow_extra=allow_extra)
                run = evaluate_workdir(
                    predictions, rules=rules, missing=missing, out=target, jobs=jobs, progress=progress
                )
                skipped, scores = run.skipped, run.main
                if run.ensemble is None:
                    print_line(NO_TEST, err)
            else:
                target = target or (predictions if is_predicted_folder(predictions) else Path()) / "metrics.json"
                _check_folder_output(target, predictions, truth)
                folder = evaluate_folder(
                    predictions,
                    find_labels(truth),
                    rules=rules,
                    missing=missing,
                    allow_extra=allow_extra,
                    jobs=jobs,
                    progress=progress,
                )
                write_json(target, folder.as_dict())
                skipped, scores = folder.skipped, folder
    for entry in skipped:
        print_line(f"not scored: {entry.case_id}: {entry.reason}", err)
    for case_id in scores.missing:
        print_line(f"scored as an empty mask: {case_id}: there is no prediction", err)
    out.print_json(json.dumps({spec.key: scores[spec.key] for spec in headline(rules)}))


NO_TEST = "no test case is held out: scores of the out-of-fold masks, each by the one network that did not train on it"


def _check_output(target: Path, inputs: Iterable[Path], keys: Iterable[str]) -> None:
    """Refuse a JSON output that is an input, or a file that holds no earlier result with these keys."""
    check_output_file(target, inputs=inputs, suffixes=(".json",), is_ours=lambda path: is_json_with(path, keys))


def _check_workdir(work: Path, target: Path | None, *, allow_extra: bool) -> None:
    """Refuse what does not fit a work directory."""
    if not (work / "run.json").is_file() and work.is_dir() and list_files(work, "*.nii.gz"):
        raise HnsegError(f"{work} is a folder of masks: name the truth, too (a data root or labels)")
    if allow_extra:
        raise HnsegError("--allow-extra is for a folder of masks; a run knows its cases")
    if target is not None:
        _check_output(target, (), ("ensemble", "rules", "definitions"))


def _check_folder_output(target: Path, predictions: Path, truth: Path) -> None:
    """Refuse to write the scores of a folder of masks over an input or over a run's own scores."""
    if target.name == "metrics.json" and (target.absolute().parent / "run.json").is_file():
        raise HnsegError(f"{target} is where the run in {target.absolute().parent} keeps its own scores: name --out")
    masks = list_files(predictions, "*.nii.gz") if predictions.is_dir() else []
    _check_output(target, [*masks, truth], ("cases", "rules", "definitions"))


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="metrics.json, a work directory, or a folder of masks (with --truth).")],
    b: Annotated[Path, typer.Argument(help="The other side; differences are B − A.")],
    truth: Annotated[Path | None, typer.Option(help="For folders of masks: a data root, or a label folder.")] = None,
    method_a: Annotated[str | None, typer.Option(help="Of a work directory: ensemble (default), validation, …")] = None,
    method_b: Annotated[str | None, typer.Option(help="Of a work directory: ensemble (default), validation, …")] = None,
    common: Annotated[bool, typer.Option("--common", help="Compare the cases that both have.")] = False,
    target: Annotated[Path | None, typer.Option("--out", help="Write the comparison as JSON.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = BOOTSTRAP_SEED,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; for folders of masks.")] = None,
) -> None:
    """Compare two sets of scores of the same cases: differences, intervals, paired tests."""
    from hnseg.evaluation.compare import Scored, read_scores, read_scores_file
    from hnseg.evaluation.compare import compare as compare_scores

    def is_masks(path: Path) -> bool:
        return path.is_dir() and not (path / "metrics.json").is_file() and bool(list_files(path, "*.nii.gz"))

    def scored(path: Path, method: str | None) -> Scored:
        if truth is None or not is_masks(path):
            return read_scores_file(path, method)
        if method is not None:
            raise HnsegError(f"{path} is a folder of masks; it has no method {method!r} to choose")
        with show_progress("evaluate", err) as progress:
            result = evaluate_folder(path, find_labels(truth), jobs=jobs or 1, progress=progress)
        return read_scores(result, str(path))

    with handle_errors():
        if not is_masks(a) and not is_masks(b):
            for name, value in (("--truth", truth), ("--jobs", jobs)):
                if value is not None:
                    raise HnsegError(f"{name} is for folders of masks; {a} and {b} are scored already")
        if target is not None:
            given = [path / "metrics.json" if path.is_dir() else path for path in (a, b)]
            _check_output(target, given, ("a", "b", "method", "scores"))
        sides = scored(a, method_a), scored(b, method_b)
        result = compare_scores(*sides, common=common, seed=seed)
        if target is not None:
            write_json(target, result.as_dict())
    out.print(comparison_table(result))
    out.print(
        f"{result.n_cases} cases; difference is B − A with its 95 % interval; p: {result.method.p}"
        f"{'' if result.method.exact else ', at random'}; Holm: corrected for the scores of the challenge",
        highlight=False,
    )
    for case_id in result.left_out:
        print_line(f"only one side has {case_id}: left out", err)


@app.command()
def report(
    work: Work,
    external: Annotated[
        Path | None, typer.Option(help="Masks of an external cohort, evaluated: their report, in that folder.")
    ] = None,
    viewer: Viewer = DEFAULT_CASES,
    jobs: Jobs = 1,
) -> None:
    """Write report.html: of the run or, with --external, of another cohort beside the run's validation."""
    from hnseg.report.external_page import write_external_report
    from hnseg.report.page import write_report

    with handle_errors():
        with show_progress("viewer", out) as progress:
            if external is None:
                page = write_report(work, viewer_cases=viewer, jobs=jobs, progress=progress)
            else:
                page = write_external_report(work, external, viewer_cases=viewer, jobs=jobs, progress=progress)
        print_line(f"report: {page}")


@app.command()
def figures(
    work: Work,
    case_id: Annotated[
        str | None, typer.Option("--case", help="Case of figures 1, 2 and 5. Default: the one of median score.")
    ] = None,
    external: Annotated[Path | None, typer.Option(help="Masks of an external cohort, evaluated; for figure 4.")] = None,
    only: Annotated[str | None, typer.Option(metavar="NUMBERS", help="Figures to make: 1,5. Default: all.")] = None,
) -> None:
    """Write the figures for a paper: 1 crop, 2 harmonization, 3 pipeline, 4 scores, 5 a prediction."""
    from hnseg.report.paper_figures.write_figures import parse_numbers, write_figures

    with handle_errors():
        numbers = None if only is None else parse_numbers(only)
        with show_progress("figures", out) as progress:
            written = write_figures(work, case_id=case_id, external=external, only=numbers, progress=progress)
    for number, reason in written.left_out.items():
        print_line(f"figure {number} left out: {reason}", err)
    for path in written.paths:
        print_line(f"figure: {path}")
