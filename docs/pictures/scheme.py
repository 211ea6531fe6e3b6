"""The two color schemes of the pages, and empty figures in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

PIXELS_PER_INCH = 200
COLUMN_INCHES = 5.4  # of a picture as wide as the text: letters of 8.5 points are read on a phone as well
CT_WINDOW_HU = (-120.0, 180.0)
FONT = {"family": "DejaVu Sans"}  # ships with matplotlib, so letters are the same on every machine


@dataclass(frozen=True)
class Scheme:
    """Colors of lines and letters on a page; the ground of a picture is that of the page.

    Attributes:
        name: ``light`` or ``dark``; part of the picture's file name.
        ink: Letters.
        soft: Lines that divide or connect.
        ground: Boxes.
        blue, orange, green, purple: Curves and marks, of Okabe and Ito, lighter on the dark page.
    """

    name: str
    ink: str
    soft: str
    ground: str
    blue: str
    orange: str
    green: str
    purple: str


LIGHT = Scheme("light", "#1d2530", "#5a6675", "#eef3f8", "#0072b2", "#b84c00", "#00795a", "#a3417a")
DARK = Scheme("dark", "#e4ebf1", "#9aa8b5", "#22303d", "#56b4e9", "#f0a04b", "#3ccfa0", "#e09cc0")
SCHEMES = (LIGHT, DARK)


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure without a ground.

    Args:
        width_in: Width in inches, see ``COLUMN_INCHES``.
        height_in: Height in inches.
    """
    figure = Figure(figsize=(width_in, height_in), facecolor="none")
    figure.patch.set_alpha(0)
    return figure


def add_panel(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes without frame and ticks; ``box`` is left, bottom, width, height as shares of the figure."""
    axes = figure.add_axes(box)
    axes.set_axis_off()
    return axes


def show_ct(axes: Axes, slice_hu: NDArray[np.floating], window_hu: tuple[float, float] = CT_WINDOW_HU) -> None:
    """Draw a CT slice (y, x) in HU, front up."""
    axes.imshow(slice_hu, cmap="gray", vmin=window_hu[0], vmax=window_hu[1], interpolation="lanczos")


def add_text(
    axes: Axes, scheme: Scheme, x: float, y: float, text: str, *, size: float = 8.5, **options: object
) -> None:
    """Write text at a place in shares of the axes, centered unless ``options`` say otherwise."""
    centered = {"ha": "center", "va": "center", "color": scheme.ink, **options}
    axes.text(x, y, text, transform=axes.transAxes, fontsize=size, fontfamily=FONT["family"], **centered)


def add_label(axes: Axes, text: str, *, size: float = 8.0) -> None:
    """Write white letters with a dark edge into the lower left corner of a scan."""
    axes.text(
        0.03, 0.03, text, transform=axes.transAxes, fontsize=size, fontfamily=FONT["family"], color="white",
        va="bottom", path_effects=[withStroke(linewidth=2.0, foreground="#000000c0")],
    )  # fmt: skip


def style_chart(axes: Axes, scheme: Scheme, xlabel: str, ylabel: str) -> None:
    """Axes of a chart in the colors of a scheme, with the two lower lines of the frame only."""
    axes.set_facecolor("none")
    for side, line in axes.spines.items():
        line.set_visible(side in ("left", "bottom"))
        line.set_color(scheme.soft)
    axes.tick_params(colors=scheme.soft, labelcolor=scheme.ink, labelsize=8)
    axes.set_xlabel(xlabel, color=scheme.ink, fontsize=8.5)
    axes.set_ylabel(ylabel, color=scheme.ink, fontsize=8.5)
