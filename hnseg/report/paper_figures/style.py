"""Size, type and placing of the paper's figures: one text width wide, no text below 6 pt at that width."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from hnseg.pictures.palette import Color

WIDTH_IN = 4.8  # 122 mm, the text width of Springer's LNCS
MARGIN_IN = 0.06
PNG_DPI = 300
NOTE_PT, TEXT_PT, TITLE_PT = 6.0, 6.5, 7.5
LINE_SPACING = 1.3
FONT = "DejaVu Sans"  # comes with Matplotlib, so that figures are the same everywhere
_MEASURING_DPI = 720
_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "font.size": TEXT_PT,
    "text.usetex": False,
    "text.parse_math": False,  # a center's name may hold a dollar sign
    "pdf.fonttype": 42,  # TrueType, embedded: text stays text
    "hatch.linewidth": 0.5,
    "axes.linewidth": 0.6,
    "axes.titlesize": TITLE_PT,
    "axes.labelsize": TEXT_PT,
    "axes.labelpad": 1.5,
    "xtick.labelsize": NOTE_PT,
    "ytick.labelsize": NOTE_PT,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.pad": 1.5,
    "ytick.major.pad": 1.5,
    "text.color": Color.INK.value,
    "axes.edgecolor": Color.INK.value,
    "axes.labelcolor": Color.INK.value,
    "xtick.color": Color.INK.value,
    "ytick.color": Color.INK.value,
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw and save within this: type, line widths and embedded fonts, whatever the user's ``matplotlibrc`` says."""
    with matplotlib.rc_context(cast(Any, _STYLE)):
        yield


def make_figure(height_in: float) -> Figure:
    """An empty figure of the paper's width."""
    return Figure(figsize=(WIDTH_IN, height_in))


def place_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the figure's upper left corner."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


@functools.cache
def _renderer() -> Any:
    return FigureCanvasAgg(Figure(dpi=_MEASURING_DPI)).get_renderer()


@functools.cache
def measure_text(text: str, size_pt: float, *, bold: bool = False) -> float:
    """Width of a line of text in inches."""
    font = FontProperties(family=FONT, size=size_pt, weight="bold" if bold else "normal")
    width, _, _ = _renderer().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / _MEASURING_DPI


def wrap_text(text: str, width_in: float, size_pt: float, *, bold: bool = False) -> list[str]:
    """Break a text into lines of at most a width, between words; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and measure_text(f"{lines[-1]} {word}", size_pt, bold=bold) <= width_in:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def line_height(size_pt: float) -> float:
    """Height of a line of text in inches."""
    return size_pt * LINE_SPACING / 72


class Note:
    """Small print under a figure, as wide as the figure.

    Args:
        sentences: Joined by spaces and broken into lines.
    """

    def __init__(self, *sentences: str) -> None:
        text = " ".join(sentence for sentence in sentences if sentence)
        self.lines = wrap_text(text, WIDTH_IN - 2 * MARGIN_IN, NOTE_PT)

    @property
    def height_in(self) -> float:
        """Height with the margin below."""
        return len(self.lines) * line_height(NOTE_PT) + MARGIN_IN

    def write(self, figure: Figure) -> None:
        """Write it at the figure's lower edge."""
        across, down = figure.get_size_inches()
        place, text = (MARGIN_IN / across, self.height_in / down), "\n".join(self.lines)
        figure.text(*place, text, fontsize=NOTE_PT, va="top", linespacing=LINE_SPACING, color=Color.SOFT)
