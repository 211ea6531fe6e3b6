"""Pictures of the tutorials: what their own code draws."""

from __future__ import annotations

import io
import os
import re
import tempfile
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from scheme import Scheme

PAGES = Path(__file__).parents[1] / "tutorials"
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def draw_tutorial(page: str, scheme: Scheme) -> Figure:
    """The last figure of a tutorial, with letters and lines in the colors of a scheme.

    Args:
        page: Name of the page, without suffix.
        scheme: Colors.
    """
    figure = run_tutorial(page)
    figure.patch.set_alpha(0)
    for text in figure.findobj(Text):
        text.set_color(scheme.ink)
    for axes in figure.findobj(Axes):
        axes.patch.set_alpha(0)
        axes.tick_params(colors=scheme.soft, labelcolor=scheme.ink)
        for line in axes.spines.values():
            line.set_color(scheme.soft)
    return figure


@cache
def run_tutorial(page: str) -> Figure:
    """Run the Python blocks of a tutorial in an empty folder; its last figure."""
    matplotlib.use("agg")
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            names: dict[str, object] = {}
            for number, block in enumerate(_PYTHON.findall(text), start=1):
                with redirect_stdout(io.StringIO()):
                    exec(compile(block, f"{page}.md, block {number}", "exec"), names)
        finally:
            os.chdir(home)
    figure: Figure = pyplot.gcf()
    pyplot.close(figure)
    return figure
