"""Sphinx configuration; built with warnings as errors by ``make docs``.

Before the pages are read, the picture of the house, the list of its rooms and the list of public names are made.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from draw_house import PACKAGES, write_house
from list_api import api_tables
from read_house import rooms_page

import hnseg
from ssimh._version import __version__

project = "ssimh and hnseg"
author = "The ssimh developers"
copyright = f"2026, {author}"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_title = f"ssimh and hnseg {release}"
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_use_rtype = False


def write_generated_parts(_app):
    """Draw docs/house.svg, and write what docs/house.md and docs/hnseg/reference.md include."""
    write_house()
    generated = Path(__file__).parent / "_generated"
    generated.mkdir(exist_ok=True)
    (generated / "rooms.md").write_text(rooms_page(PACKAGES), encoding="utf-8")
    (generated / "hnseg_api.md").write_text(api_tables(hnseg), encoding="utf-8")


def setup(app):
    """Hook of Sphinx."""
    app.connect("builder-inited", write_generated_parts)
