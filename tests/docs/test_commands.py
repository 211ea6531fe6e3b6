"""Every command line in the text of the documentation names a command that exists, with options that it has.

Found are code spans in Markdown files, and the indented command lines in docstrings of scripts;
``tests/test_documentation.py`` has the console blocks.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from hnseg.cli import commands as hnseg_commands
from hnseg.errors import HnsegError
from hnseg.evaluation.rules import HECKTOR_2025, parse_rules
from hnseg.settings.config import Config
from ssimh.cli.app import app as ssimh_app
from tests.docs.blocks import PAGES, ROOT

SCRIPTS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "examples").rglob("*.py")])
APPS = {"hnseg": typer.main.get_command(hnseg_commands.app), "ssimh": typer.main.get_command(ssimh_app)}
UsageError = typer.BadParameter.__bases__[0]  # click's, or that of typer's own copy of click
START = r"(?:\w+=\S+ )*(?:hnseg|ssimh|torchrun|python [\w/]+\.py)\s"


def find_lines(path: Path) -> list[str]:
    """Command lines of a file, without prompt."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [line.strip() for line in text.splitlines() if re.match(rf" {{4}}{START}", line)]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [span for span in spans if re.match(START, span)]


LINES = sorted({(str(path.relative_to(ROOT)), line) for path in [*PAGES, *SCRIPTS] for line in find_lines(path)})


def check_options(command: Any, arguments: list[str]) -> None:
    """Raises ``UsageError`` where an option is unknown or lacks its value, or an argument is one too many."""
    context = command.context_class(command, resilient_parsing=True)
    _, rest, _ = command.make_parser(context).parse_args(list(arguments))
    if rest and "…" not in arguments:
        raise UsageError(f"too many arguments: {rest}")


def check_line(line: str, page: Path = ROOT) -> None:
    """Raises ``AssertionError`` or ``UsageError`` where a command line cannot be run as it is written."""
    words = shlex.split(line, comments=True)
    while words and "=" in words[0]:
        words.pop(0)
    if words[0] == "torchrun" or words[:2] == ["python", "-m"]:
        words = words[words.index("-m") + 1 :]
    if words[0] == "python":
        found = [folder / words[1] for folder in (ROOT, page.parent) if (folder / words[1]).is_file()]
        assert found, f"{words[1]} does not exist"
        source = found[0].read_text(encoding="utf-8")
        for word in words[2:]:
            option = word.removeprefix("--")
            if word.startswith("--"):
                assert word in source or option.replace("-", "_") in source, f"{words[1]} has no option {word}"
        return
    app = APPS[words[0]]
    if len(words) == 1 or words[1].startswith("-") or words[1] == "VERB":
        return
    assert words[1] in app.commands, f"{words[0]} has no command {words[1]}"
    if words[2:] != ["--help"]:
        check_options(app.commands[words[1]], words[2:])
    parse_rules(HECKTOR_2025, [words[number + 1] for number, word in enumerate(words) if word == "--rule"])


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_line_parses(page, line):
    check_line(line, ROOT / page)


@pytest.mark.parametrize(
    "line",
    [
        "hnseg chek DATA",
        "hnseg check DATA WORK --presett paper",
        "hnseg split WORK another",
        "hnseg evaluate MASKS DATA --rule conectivity=6",
        "hnseg prepare WORK --jobs",
        "python benchmarks/none.py",
        "python benchmarks/swap_speed.py --devices cuda",
        "torchrun --nproc-per-node 4 -m hnseg train WORK --folds 0",
    ],
)
def test_a_wrong_command_line_is_found(line):
    with pytest.raises((AssertionError, UsageError, HnsegError)):
        check_line(line)


def find_options() -> set[str]:
    """All options of both commands and of the scripts in benchmarks and examples."""
    options = {"--help"}
    for app in APPS.values():
        for command in app.commands.values():
            options.update(
                name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]
            )
    for script in SCRIPTS:
        source = script.read_text(encoding="utf-8")
        options.update(re.findall(r'"(--[a-z][\w-]*)"', source))
        options.update(
            f"--{name.replace('_', '-')}" for name in re.findall(r"^    (\w+): Annotated", source, re.MULTILINE)
        )
    return options


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_option_named_alone_exists(page):
    named = set(re.findall(r"`(--[a-z][\w-]*)", page.read_text(encoding="utf-8")))
    assert named <= find_options()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_setting_named_in_the_documentation_exists(page):
    stages = {name: field.annotation for name, field in Config.model_fields.items()}
    for stage, name in re.findall(r"`(split|prepare|augment|train|predict)\.(\w+)", page.read_text(encoding="utf-8")):
        assert name in stages[stage].model_fields, f"{stage}.{name}"


def test_command_lines_are_found():
    assert len([line for _, line in LINES if line.startswith("hnseg")]) > 20
    assert len([line for _, line in LINES if line.startswith("ssimh")]) > 3
