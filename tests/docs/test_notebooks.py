"""Notebooks are their pages, and run from an empty folder to their end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.blocks import ROOT, read_output, strip_lines
from tests.docs.notebooks import NOTEBOOKS, make_notebook

PAGES = sorted(NOTEBOOKS)


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_is_made_from_its_page(page):
    """Out of date: python docs/write_notebooks.py"""
    made = make_notebook((ROOT / page).read_text(encoding="utf-8"))
    assert nbformat.read(NOTEBOOKS[page], nbformat.NO_CONVERT) == made
    nbformat.validate(made)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_runs(page, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "profile"))
    folder = tmp_path / "empty"
    folder.mkdir()
    notebook = nbformat.read(NOTEBOOKS[page], nbformat.NO_CONVERT)
    for cell in notebook.cells:
        if "\n!" in cell.source:  # a shell's failure is no error of the notebook
            lines = [line for line in cell.source.splitlines() if line.startswith("!")]
            cell.source = "%%bash\nset -e\n" + "\n".join(lines).replace("!{sys.executable}", "python")
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", ()) for output in outputs)
    # Cells of Python print what the page says; what the commands print is not in it.
    printed = [
        output.text
        for cell in notebook.cells
        if not cell.source.startswith("%%bash")
        for output in cell.get("outputs", ())
        if output.output_type == "stream" and output.name == "stdout"
    ]
    assert strip_lines("".join(printed)) == read_output(page)
