"""What the README links to, shows and states is there; its blocks run in ``tests/test_documentation.py``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = [line for line in README.splitlines() if line.startswith("|")]
LARGEST_BYTES = 300_000
# Rows of "What was measured": a pattern around a number, and where the same number stands: page, line, column from 0.
EFFECT, RESOLUTION = "docs/ssimh/scanner_effect.txt", "docs/ssimh/site_resolution.txt"
KNOWN, NONE = "| combined (grid) | all", "| none: two groups of one site | all"
STATED = [
    ("CT with a known", r"of the (\d+) HU", EFFECT, KNOWN, 2),
    ("CT with a known", r"([\d.]+) of the", EFFECT, KNOWN, 3),
    ("CT with a known", r"makes it worse, (\d+)", EFFECT, KNOWN, 5),
    ("CT with a known", r"histogram matching, (\d+)", EFFECT, KNOWN, 7),
    ("The same where", r"([\d.]+) HU of harm", EFFECT, NONE, 3),
    ("The same where", r"swap (\d+)", EFFECT, NONE, 5),
    ("The same where", r"histogram matching (\d+)", EFFECT, NONE, 7),
    ("PET of sites", r"([\d.]+) mm in plane", RESOLUTION, "| Gaussian, isotropic | 8 ", 2),
    ("PET of sites", r"and ([\d.]+) mm axially", RESOLUTION, "| Gaussian, isotropic | 8 ", 2),
]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize(("alt", "target"), re.findall(r"!\[([^]]*)\]\(([^)]+)\)", README))
def test_pictures_are_small_and_described(alt, target):
    assert len(alt) > 20
    assert (ROOT / target).stat().st_size <= LARGEST_BYTES


@pytest.mark.parametrize(("row", "pattern", "page", "start", "column"), STATED)
def test_each_figure_is_that_of_its_method(row, pattern, page, start, column):
    (stated,) = (line.split("|")[2] for line in ROWS if line.startswith(f"| {row}"))
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    cell = next(line for line in lines if line.startswith(start)).strip("| ").split("|")[column]
    number = re.search(pattern, stated)[1]
    parts = [part.split()[0] for part in cell.split("/")]  # a mean before its interval; in plane / axial
    assert number == parts["axially" in pattern]


def test_every_figure_of_these_rows_is_looked_up():
    for row in {row for row, *_ in STATED}:
        (stated,) = (line.split("|")[2] for line in ROWS if line.startswith(f"| {row}"))
        looked_up = [re.search(pattern, stated)[1] for name, pattern, *_ in STATED if name == row]
        assert sorted(re.findall(r"\d+(?:\.\d+)?", stated)) == sorted(looked_up)


@pytest.mark.parametrize("script", sorted(set(re.findall(r"`python (\S+\.py)", README))))
def test_commands_name_scripts_that_are_there(script):
    assert (ROOT / script).is_file()
