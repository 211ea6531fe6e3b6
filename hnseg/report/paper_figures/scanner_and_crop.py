"""Figure 1: a case as it was scanned, with its crop box, beside the standardized crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import ConnectionPatch
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk
from hnseg.pictures.palette import Color
from hnseg.pictures.planes import CT, PLANES, frame
from hnseg.report.paper_figures.figure_case import FigureCase
from hnseg.report.paper_figures.figure_files import DrawnFigure
from hnseg.report.paper_figures.panels import (
    PET_ALPHA_SUV,
    Cut,
    describe_convention,
    describe_window,
    draw_box,
    draw_color_bar,
    draw_letters,
    draw_scale_bar,
    format_mm,
    lay_pet,
    show_image,
)
from hnseg.report.paper_figures.style import MARGIN_IN, NOTE_PT, TITLE_PT, WIDTH_IN, Note, make_figure, place_axes

SHOWN = PLANES[1:]  # coronal and sagittal
LONGEST_PX = 600  # of the scan's longer side
FRAME_SHARE = 0.07  # around scan and box, for the box's edges, the letters and the scale bar
TALLEST_IN = 2.0
LEFT_IN, GAP_IN, RIGHT_IN = 0.45, 0.3, 0.4  # for the ticks of the scan, the lines between, the ticks of the crop
HEAD_IN, ROW_IN, BARS_IN = 0.4, 0.48, 0.36


@dataclass(frozen=True)
class FusedPlane:
    """CT in HU and PET in SUV on one plane (rows, columns)."""

    cut: Cut
    ct_hu: NDArray[Any]
    pet_suv: NDArray[Any]


@dataclass(frozen=True)
class ScannerAndCrop:
    """What the figure shows: whole scan and crop, coronal and sagittal, cut at the same places.

    Attributes:
        box: The crop box, in scanner coordinates.
        scanner, crop: The planes.
    """

    box: Grid
    scanner: Sequence[FusedPlane]
    crop: Sequence[FusedPlane]


def cut_scanner_and_crop(case: FigureCase) -> ScannerAndCrop:
    """Cut scan and crop through the lesions, or through the middle of the box where there is no label."""
    box, ct_grid = case.record.crop_grid, case.record.ct_grid
    bounds = [ct_grid.bounds_mm(), box.bounds_mm()]
    low = np.minimum(*(lower for lower, _ in bounds))
    high = np.maximum(*(upper for _, upper in bounds))
    around = FRAME_SHARE * float((high - low).max())
    seen = frame(low - around, high + around, max(1.0, float((high - low).max()) / LONGEST_PX))
    positions = {plane: _voxel_center(box, plane.across, case.find_lesion(box, plane)) for plane in SHOWN}
    cropped = case.cropped
    crop_ct, crop_pet = to_sitk(cropped.ct_hu, box), to_sitk(cropped.pet_suv, box)
    scanner = [_fuse(case.ct, case.pet, Cut(plane, mm, seen)) for plane, mm in positions.items()]
    crop = [_fuse(crop_ct, crop_pet, Cut(plane, mm, box)) for plane, mm in positions.items()]
    return ScannerAndCrop(box, scanner, crop)


def _voxel_center(box: Grid, axis: int, position_mm: float) -> float:
    """The nearest plane of voxel centers, so that the crop is shown as it is stored."""
    index = round((position_mm - box.origin_mm[axis]) / box.spacing_mm[axis])
    return box.origin_mm[axis] + min(max(index, 0), box.size[axis] - 1) * box.spacing_mm[axis]


def _fuse(ct: Any, pet: Any, cut: Cut) -> FusedPlane:
    return FusedPlane(cut, cut.values(ct, outside=CT.window[0]), cut.values(pet, outside=0.0))


def draw_scanner_and_crop(case: FigureCase) -> DrawnFigure:
    """Draw figure 1."""
    shown = cut_scanner_and_crop(case)
    low, high = shown.box.bounds_mm()
    length = " × ".join(f"{float(value):.0f}" for value in high - low)
    voxels = " × ".join(map(str, shown.box.size))
    spacing = f"{shown.box.spacing_mm[0]:.3g}"
    where = ", ".join(f"{name} {format_mm(a)} to {format_mm(b)}" for name, a, b in zip("xyz", low, high, strict=True))
    crop = case.record.crop
    note = Note(
        f"{case.id} ({case.place.description}). Left: CT with PET in scanner coordinates (LPS) and the crop box of "
        f"{length} mm ({where}). Right: the crop, {voxels} voxels of {spacing} mm. PET shows above SUV "
        f"{PET_ALPHA_SUV[0]:g}. Box by {crop.method}{' (fallback)' if crop.fallback else ''}: {crop.reason}.",
        describe_convention(SHOWN),
    )
    caption = (
        f"Pre-processing of {case.id}. Left: CT and PET in scanner coordinates with the crop box of {length} mm. "
        f"Right: the standardized crop after resampling to {spacing} mm isotropic spacing."
    )
    figure = draw_planes(shown, note)
    return DrawnFigure(1, "Scan and standardized crop", caption, figure, case.id, case.inputs)


def draw_planes(shown: ScannerAndCrop, note: Note) -> Figure:
    """Draw the planes, two rows of two panels as large as the page allows."""
    aspects = [max(_aspect(plane.cut) for plane in planes) for planes in (shown.scanner, shown.crop)]
    height = min(TALLEST_IN, (WIDTH_IN - LEFT_IN - GAP_IN - RIGHT_IN) / sum(aspects))
    figure = make_figure(HEAD_IN + 2 * (height + ROW_IN) + BARS_IN + note.height_in)
    used = LEFT_IN + GAP_IN + RIGHT_IN + height * sum(aspects)
    left = (WIDTH_IN - used) / 2 + LEFT_IN
    right = left + height * aspects[0] + GAP_IN
    scales: list[ScalarMappable] = []
    for row, (whole, crop) in enumerate(zip(shown.scanner, shown.crop, strict=True)):
        top = HEAD_IN + row * (height + ROW_IN)
        axes = place_axes(figure, left, top, height * _aspect(whole.cut), height)
        zoomed = place_axes(figure, right, top, height * _aspect(crop.cut), height)
        scales = [*_show(axes, whole), *scales]
        _show(zoomed, crop)
        axes.set_xlabel(f"{'xy'[row]}, mm")
        axes.set_ylabel("z, mm")
        draw_box(axes, shown.box, whole.cut.plane)
        _count_voxels(zoomed, crop.cut)
        _connect(axes, zoomed, shown.box, whole.cut)
        for panel in (axes, zoomed):
            panel.set_title(whole.cut.name, fontsize=NOTE_PT, pad=2.5)
            draw_letters(panel, whole.cut.plane)
            draw_scale_bar(panel)
    for x, text in ((left, "scanner coordinates"), (right, "standardized crop")):
        figure.text(x / WIDTH_IN, 1 - 0.13 / figure.get_figheight(), text, fontsize=TITLE_PT, va="center")
    bars = HEAD_IN + 2 * (height + ROW_IN)
    width = (WIDTH_IN - 6 * MARGIN_IN) / 2
    for column, (scale, text) in enumerate(zip(scales[:2], (describe_window(CT), "PET, SUV"), strict=True)):
        draw_color_bar(figure, scale, text, (2 * MARGIN_IN + column * (width + 2 * MARGIN_IN), bars, width))
    note.write(figure)
    return figure


def _aspect(cut: Cut) -> float:
    return cut.width_mm / cut.height_mm


def _show(axes: Axes, plane: FusedPlane) -> tuple[AxesImage, ScalarMappable]:
    image = show_image(axes, plane.ct_hu, plane.cut, CT.colormap, CT.window, ticks=True)
    return image, lay_pet(axes, plane.pet_suv, plane.cut)


def _count_voxels(axes: Axes, cut: Cut) -> None:
    """Ticks of the crop in voxels, on the outer side."""
    left, right, bottom, top = cut.extent_mm
    across, down = (cut.seen.size[axis] for axis in range(3) if axis != cut.plane.across)
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    for ticks, low, high, count in ((axes.set_xticks, left, right, across), (axes.set_yticks, bottom, top, down)):
        places = [0, count // 2, count]
        ticks([low + (high - low) * place / count for place in places], [str(place) for place in places])
    axes.set_xlabel(f"{'xyz'[0 if cut.plane.across else 1]}, voxels")
    axes.set_ylabel("z, voxels")


def _connect(axes: Axes, zoomed: Axes, box: Grid, cut: Cut) -> None:
    """Lines from the box in the scan to the crop."""
    across, down = (axis for axis in range(3) if axis != cut.plane.across)
    low, high = box.bounds_mm()
    for z, share in ((high[down], 1.0), (low[down], 0.0)):
        line = ConnectionPatch(
            (float(high[across]), float(z)),
            (0.0, share),
            axes.transData,
            zoomed.transAxes,
            color=Color.SOFT,
            linewidth=0.6,
            linestyle=(0, (3, 2)),
        )
        axes.figure.add_artist(line)
