"""Every block of the documentation runs, page by page in a folder of its own, or has a reason that is printed.

Pages with a notebook run as notebooks (``tests/docs/test_notebooks.py``).

Python blocks share the names of their page, console blocks its folder. A line that is not run (``docs/not_run.py``) is
parsed by the real command; what stands in for the paths of a page is in ``docs/stand_ins.py``.
"""

from __future__ import annotations

import glob
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from monai.bundle import ConfigParser
from monai.bundle import run as run_bundle
from typer.testing import CliRunner

from hnseg.cli import commands as hnseg_commands
from hnseg.evaluation.rules import HECKTOR_2025, parse_rules
from hnseg.settings.assignments import parse_assignments
from hnseg.settings.building import build_config
from hnseg.settings.config import Config
from ssimh.cli.app import app as ssimh_app
from tests.docs.blocks import BLOCKS, PAGES, ROOT, Block, read_blocks, read_output, strip_lines
from tests.docs.drawing import PICTURES
from tests.docs.not_run import NOT_RUN, OUTPUT
from tests.docs.notebooks import NOTEBOOKS
from tests.docs.stand_ins import FEWER, FRESH, PYTHON, REPLACED, SETUPS, VARIABLES, Inputs
from tests.examples.loading import load_script

APPS = {"hnseg": hnseg_commands.app, "ssimh": ssimh_app}
COMMANDS = {name: typer.main.get_command(app) for name, app in APPS.items()}
SKIPPED = {shlex.join(shlex.split(line)) for entry in NOT_RUN for line in entry.lines}
PRINTED = {"README.md": "True\n"}  # what the Python blocks of a page print, where the page says it in a comment
TUTORIALS = "docs/tutorials/"  # they show what they print in blocks of text


def canonical(line: str) -> str:
    """A command line without its comment, and with one kind of quotes."""
    return shlex.join(shlex.split(line, comments=True))


LINES = {canonical(line) for block in BLOCKS if block.kind == "console" for line in block.commands}


def make_context(command: Any, name: str, words: list[str]) -> dict[str, Any]:
    """Values of a command's parameters; whatever the parser refuses is a ``click`` exception."""
    return dict(command.make_context(name, list(words)).params)


def parse_line(line: str, page: Path) -> None:
    """Parse a command line by what would run it: commands and options exist, values are of their kinds."""
    words = shlex.split(line)
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    if words[0] == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif words[0] == "python":
        app = typer.Typer()
        app.command()(load_script(ROOT / words[1]).main)
        make_context(typer.main.get_command(app), words[1], words[2:])
    elif words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(re.fullmatch(r"ssimh\[(.+)\]", words[2])[1].split(",")) <= set(extras)
    elif words[0].startswith("./"):
        assert os.access(page.parent / words[0], os.X_OK), words[0]
    elif words[0].startswith("nnUNetv2_"):
        assert words[1:]
    else:
        values = make_context(COMMANDS[words[0]].commands[words[1]], words[1], words[2:])
        build_config(parse_assignments(values.get("assignments") or []), base=Config.from_preset("demo"))
        parse_rules(HECKTOR_2025, values.get("rule") or [])


def expand(words: list[str]) -> Iterator[str]:
    """Variables and patterns, as a shell expands them."""
    for word in map(os.path.expandvars, words):
        yield from sorted(glob.glob(word)) if "*" in word else [word]


def run_line(line: str) -> None:
    """Run a command line in this process, with what stands in for its parts."""
    words = list(expand(shlex.split(REPLACED.get(line, (line, ""))[0])))
    for name, build in FRESH.items():
        if name in words:
            shutil.rmtree(name, ignore_errors=True)
            build(Path(name))
    if words[0] == "cd":
        os.chdir(words[1])
    elif words[:4] == ["python", "-m", "monai.bundle", "run"]:
        values = {name.removeprefix("--"): value for name, value in zip(words[4::2], words[5::2], strict=True)}
        run_bundle(logging_file=False, **values)  # the file would set up the loggers of this process
    else:
        for option, value in FEWER.items():
            if option in words:
                words[words.index(option) + 1] = value
        done = CliRunner().invoke(APPS[words[0]], words[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"


def run_console(block: Block, names: dict[str, object]) -> None:
    """Run or parse every line; the next block begins in the page's folder again."""
    home = Path.cwd()
    for line in map(canonical, block.commands):
        if line in SKIPPED:
            parse_line(line, ROOT / block.page)
        else:
            run_line(line)
    os.chdir(home)


def run_python(block: Block, names: dict[str, object]) -> None:
    """Execute a block with the names of the blocks before it."""
    text = block.text
    for part, other in PYTHON.items():
        text = text.replace(part, other)
    exec(compile(text, f"{block.page}:{block.line}", "exec"), names)


def build_json(block: Block, names: dict[str, object]) -> None:
    """Part of a bundle's configuration: MONAI builds it."""
    content = json.loads(block.text)
    assert "_target_" in content
    assert callable(ConfigParser({"part": content}).get_parsed_content("part"))


def find_include(block: Block, names: dict[str, object]) -> None:
    """The file is there, but for those that Sphinx generates."""
    target = (ROOT / block.page).parent / block.language.split()[1]
    assert target.is_file() or "_generated" in target.parts


def find_pages(block: Block, names: dict[str, object]) -> None:
    """Every page of a table of contents is there."""
    folder = (ROOT / block.page).parent
    entries = [line for line in block.text.split() if not line.startswith(":") and not line.isdigit()]
    assert entries
    assert all((folder / f"{entry}.md").is_file() for entry in entries)


def find_drawn(block: Block, names: dict[str, object]) -> None:
    """Every picture that the build draws is known, and has an alternative text; so have those inside a container."""
    directives = [f":::{block.language}\n{block.text}", block.text][block.kind != "{drawn}" :]
    for name, rest in re.findall(r":{3,}\{drawn\} (\S+)\n((?:.*\n)*?)(?=:{3,}|\Z)", directives[0]):
        assert name in PICTURES
        assert re.match(r"---\nalt: >-\n  \S", rest), f"{block.page}: {name} has no alternative text"


def find_objects(block: Block, names: dict[str, object]) -> None:
    """Every module, class and function of the reference is there, with the members that are named."""
    for directive in re.split(r"^\.\. ", block.text, flags=re.MULTILINE)[1:]:
        kind, name = re.match(r"auto(\w+):: (\S+)", directive).groups()
        home, _, last = name.rpartition(".")
        found = importlib.import_module(name) if kind == "module" else getattr(importlib.import_module(home), last)
        members = re.search(r":members:((?:.|\n)*?)(?=\n\s*:|\Z)", directive)
        assert all(
            hasattr(found, member.strip()) for member in (members[1] if members else "").split(",") if member.strip()
        )


HANDLERS: dict[str, Callable[[Block, dict[str, object]], None]] = {
    "python": run_python,
    "console": run_console,
    "json": build_json,
    "{include}": find_include,
    "{toctree}": find_pages,
    "{eval-rst}": find_objects,
    "{drawn}": find_drawn,
    "{container}": find_drawn,
    "{admonition}": lambda block, names: None,  # text in a box
    "{glossary}": lambda block, names: None,
    "none": lambda block, names: None,  # what commands print
    "text": lambda block, names: None,  # see TUTORIALS and test_output_is_not_run
}
COLON_FENCED = {"{drawn}", "{container}", "{admonition}", "{glossary}"}


@pytest.fixture
def inputs(small_cohort, trained_run):
    return Inputs(small_cohort, trained_run)


@pytest.mark.filterwarnings("ignore:parsing config_file")  # MONAI's, of every bundle
@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")  # MONAI's, without NVIDIA's decoder
@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS} - NOTEBOOKS.keys()))
def test_the_blocks_of_a_page_run(page, inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    names = SETUPS[page](tmp_path, inputs) if page in SETUPS else {}
    for block in BLOCKS:
        if block.page == page:
            assert block.kind in HANDLERS, f"{page}:{block.line}: nothing here runs or checks {block.language!r}"
            HANDLERS[block.kind](block, names)
    stated = read_output(page) if page.startswith(TUTORIALS) else PRINTED.get(page)
    if stated:
        assert strip_lines(capsys.readouterr().out) == stated


@pytest.mark.parametrize("entry", NOT_RUN, ids=lambda entry: entry.reason)
def test_a_line_is_not_run_for_a_reason(entry):
    lines = {shlex.join(shlex.split(line)) for line in entry.lines}
    assert lines <= LINES, f"no page has {lines - LINES}"
    assert (ROOT / entry.held_by).is_file()
    pytest.skip(f"{len(lines)} command line(s) parsed, not run: {entry.reason} ({entry.held_by})")


def test_output_is_not_run():
    blocks = [block for block in BLOCKS if block.kind == "text" and not block.page.startswith(TUTORIALS)]
    assert blocks
    pytest.skip(f"{len(blocks)} block(s) of text: {OUTPUT}")


def test_nothing_stands_in_for_what_no_page_has():
    assert set(REPLACED) <= LINES
    assert not set(REPLACED) & SKIPPED
    assert len(SKIPPED) == sum(len(entry.lines) for entry in NOT_RUN)  # one reason each
    assert set(SETUPS) <= {block.page for block in BLOCKS}
    code = "".join(block.text for block in BLOCKS)
    assert all(name in code for name in (*VARIABLES, *PYTHON, *FEWER))


def test_blocks_are_found():
    assert {"README.md", "docs/ssimh/howto.md", "docs/hnseg/howto.md"} <= {block.page for block in BLOCKS}
    for path in PAGES:
        fences = re.findall(r"^ *```", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        blocks = [block for block in BLOCKS if block.page == path.relative_to(ROOT).as_posix()]
        assert len(fences) == 2 * sum(block.kind not in COLON_FENCED for block in blocks)  # and none inside of those


@pytest.mark.parametrize(
    "line",
    [
        "hnseg train runs/between --set train.patience=often",
        "hnseg predict --windows auto runs/first",
        "ssimh apply in --reference ref.npz --out out --jobs 0",
        "ssimh apply in --reference ref.npz --out out --grid other",
        "hnseg evaluate MASKS DATA --rule matching=other",
        "python examples/hecktor_task1.py --data DATA",
        "make everything",
        "./do_nothing.sh",
    ],
)
def test_a_wrong_line_does_not_parse(line):
    with pytest.raises(Exception) as caught:  # noqa: PT011  (of click, of hnseg, or an assertion)
        parse_line(line, ROOT / "examples" / "grand_challenge" / "README.md")
    assert not isinstance(caught.value, KeyError | TypeError | IndexError)


def test_a_block_that_is_not_closed_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    (tmp_path / "page.md").write_text("```python\nx = 1\n```\n\n```console\n$ ls\n")
    with pytest.raises(ValueError, match=r"page\.md:5"):
        list(read_blocks(tmp_path / "page.md"))
