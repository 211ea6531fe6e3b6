"""What draws the pictures of the documentation, from ``docs/pictures`` and ``docs``, which are no packages."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "pictures"))

from drawn import Drawn
from mathml import write_block, write_inline
from scheme import SCHEMES
from write_pictures import PICTURES, SOURCES, write_pictures

DOCS = Path(__file__).parents[2] / "docs"
__all__ = ["DOCS", "PICTURES", "SCHEMES", "SOURCES", "Drawn", "write_block", "write_inline", "write_pictures"]
