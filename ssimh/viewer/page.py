"""The viewer's page: one file with one case, or a page that loads the file of each case when it is asked for.

A page needs no server and no network: what it loads are script files beside it, which browsers also read from disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from ssimh.viewer.pack_case import PackedCase, escape_json

SCRIPTS = (
    *("decode.js", "sampling.js", "contours.js", "projection.js"),
    *("labels.js", "view.js", "table.js", "input.js", "app.js"),
)
_TOKEN = re.compile(r"/\*\{(\w+)\}\*/|\{\{(\w+)\}\}")


@dataclass(frozen=True)
class CaseFile:
    """A case that a page loads when it is asked for.

    Attributes:
        name: Of the case.
        address: Of its file, relative to the page, percent-encoded.
    """

    name: str
    address: str


def format_page(
    title: str, *, case: PackedCase | None = None, files_of_cases: Sequence[CaseFile] = (), back: str = ""
) -> str:
    """The HTML of a page.

    Args:
        title: Any text.
        case: Shown at once; its data are in the page.
        files_of_cases: Cases that are loaded when they are asked for.
        back: Address of the page that this one belongs to, relative, percent-encoded; empty for none.

    Raises:
        ValueError: Neither a case nor files of cases, or both.
    """
    if (case is None) == (not files_of_cases):
        raise ValueError("a viewer page has either one case in it or files of cases; give one of the two")
    listed = [{"name": each.name, "address": each.address} for each in files_of_cases]
    start = {"cases": listed or [{"name": case.name if case else "", "address": ""}], "back": back}
    data = f"ssimhViewer.start({escape_json(start)});"
    if case is not None:
        data = f"ssimhViewer.add({case.content});{data}"
    parts = {
        "title": escape(title),
        "style": _read("viewer.css"),
        "script": "\n".join(_read(name) for name in SCRIPTS),
        "data": data,
    }
    return _fill(_read("viewer.html"), parts)


def format_case_file(case: PackedCase) -> str:
    """The script file of a case, which a page loads."""
    return f"ssimhViewer.add({case.content});\n"


def _fill(template: str, parts: Mapping[str, str]) -> str:
    """A template with its tokens replaced, each once, so that nothing in a part is taken for a token."""
    return _TOKEN.sub(lambda found: parts[found[1] or found[2]], template)


def _read(name: str) -> str:
    return files("ssimh.viewer").joinpath("page", name).read_text(encoding="utf-8")
