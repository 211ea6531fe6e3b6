"""Notebooks of the tutorials, made from their pages, which are the one source.

    python docs/write_notebooks.py    # writes docs/tutorials/*.ipynb; the tests say when they are out of date

A block of Python becomes a cell of code, the text between blocks a cell of text. What only Sphinx understands is left
out: the pictures that the build draws, which a notebook draws itself; so are the blocks of what the code prints.
Commands run with the Python of the notebook, whose folder the shell need not know.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).parent / "tutorials"
NOTEBOOKS = ("first_scan", "monai_pipeline", "sites")
_BLOCK = re.compile(r"```(python|console)\n(.*?)```\n", re.DOTALL)
_LEFT_OUT = re.compile(r":::\{drawn\}.*?\n:::\n|```(?:text|none)\n.*?```\n", re.DOTALL)
_INSTALL = """\
import importlib.util

if importlib.util.find_spec("ssimh") is None:
    %pip install --quiet {packages}
"""


def make_notebook(page: str) -> NotebookNode:
    """The notebook of a page, given as Markdown; it holds no output and nothing random."""
    cells: list[NotebookNode] = []
    parts = _BLOCK.split(_LEFT_OUT.sub("", page))
    for text, kind, code in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        if text.strip():
            cells.append(new_markdown_cell(text.strip()))
        if kind == "python":
            cells.append(new_code_cell(code.strip()))
        elif kind:
            cells.append(new_code_cell(_make_shell_cell(code)))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def _make_shell_cell(block: str) -> str:
    """Command lines as a notebook runs them; an installation only where the package is missing."""
    lines = [line.removeprefix("$ ") for line in block.strip().splitlines()]
    if lines[0].startswith("pip install"):
        return _INSTALL.format(packages=lines[0].removeprefix("pip install ")).strip()
    return "\n".join(["import sys", "", *(f"!{{sys.executable}} -m {line}" for line in lines)])


def write_notebooks() -> None:
    """Write the notebook of every page in ``NOTEBOOKS``."""
    for name in NOTEBOOKS:
        notebook = make_notebook((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
        nbformat.write(notebook, FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    write_notebooks()
