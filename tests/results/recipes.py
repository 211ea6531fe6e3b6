"""All recipes, as far as what they need is installed."""

from __future__ import annotations

import importlib
import importlib.util

from tests.results.lock_file import Recipe

# Module of recipes, and what it needs beside NumPy and SciPy.
GROUPS = {
    "tests.results.ssimh_core": (),
    "tests.results.transforms": ("torch", "monai", "torchio"),
    "tests.results.hnseg_arrays": ("pydantic", "SimpleITK"),
    "tests.results.hnseg_scores": ("pydantic", "SimpleITK"),
}


def find_missing(group: str) -> list[str]:
    """What a group of recipes needs and is not installed."""
    return [name for name in GROUPS[group] if importlib.util.find_spec(name) is None]


def load_recipes(group: str) -> dict[str, Recipe]:
    """The recipes of a group by the name of the function."""
    recipes: dict[str, Recipe] = importlib.import_module(group).RECIPES
    return recipes
