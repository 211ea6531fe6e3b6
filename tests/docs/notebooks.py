"""The notebooks of the tutorials, by the page that each is made from; ``docs/write_notebooks.py`` is in no package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from write_notebooks import FOLDER, make_notebook
from write_notebooks import NOTEBOOKS as NAMES

NOTEBOOKS = {f"docs/tutorials/{name}.md": FOLDER / f"{name}.ipynb" for name in NAMES}
__all__ = ["NOTEBOOKS", "make_notebook"]
