"""Sphinx configuration; built with warnings as errors by ``make docs``.

Before the pages are read, pictures are drawn, and the lists of rooms and of public names are made.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "pictures"))

import mathml
from draw_house import PACKAGES, write_house
from drawn import Drawn
from list_api import api_tables
from list_commands import command_list
from read_house import rooms_page
from write_pictures import write_pictures

import hnseg
from hnseg.cli import commands as hnseg_commands
from ssimh._version import __version__
from ssimh.cli.app import app as ssimh_app

project = "ssimh and hnseg"
author = "The ssimh developers"
copyright = f"2026, {author}"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_title = f"ssimh and hnseg {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = False  # the pages are for reading; their source is in the repository
myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_use_rtype = False


def write_generated_parts(_app):
    """Draw the pictures, and write what the pages include."""
    write_pictures()
    write_house()
    generated = Path(__file__).parent / "_generated"
    generated.mkdir(exist_ok=True)
    (generated / "rooms.md").write_text(rooms_page(PACKAGES), encoding="utf-8")
    (generated / "hnseg_api.md").write_text(api_tables(hnseg), encoding="utf-8")
    for name, application in (("hnseg", hnseg_commands.app), ("ssimh", ssimh_app)):
        (generated / f"{name}_commands.md").write_text(command_list(name, application), encoding="utf-8")


def setup(app):
    """Hook of Sphinx."""
    app.add_directive("drawn", Drawn)
    app.add_html_math_renderer("mathml", (mathml.write_inline, None), (mathml.write_block, None))
    app.connect("builder-inited", write_generated_parts)
