"""Figure 3: overview of the pipeline of a run: pre-processing, training, inference, with the run's own numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from hnseg.inference.ensemble import find_models, hash_models
from hnseg.pictures.palette import Color
from hnseg.preprocessing.prepared_cohort import PreparedCohort
from hnseg.report.paper_figures.figure_files import DrawnFigure
from hnseg.report.paper_figures.pipeline_facts import Pipeline, Step, read_pipeline
from hnseg.report.paper_figures.style import (
    LINE_SPACING,
    MARGIN_IN,
    NOTE_PT,
    TEXT_PT,
    TITLE_PT,
    WIDTH_IN,
    line_height,
    make_figure,
    place_axes,
    wrap_text,
)
from hnseg.workdir import load_config

PAD_IN = 0.055  # within a box
BETWEEN_IN = 0.13  # boxes, for an arrow
LANE_PAD_IN, LANE_GAP_IN, LANE_TITLE_IN = 0.08, 0.16, 0.2


@dataclass(frozen=True)
class Lane:
    """One of the three parts of the pipeline and its colors."""

    name: str
    color: Color
    ground: Color


PREPROCESSING = Lane("Pre-processing (shared)", Color.PREPROCESSING_STAGE, Color.PREPROCESSING_GROUND)
TRAINING = Lane("Training", Color.TRAINING_STAGE, Color.TRAINING_GROUND)
INFERENCE = Lane("Inference and post-processing", Color.INFERENCE_STAGE, Color.INFERENCE_GROUND)


@dataclass(frozen=True)
class Box:
    """A box with its text broken into lines; places in inches from the upper left corner of the figure."""

    title: tuple[str, ...]
    lines: tuple[str, ...]
    left: float
    top: float
    width: float
    height: float

    @classmethod
    def fit(cls, step: Step, left: float, top: float, width: float, height: float = 0.0) -> Box:
        """The box of a step, at least so high."""
        inner = width - 2 * PAD_IN
        title = tuple(wrap_text(step.title, inner, TEXT_PT, bold=True))
        lines = tuple(line for text in step.lines for line in wrap_text(text, inner, NOTE_PT))
        needed = len(title) * line_height(TEXT_PT) + len(lines) * line_height(NOTE_PT) + 2 * PAD_IN
        return cls(title, lines, left, top, width, max(height, needed))

    @property
    def middle(self) -> float:
        """Half of its width."""
        return self.left + self.width / 2

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height


def draw_pipeline_overview(work: Path, cohort: PreparedCohort) -> DrawnFigure:
    """Draw figure 3.

    Raises:
        WorkDirError, CaseError: As :func:`hnseg.report.paper_figures.pipeline_facts.read_pipeline`.
    """
    config = load_config(work)
    caption = (
        "Overview of the pipeline of this run: shared pre-processing (blue), training (green), and inference with "
        f"ensemble and post-processing (orange). Preset {config.preset}, seed {config.seed}."
    )
    figure = draw_pipeline(read_pipeline(work, cohort))
    return DrawnFigure(3, "Pipeline of the run", caption, figure, inputs=hash_models(work, find_models(work)))


def draw_pipeline(pipeline: Pipeline) -> Figure:
    """Draw the three lanes: pre-processing across, training and inference below it side by side."""
    whole = WIDTH_IN - 2 * MARGIN_IN
    top = MARGIN_IN + LANE_TITLE_IN
    across = _row(pipeline.preprocessing, MARGIN_IN + LANE_PAD_IN, top, whole - 2 * LANE_PAD_IN)
    lower = across[0].bottom + LANE_PAD_IN + LANE_GAP_IN
    half = (whole - LANE_GAP_IN) / 2
    lefts = (MARGIN_IN, MARGIN_IN + half + LANE_GAP_IN)
    columns = [
        _column(steps, left + LANE_PAD_IN, lower + LANE_TITLE_IN, half - 2 * LANE_PAD_IN)
        for steps, left in zip((pipeline.training, pipeline.inference), lefts, strict=True)
    ]
    end = max(boxes[-1].bottom for boxes in columns) + LANE_PAD_IN
    columns = [_spread(boxes, end - LANE_PAD_IN) for boxes in columns]
    figure = make_figure(end + MARGIN_IN)
    axes = place_axes(figure, 0, 0, WIDTH_IN, figure.get_figheight())
    axes.set_xlim(0, WIDTH_IN)
    axes.set_ylim(figure.get_figheight(), 0)
    axes.set_axis_off()
    _draw_lane(axes, PREPROCESSING, (MARGIN_IN, MARGIN_IN, whole, across[0].bottom + LANE_PAD_IN - MARGIN_IN), across)
    for lane, left, boxes in zip((TRAINING, INFERENCE), lefts, columns, strict=True):
        _draw_lane(axes, lane, (left, lower, half, end - lower), boxes)
        _draw_arrow(axes, (left + half / 2, across[0].bottom + LANE_PAD_IN), (left + half / 2, lower))
    ensemble = columns[1][1]
    corner = (lefts[1] - LANE_GAP_IN, columns[0][-1].top + columns[0][-1].height / 2)
    _draw_models(axes, columns[0][-1], corner, ensemble)
    return figure


def _row(steps: Sequence[Step], left: float, top: float, width: float) -> list[Box]:
    """Boxes of one height side by side."""
    each = (width - BETWEEN_IN * (len(steps) - 1)) / len(steps)
    places = [left + number * (each + BETWEEN_IN) for number in range(len(steps))]
    height = max(Box.fit(step, 0, 0, each).height for step in steps)
    return [Box.fit(step, place, top, each, height) for step, place in zip(steps, places, strict=True)]


def _column(steps: Sequence[Step], left: float, top: float, width: float) -> list[Box]:
    """Boxes one below the other."""
    boxes: list[Box] = []
    for step in steps:
        boxes.append(Box.fit(step, left, boxes[-1].bottom + BETWEEN_IN if boxes else top, width))
    return boxes


def _spread(boxes: Sequence[Box], bottom: float) -> list[Box]:
    """The boxes moved apart, so that the last one ends at ``bottom``."""
    slack = (bottom - boxes[-1].bottom) / max(len(boxes) - 1, 1)
    return [
        Box(box.title, box.lines, box.left, box.top + number * slack, box.width, box.height)
        for number, box in enumerate(boxes)
    ]


def _draw_lane(axes: Axes, lane: Lane, place: tuple[float, float, float, float], boxes: Sequence[Box]) -> None:
    left, top, width, height = place
    axes.add_patch(_rounded(left, top, width, height, lane.ground, lane.color, 0.8))
    axes.text(
        left + LANE_PAD_IN, top + LANE_TITLE_IN / 2 + 0.01, lane.name, color=lane.color, fontsize=TITLE_PT,
        weight="bold", va="center",
    )  # fmt: skip
    for box in boxes:
        axes.add_patch(_rounded(box.left, box.top, box.width, box.height, Color.PAPER, lane.color, 0.7))
        _write(axes, box)
    for before, after in itertools.pairwise(boxes):
        if after.top == before.top:
            middle = before.top + before.height / 2
            _draw_arrow(axes, (before.left + before.width, middle), (after.left, middle))
        else:
            _draw_arrow(axes, (before.middle, before.bottom), (after.middle, after.top))


def _rounded(
    left: float, top: float, width: float, height: float, face: Color, edge: Color, line: float
) -> FancyBboxPatch:
    style = "round,pad=0,rounding_size=0.05"
    return FancyBboxPatch((left, top), width, height, boxstyle=style, facecolor=face, edgecolor=edge, linewidth=line)


def _write(axes: Axes, box: Box) -> None:
    style: dict[str, Any] = {"va": "top", "linespacing": LINE_SPACING}
    x, y = box.left + PAD_IN, box.top + PAD_IN
    axes.text(x, y, "\n".join(box.title), fontsize=TEXT_PT, weight="bold", **style)
    y += len(box.title) * line_height(TEXT_PT)
    axes.text(x, y, "\n".join(box.lines), fontsize=NOTE_PT, **style)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=6, color=Color.INK, linewidth=0.8, shrinkA=0, shrinkB=0
        )
    )


def _draw_models(axes: Axes, networks: Box, corner: tuple[float, float], ensemble: Box) -> None:
    """The way of the trained networks, between the lanes, to the ensemble."""
    x, y = corner[0] + LANE_GAP_IN / 2, ensemble.top + ensemble.height / 2
    start = (networks.left + networks.width, corner[1])
    axes.plot([start[0], x, x], [start[1], start[1], y], color=Color.INK, linewidth=0.8)
    _draw_arrow(axes, (x, y), (ensemble.left, y))
