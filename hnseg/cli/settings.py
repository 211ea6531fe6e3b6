"""Commands of settings: init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hnseg.cli.app import Work, app, handle_errors, print_line
from hnseg.cohort.open_run import begin_run
from hnseg.errors import OptionError
from hnseg.locks import hold
from hnseg.settings.assignments import parse_assignments
from hnseg.settings.building import build_config
from hnseg.settings.config import Config
from hnseg.settings.config_file import CONFIG_FILE, read_config_file
from hnseg.settings.presets import Preset

Data = Annotated[Path | None, typer.Option(help="Folder in HECKTOR 2025 or nnU-Net layout, or a CSV file of paths.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, as train.epochs=150; repeatable.")
]


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
        str | None, typer.Option(help="Reference subject, a case or a file: short for --set prepare.reference=….")
    ] = None,
) -> None:
    """Begin a run: write config.yaml, every setting with its unit, allowed values and source, to be read and edited."""
    with handle_errors():
        if data is None:
            raise OptionError("--data is required: a folder in HECKTOR 2025 or nnU-Net layout, or a CSV file of paths")
        values = parse_assignments(assignments or ())
        if reference is not None:
            if "prepare.reference" in values:
                raise OptionError("--reference and --set prepare.reference: give one of the two")
            values["prepare.reference"] = reference
        settings = build_config(values, base=read_preset(preset, config))
        work.mkdir(parents=True, exist_ok=True)
        with hold(work, "run", "hnseg init"):
            begin_run(work, settings, data)
    print_line(f"settings: {work / CONFIG_FILE}; next: hnseg check {work}")


def read_preset(preset: Preset | None, config: Path | None) -> Config:
    """The settings that a file and a preset name."""
    if config is not None:
        return read_config_file(config, preset=preset)
    return Config.from_preset(preset or "recommended")
