"""What the README links to, shows and states is there; its blocks run in ``tests/test_documentation.py``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = [line for line in README.splitlines() if line.startswith("|")]
LARGEST_BYTES = 300_000
# Rows of "What was measured": the page that holds the same numbers, and the line of the page that does.
STATED = {
    "Speed of a swap": ("docs/ssimh/benchmarks.md", ("ssimh, stored reference", "scipy.fft, vectorized", "SimpleITK")),
    "CT with a known scanner effect": ("docs/ssimh/scanner_effect.txt", ("combined (grid) | all",)),
    "The same where sites do not differ": ("docs/ssimh/scanner_effect.txt", ("none: two groups of one site | all",)),
    "PET of sites that differ": ("docs/ssimh/site_resolution.txt", ("Gaussian, isotropic | 8",)),
}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize(("alt", "target"), re.findall(r"!\[([^]]*)\]\(([^)]+)\)", README))
def test_pictures_are_small_and_described(alt, target):
    assert len(alt) > 20
    assert (ROOT / target).stat().st_size <= LARGEST_BYTES


@pytest.mark.parametrize("row", STATED)
def test_figures_are_those_of_the_benchmarks(row):
    page, starts = STATED[row]
    (stated,) = (line for line in ROWS if line.startswith(f"| {row}"))
    lines = [
        line
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines()
        if line.startswith(tuple(f"| {start}" for start in starts))
    ]
    measured = set(re.findall(r"\d+(?:\.\d+)?", " ".join(lines)))
    result = stated.split("|")[2]
    numbers = set(re.findall(r"\d+(?:\.\d+)?", result))
    assert numbers
    assert numbers <= measured


@pytest.mark.parametrize("script", sorted(set(re.findall(r"`python (\S+\.py)", README))))
def test_commands_name_scripts_that_are_there(script):
    assert (ROOT / script).is_file()
