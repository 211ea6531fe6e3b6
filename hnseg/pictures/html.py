"""Rendering of self-contained pages; all content from files is escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hnseg.pictures.palette import DASHES, css_variables


def environment() -> Environment:
    """Templates of the package, with the filter ``number`` (``None`` becomes a dash) and the palette as CSS."""
    made = Environment(
        loader=PackageLoader("hnseg.pictures", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = _as_number
    made.globals["css_variables"] = css_variables
    made.globals["dashes"] = DASHES
    return made


def _as_number(value: Any, digits: int = 1) -> str:
    return "–" if value is None else f"{float(value):.{digits}f}"
