"""Figure 5: the prediction of a case on its CT, in three planes through each class of lesions, with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from hnseg.cohort.labels import LESION_CLASSES, LesionClass
from hnseg.images.components import connected_components
from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk
from hnseg.pictures.palette import LESION_COLORS, Color, line_style
from hnseg.pictures.planes import CT, PLANES, Outline, frame, middle, slice_with_most_label
from hnseg.report.paper_figures.figure_case import FigureCase
from hnseg.report.paper_figures.figure_files import DrawnFigure
from hnseg.report.paper_figures.panels import (
    Cut,
    describe_convention,
    describe_window,
    draw_letters,
    draw_outline,
    draw_scale_bar,
    fill_region,
    show_image,
)
from hnseg.report.paper_figures.style import MARGIN_IN, NOTE_PT, TEXT_PT, WIDTH_IN, Note, make_figure, place_axes
from ssimh.images.simpleitk import to_array

VIEW_MM = 160.0  # edge of the cube that is shown, or less where the crop box is smaller
PIXEL_MM = 0.5
FILL = 0.35  # opacity of a predicted region
PREDICTED_PT, TRUE_PT = 1.2, 0.8  # of the outlines
GAP_IN, ROW_IN, LEGEND_IN = 0.05, 0.3, 0.22


@dataclass(frozen=True)
class TriplanarPanel:
    """One plane: CT in HU, predicted and true label, (rows, columns); without a label file ``truth`` is None."""

    cut: Cut
    ct_hu: NDArray[np.float64]
    predicted: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None


@dataclass(frozen=True)
class TriplanarRow:
    """Three planes through one lesion.

    Attributes:
        lesion: Its class; None where there is no lesion at all.
        is_predicted: Whether the planes go through a predicted lesion; False: through a true one that was missed.
        panels: Axial, coronal, sagittal.
    """

    lesion: LesionClass | None
    is_predicted: bool
    panels: tuple[TriplanarPanel, ...]

    @property
    def title(self) -> str:
        """What the planes go through."""
        if self.lesion is None:
            return "middle of the crop box: no lesion, neither predicted nor true"
        return (
            f"largest predicted {self.lesion.name}"
            if self.is_predicted
            else f"largest true {self.lesion.name} (missed)"
        )


def cut_triplanar(case: FigureCase) -> tuple[TriplanarRow, ...]:
    """Cut a case through the largest predicted lesion of each class, or else through the largest true one.

    Raises:
        CaseError: The case has no mask, or one that is out of date, or an image cannot be read.
    """
    rows = []
    for lesion in LESION_CLASSES:
        found = _keep_largest(case.mask, lesion)
        is_predicted = found is not None
        if found is None and case.truth is not None:
            found = _keep_largest(case.truth, lesion)
        if found is not None:
            rows.append(TriplanarRow(lesion, is_predicted, _cut(case, found)))
    return tuple(rows) or (TriplanarRow(None, False, _cut(case, None)),)


def _keep_largest(label: Any, lesion: LesionClass) -> Any | None:
    """The largest component of a class as a label of its own; None where the class is absent."""
    mask = to_array(label) == lesion.value
    parts = connected_components(mask)
    if not len(parts):
        return None
    largest = np.zeros(mask.shape, np.uint8)
    largest[parts.box] = parts.labels == 1 + int(parts.sizes_vox.argmax())
    return to_sitk(largest, _grid(label))


def _grid(image: Any) -> Grid:
    return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def _cut(case: FigureCase, lesion: Any | None) -> tuple[TriplanarPanel, ...]:
    box = case.record.crop_grid
    positions = {}
    for plane in PLANES:
        found = None if lesion is None else slice_with_most_label(lesion, _around(lesion), plane, PIXEL_MM * 2)
        positions[plane] = middle(box, plane) if found is None else found
    center = np.array([next(mm for plane, mm in positions.items() if plane.across == axis) for axis in range(3)])
    seen = view_box(box, center)
    panels = []
    for plane, position_mm in positions.items():
        cut = Cut(plane, position_mm, seen)
        truth = None if case.truth is None else cut.label(case.truth)
        panels.append(TriplanarPanel(cut, cut.values(case.ct, outside=CT.outside), cut.label(case.mask), truth))
    return tuple(panels)


def _around(lesion: Any) -> Grid:
    """The upright box in which the lesion is looked for: its own extent."""
    grid = _grid(lesion)
    points = grid.to_physical(np.argwhere(to_array(lesion))[:, ::-1])
    around = max(grid.spacing_mm)
    return frame(points.min(axis=0) - around, points.max(axis=0) + around, PIXEL_MM)


def view_box(box: Grid, center_mm: NDArray[np.float64]) -> Grid:
    """The cube around a point that is shown; it stays within the crop box, and is no larger than its shortest edge.

    Args:
        box: The crop box.
        center_mm: The point, (x, y, z).
    """
    low, high = box.bounds_mm()
    edge = min(VIEW_MM, float((high - low).min()))
    lower = np.clip(center_mm - edge / 2, low, high - edge)
    return frame(lower, lower + edge, PIXEL_MM)


def draw_triplanar(case: FigureCase) -> DrawnFigure:
    """Draw figure 5.

    Raises:
        CaseError: As :func:`cut_triplanar`.
    """
    rows = cut_triplanar(case)
    truth = "" if case.truth is not None else " The case has no label."
    fold = "" if case.place.fold is None else f", by the network of fold {case.place.fold}, which was not trained on it"
    note = Note(
        f"{case.id} ({case.place.description}{fold}). {describe_window(CT)}. Tinted: predicted; GTVp with a solid, "
        f"GTVn with a dashed line. White lines: truth.{truth}",
        describe_convention(PLANES),
    )
    caption = (
        f"Prediction on {case.id} in three planes: GTVp orange with a solid line, GTVn blue with a dashed line"
        f"{'; the reference contours are white' if case.truth is not None else ''}."
    )
    inputs = {**case.inputs, "mask": case.mask_sha256}
    return DrawnFigure(5, "Prediction in three planes", caption, _draw(rows, note), case.id, inputs)


def _draw(rows: Sequence[TriplanarRow], note: Note) -> Figure:
    width = (WIDTH_IN - 2 * MARGIN_IN - 2 * GAP_IN) / 3
    figure = make_figure(len(rows) * (ROW_IN + width) + LEGEND_IN + note.height_in + MARGIN_IN)
    tall = figure.get_figheight()
    for number, row in enumerate(rows):
        top = number * (ROW_IN + width) + ROW_IN
        title = row.title if row.lesion is None else f"through the {row.title}"
        figure.text(MARGIN_IN / WIDTH_IN, 1 - (top - 0.21) / tall, title, fontsize=TEXT_PT, va="center", weight="bold")
        for column, panel in enumerate(row.panels):
            axes = place_axes(figure, MARGIN_IN + column * (width + GAP_IN), top, width, width)
            _show(axes, panel)
            axes.set_title(panel.cut.name, fontsize=NOTE_PT, pad=2.0)
    has_truth = any(panel.truth is not None for row in rows for panel in row.panels)
    handles: list[Artist] = [_predicted_handle(lesion) for lesion in LESION_CLASSES]
    handles += [_true_handle(lesion) for lesion in LESION_CLASSES] if has_truth else []
    place = (0.5, (note.height_in + MARGIN_IN / 2) / tall)
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=place,
        ncols=len(handles),
        fontsize=NOTE_PT,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=2.4,
        columnspacing=1.6,
    )
    note.write(figure)
    return figure


def _show(axes: Axes, panel: TriplanarPanel) -> None:
    show_image(axes, panel.ct_hu, panel.cut, CT.colormap, CT.window)
    draw_letters(axes, panel.cut.plane)
    for lesion in LESION_CLASSES:
        mask, color = panel.predicted == lesion.value, LESION_COLORS[lesion.key]
        fill_region(axes, mask, panel.cut, color, FILL)
        draw_outline(axes, Outline(mask, color, line_style("truth", lesion.key)), panel.cut, PREDICTED_PT)
    truth = np.zeros_like(panel.predicted) if panel.truth is None else panel.truth
    for lesion in LESION_CLASSES:
        outline = Outline(truth == lesion.value, Color.PAPER, line_style("truth", lesion.key))
        draw_outline(axes, outline, panel.cut, TRUE_PT)
    draw_scale_bar(axes)


def _line_style(lesion: LesionClass) -> Any:
    return line_style("truth", lesion.key)


def _predicted_handle(lesion: LesionClass) -> Patch:
    color = LESION_COLORS[lesion.key]
    return Patch(
        facecolor=to_rgba(color.value, FILL),
        edgecolor=color,
        linestyle=_line_style(lesion),
        linewidth=PREDICTED_PT,
        label=f"{lesion.name}, predicted",
    )


def _true_handle(lesion: LesionClass) -> Line2D:
    halo = [withStroke(linewidth=TRUE_PT + 1.2, foreground=Color.HALO)]
    style = _line_style(lesion)
    name = f"{lesion.name}, truth"
    return Line2D([], [], color=Color.PAPER, linestyle=style, linewidth=TRUE_PT, path_effects=halo, label=name)
