"""Commands of settings: init, config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hnseg.cli.app import Work, app, handle_errors, out, print_line
from hnseg.cli.set_option import Assignments
from hnseg.cli.tables import settings_table
from hnseg.cohort.open_run import begin_run
from hnseg.errors import OptionError
from hnseg.locks import hold
from hnseg.progress import show_progress
from hnseg.settings.assignments import parse_assignments
from hnseg.settings.building import build_config, flatten
from hnseg.settings.config import Config
from hnseg.settings.config_file import CONFIG_FILE, read_config_file
from hnseg.settings.effects import find_changes, stale_stages
from hnseg.settings.fields import list_fields
from hnseg.settings.presets import Preset
from hnseg.workdir import load_config, read_config

Data = Annotated[Path | None, typer.Option(help="Folder in HECKTOR 2025 or nnU-Net layout, or a CSV file of paths.")]


@app.command()
def init(
    work: Work,
    data: Data = None,
    preset: Annotated[
        Preset | None, typer.Option(help="Values to begin with: recommended unless --config names another.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (YAML); what it does not name is as in the preset.")
    ] = None,
    assignments: Assignments = None,
    reference: Annotated[
        str | None, typer.Option(help="Reference subject, a case or a file; the same as --set prepare.reference=…")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Run whose settings, data, folds and prepared cases to begin with (hard links, on one disk)."
        ),
    ] = None,
) -> None:
    """Begin a run: write config.yaml, every setting with its unit, allowed values and source, to be read and edited."""
    with handle_errors():
        values = _values(assignments, reference)
        if source is not None:
            base = read_config(source) if preset is None and config is None else read_preset(preset, config)
            print_line(share_results(source, work, build_config(values, base=base), data))
            print_line(f"settings: {work / CONFIG_FILE}; next: hnseg {next_command(work)} {work}")
            return
        if data is None:
            raise OptionError("--data is required: a folder in HECKTOR 2025 or nnU-Net layout, or a CSV file of paths")
        settings = build_config(values, base=read_preset(preset, config))
        work.mkdir(parents=True, exist_ok=True)
        with hold(work, "run", "hnseg init"):
            begin_run(work, settings, data)
    print_line(f"settings: {work / CONFIG_FILE}; next: hnseg check {work}")


def share_results(source: Path, work: Path, settings: Config, data: Path | None) -> str:
    """Begin a run from another one; returns what the two share, in words."""
    from hnseg.preprocessing.reuse_prepared import begin_run_from

    with show_progress("share", out) as progress:
        shared = begin_run_from(source, work, settings, data_root=data, progress=progress)
    folds: tuple[int, ...] = ()
    if shared.prepared and "train" not in stale_stages(read_config(source), settings):
        from hnseg.training.share_models import share_models

        folds = share_models(source, work)
    taken = [what for what, is_taken in (("the check", shared.check), ("the folds", shared.split)) if is_taken]
    parts = [f"taken over: {' and '.join(taken)}" if taken else "", str(shared)]
    parts += [f"the models of {len(folds)} folds are shared"] if folds else []
    return "; ".join(filter(None, parts))


def next_command(work: Path) -> str:
    """The first command that has something to do after ``init``."""
    made = (("check", "check.json"), ("split", "splits.json"))
    return next((name for name, file in made if not (work / file).is_file()), "prepare")


def read_preset(preset: Preset | None, config: Path | None) -> Config:
    """The settings that a file and a preset name."""
    if config is not None:
        return read_config_file(config, preset=preset)
    return Config.from_preset(preset or "recommended")


def _values(assignments: list[str] | None, reference: str | None) -> dict[str, object]:
    values = parse_assignments(assignments or ())
    if reference is not None:
        if "prepare.reference" in values:
            raise OptionError("--reference and --set prepare.reference: give one of the two")
        values["prepare.reference"] = reference
    return values


@app.command()
def config(
    work: Annotated[Path | None, typer.Argument(help="Work directory of a run.")] = None,
    preset: Annotated[Preset | None, typer.Option(help="Show a preset; without a run.")] = None,
    against: Annotated[Preset | None, typer.Option(help="Preset to compare with. Default: the run's own.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also settings that do not differ.")] = False,
) -> None:
    """Show settings, and how they differ from a preset."""
    with handle_errors():
        if (work is None) == (preset is None):
            raise OptionError("name a work directory, or --preset for the settings of a preset")
        shown = load_config(work) if work is not None else Config.from_preset(preset or "recommended")
        other = Config.from_preset(against or shown.preset, seed=shown.seed)
        begun = shown if work is None else load_config(work, tuned=False)
        changed = find_changes(other, shown)
        tuned = find_changes(begun, shown)
        names = list(list_fields()) if everything or (work is None and against is None) else list(changed)
    out.print(settings_table(flatten(shown), flatten(other), names, against=other.preset, tuned=tuned))
    print_line(f"{len(changed)} of {len(list_fields())} settings differ from {other.preset}")
