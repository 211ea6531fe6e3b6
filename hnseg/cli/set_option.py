"""The option --set of the commands that continue a run: it changes the run's settings, and says what that outdates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hnseg.cli.app import err
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.reference import resolve_reference
from hnseg.errors import OptionError
from hnseg.locks import hold
from hnseg.settings.assignments import format_value, parse_assignments
from hnseg.settings.building import build_config, flatten
from hnseg.settings.config_file import CONFIG_FILE
from hnseg.settings.effects import RESULTS, Stage, check_settable, find_changes, stale_stages
from hnseg.workdir import change_config, load_run_record, read_config

Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the run, as train.epochs=150; repeatable."),
]
KEPT: dict[Stage, tuple[str, ...]] = {
    "check": ("check.json",),
    "split": ("splits.json",),
    "prepare": ("prepared",),
    "train": ("models",),
    "tune": ("out_of_fold", "tuning.json"),
    "predict": ("predictions",),
    "evaluate": ("metrics.json", "report.html"),
}


def set_settings(work: Path, assignments: Sequence[str] | None, command: Stage) -> None:
    """Print which kept results of a run new settings outdate, and change them in its ``config.yaml``.

    Args:
        work: Work directory of the run.
        assignments: ``KEY=VALUE``, each.
        command: That was given them.

    Raises:
        SettingsError: An unknown setting, or a value that is not allowed.
        OptionError: A setting that this command and those after it do not read; or one that the folds were dealt with.
        CohortError: A reference that is neither a case of the run's data nor a file.
        WorkDirError: ``work`` holds no run.
    """
    if not assignments:
        return
    values = parse_assignments(assignments)
    check_settable(values, command)
    with hold(work, "run", f"hnseg {command} --set"):
        before = read_config(work)
        after = build_config(values, base=before)
        if values.get("prepare.reference"):
            root = Path(load_run_record(work).data_root)
            after = resolve_reference(after, {case.id for case in discover_cases(root)})
            values["prepare.reference"] = after.prepare.reference
        stale = stale_stages(before, after)
        if "split" in stale and (work / "splits.json").is_file():
            raise OptionError(
                f"--set {', '.join(find_changes(before, after))}: the folds in {work / 'splits.json'} were dealt with "
                "another value, and models of other folds would leak: remove that file and the models, or begin "
                f"another run with `hnseg init NEW --from {work}`"
            )
        old, new = flatten(before), flatten(after)
        for name in find_changes(before, after):
            _say(f"{work / CONFIG_FILE}: {name}: {format_value(old[name])} → {format_value(new[name])}")
        outdated = [RESULTS[stage] for stage in stale if any((work / name).exists() for name in KEPT[stage])]
        if outdated:
            _say(f"out of date now: {'; '.join(outdated)}")
        change_config(work, values)


def _say(text: str) -> None:
    err.print(text, markup=False, highlight=False, soft_wrap=True)
