"""Commands before training: phantom, check, split, prepare."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hnseg.check.check_cohort import check_cohort
from hnseg.cli.app import (
    Dask,
    Jobs,
    Root,
    Shard,
    Viewer,
    Work,
    app,
    err,
    handle_errors,
    out,
    print_error,
    print_line,
    refuse_options,
)
from hnseg.cli.set_option import Assignments, set_settings
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import load_check
from hnseg.cohort.published_splits import read_folds, read_ids
from hnseg.cohort.reference import NO_CASE, choose_reference, reference_path
from hnseg.cohort.splits import leave_one_center_out, make_splits, published_splits, save_splits
from hnseg.cohort.table import COLORS, cohort_table
from hnseg.errors import HnsegError, OptionError, WorkDirError
from hnseg.locks import hold
from hnseg.parallel import ParallelConfig, parse_shard
from hnseg.progress import show_progress
from hnseg.settings.assignments import parse_assignments
from hnseg.settings.building import build_config
from hnseg.settings.config import Config
from hnseg.settings.config_file import CONFIG_FILE
from hnseg.settings.effects import stages_reading
from hnseg.settings.fields import list_fields
from hnseg.settings.presets import Preset
from hnseg.workdir import RUN_FILE, load_config, load_run_record
from ssimh.viewer.case_folder import DEFAULT_CASES


@app.command()
def phantom(
    root: Root,
    cases_per_center: Annotated[int, typer.Option(min=1, help="Cases of each of the centers.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole cohort.")] = 0,
    full_resolution: Annotated[
        bool, typer.Option("--full-resolution", help="512 × 512 CT at 0.98 mm instead of a coarse one.")
    ] = False,
    jobs: Jobs = 1,
) -> None:
    """Generate a multi-center PET/CT cohort in HECKTOR layout."""
    from hnseg.phantom import generate_cohort

    with handle_errors(), show_progress("phantom", out) as progress:
        generate_cohort(
            root,
            seed=seed,
            cases_per_center=cases_per_center,
            full_resolution=full_resolution,
            jobs=jobs,
            progress=progress,
        )


@app.command()
def check(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            help="Work directory of a run; or, to look at data and write nothing, a folder in HECKTOR 2025 or nnU-Net "
            "layout or a CSV file of paths."
        ),
    ],
    preset: Annotated[Preset, typer.Option(help="For a data root: preset whose crop is checked.")] = "recommended",
    assignments: Assignments = None,
    viewer: Viewer = DEFAULT_CASES,
    jobs: Jobs = 1,
) -> None:
    """Check every case; for a run, write check.json and check.html. Exit status 1 if a case cannot be used."""
    with handle_errors(), ExitStack() as stack:
        work = path if (path / RUN_FILE).is_file() else None
        if work is None:
            _refuse_unchecked(values := parse_assignments(assignments or ()))
            refuse_options(context, ["viewer"], "for a run; nothing is written for a data root")
            root, config = path, build_config(values, base=Config.from_preset(preset))
        else:
            refuse_options(context, ["preset"], f"for a data root; the settings of a run are in its {CONFIG_FILE}")
            set_settings(work, assignments, "check")
            root, config = Path(load_run_record(work).data_root), load_config(work)
            discover_cases(root)  # nothing is written for a data root that cannot be used
            stack.enter_context(hold(work, "run", "hnseg check"))
        progress = stack.enter_context(show_progress("check", out))
        result = check_cohort(root, config.prepare, work=work, jobs=jobs, viewer_cases=viewer, progress=progress)
    out.print(cohort_table(result))
    for finding in result.findings:
        if finding.severity != "info":
            color = COLORS[finding.severity]
            err.print(f"[{color}]{finding.severity}:[/] {escape(str(finding))}", highlight=False, soft_wrap=True)
    if work is not None:
        print_line(f"page: {work / 'check.html'}")
    if result.unusable:
        raise typer.Exit(1)


def _refuse_unchecked(names: Iterable[str]) -> None:
    """Refuse settings that change nothing in the check of a data root."""
    others = [name for name in names if "check" not in stages_reading(name)]
    if others:
        read = [name for name in list_fields() if "check" in stages_reading(name)]
        raise OptionError(
            f"--set {', '.join(others)}: the check of a data root reads {', '.join(read)} alone; `hnseg init` takes all"
        )


@app.command()
def split(
    work: Work,
    test: Annotated[Path | None, typer.Option(help="Test cases: a text file with one ID a line.")] = None,
    folds: Annotated[Path | None, typer.Option(help="Published folds: a splits_final.json as of nnU-Net.")] = None,
    by_center: Annotated[
        bool, typer.Option("--leave-one-center-out", help="One fold per center, which it is validated on.")
    ] = False,
    assignments: Assignments = None,
) -> None:
    """Hold out the test cases, deal the folds, and write splits.json."""
    from hnseg.preprocessing.reference_file import check_reference_file

    with handle_errors(), ExitStack() as stack:
        if folds is not None and by_center:
            raise OptionError("--folds and --leave-one-center-out: give one of the two")
        set_settings(work, assignments, "split")
        config, found = load_config(work), load_check(work)
        if changed := found.find_changes(config.prepare):
            raise WorkDirError(
                f"{work / 'check.json'}: since the check, {'; '.join(changed)}: run `hnseg check {work}`"
            )
        stack.enter_context(hold(work, "run", "hnseg split"))
        if (work / "splits.json").is_file():
            raise HnsegError(
                f"{work / 'splits.json'} exists; models trained on it would leak: remove it to split again"
            )
        listed = read_ids(test) if test is not None else None
        away = sorted(set(listed or ()) & set(found.unusable))
        ids = None if listed is None else [case_id for case_id in listed if case_id not in away]
        cases, reference = found.cases, choose_reference(config.prepare, found, work)
        if config.prepare.reference and reference is NO_CASE:
            check_reference_file(reference_path(work, config.prepare), config.prepare)
        if folds is not None:
            splits = published_splits(cases, read_folds(folds), config.seed, reference=reference, test=ids)
        elif by_center:
            splits = leave_one_center_out(cases, config.split, config.seed, reference=reference, test=ids)
        else:
            splits = make_splits(cases, config.split, config.seed, reference=reference, test=ids)
        if away:
            note = f"check left out {len(away)} of the {len(listed or ())} cases of the test list: {', '.join(away)}"
            splits = replace(splits, notes=(*splits.notes, note))
        save_splits(splits, work)
    for note in splits.notes:
        print_line(f"note: {note}")
    names = splits.held_out or tuple(str(k) for k in range(len(splits.folds)))
    sizes = ", ".join(f"{name}: {len(fold)}" for name, fold in zip(names, splits.folds, strict=True))
    single = [name for name, fold in zip(names, splits.folds, strict=True) if len(fold) == 1]
    if single:
        print_line(f"note: fold {', '.join(single)} validates on a single case: its scores say little")
    named = splits.reference or (config.prepare.reference if config.prepare.needs_reference else "none")
    print_line(f"{len(splits.test)} test cases; cases that each fold validates on: {sizes}; reference {named}")


@app.command()
def prepare(
    context: typer.Context,
    work: Work,
    jobs: Jobs = 1,
    memory_gb: Annotated[
        float | None, typer.Option(help="Memory of all processes together; fewer run where cases are large.")
    ] = None,
    shard: Shard = "1/1",
    dask: Dask = None,
    assignments: Assignments = None,
) -> None:
    """Crop, resample, harmonize and normalize every case that is missing or out of date."""
    from hnseg.preprocessing.harmonizer_store import describe_pet_resolution
    from hnseg.preprocessing.prepare_cohort import prepare_cohort

    with handle_errors():
        if dask is not None:
            refuse_options(context, ["memory_gb"], "for processes of this machine; Dask workers have their own")
        elif jobs == 1:
            refuse_options(context, ["memory_gb"], "limits how many processes run at once; it needs --jobs")
        parallel = ParallelConfig(jobs, parse_shard(shard), dask, memory_gb)
        set_settings(work, assignments, "prepare")
        with show_progress("prepare", out) as progress:
            failures = prepare_cohort(work, parallel=parallel, progress=progress)
        lines = describe_pet_resolution(work)
    for line in lines:
        print_line(line)
    for failure in failures:
        print_error(str(failure))
    if failures:
        raise typer.Exit(1)
