"""A plane of a patient as the paper shows it: axes in mm, orientation letters, a scale bar, contours.

Planes are cut and turned as everywhere in the project (:mod:`hnseg.pictures.planes`): the radiological convention, with
the patient's left on the right of axial and coronal pictures, and the front on the left of sagittal ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.pictures.palette import FUSED_COLORMAP, Color
from hnseg.pictures.planes import PET, Modality, Outline, Plane, sample, slice_grid, to_display
from hnseg.report.paper_figures.style import NOTE_PT, TEXT_PT, place_axes

PET_ALPHA_SUV, PET_ALPHA = (1.5, 6.0), 0.8  # PET laid over CT appears between these values, up to this opacity
BAR_MM = (200.0, 100.0, 50.0, 20.0, 10.0, 5.0)
BAR_SHARE = 0.34  # of a panel's width, at most
Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cut:
    """Where a panel lies in the patient.

    Attributes:
        plane: Direction of view.
        position_mm: Along the axis that it is perpendicular to, LPS.
        seen: The frame, an upright grid of cubes.
    """

    plane: Plane
    position_mm: float
    seen: Grid

    @property
    def extent_mm(self) -> Extent:
        """Physical coordinates of the left, right, bottom and top edge of the picture."""
        across, down = (axis for axis in range(3) if axis != self.plane.across)
        low, high = self.seen.bounds_mm()
        ends = (low[down], high[down]) if self.plane.head_up else (high[down], low[down])
        return float(low[across]), float(high[across]), float(ends[0]), float(ends[1])

    @property
    def width_mm(self) -> float:
        """Of the picture."""
        return self.extent_mm[1] - self.extent_mm[0]

    @property
    def height_mm(self) -> float:
        """Of the picture."""
        return abs(self.extent_mm[3] - self.extent_mm[2])

    @property
    def name(self) -> str:
        """The plane and its position: ``coronal, y = 12 mm``."""
        return f"{self.plane.name}, {'xyz'[self.plane.across]} = {format_mm(self.position_mm)} mm"

    def values(self, image: Any, *, outside: float) -> NDArray[Any]:
        """A SimpleITK image on the plane (rows, columns), interpolated linearly."""
        return to_display(
            sample(image, slice_grid(self.seen, self.plane, self.position_mm), outside=outside), self.plane
        )

    def label(self, image: Any) -> NDArray[np.uint8]:
        """A label (SimpleITK image) on the plane (rows, columns)."""
        grid = slice_grid(self.seen, self.plane, self.position_mm)
        return to_display(sample(image, grid, nearest=True), self.plane).astype(np.uint8)


def show_image(
    axes: Axes, values: NDArray[Any], cut: Cut, colormap: str, window: tuple[float, float], *, ticks: bool = False
) -> AxesImage:
    """Draw a plane in mm."""
    low, high = window
    shown = axes.imshow(
        values, cmap=colormap, vmin=low, vmax=high, extent=cut.extent_mm, origin="upper", aspect="equal"
    )
    if not ticks:
        axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_linewidth(0.4)
    return shown


def lay_pet(axes: Axes, suv: NDArray[Any], cut: Cut) -> ScalarMappable:
    """Lay a PET plane over a CT plane: transparent where there is little uptake; returns its color scale."""
    scale = ScalarMappable(Normalize(*PET.window), colormaps[FUSED_COLORMAP])
    colors = scale.to_rgba(suv)
    first, full = PET_ALPHA_SUV
    colors[..., 3] = PET_ALPHA * np.clip((suv - first) / (full - first), 0, 1)
    axes.imshow(colors, extent=cut.extent_mm, origin="upper", aspect="equal")
    return scale


def fill_region(axes: Axes, mask: NDArray[np.bool_], cut: Cut, color: Color, alpha: float) -> None:
    """Tint a region of a plane."""
    colors = np.zeros((*mask.shape, 4))
    colors[mask] = to_rgba(color.value, alpha)
    axes.imshow(colors, extent=cut.extent_mm, origin="upper", aspect="equal", interpolation="nearest")


def draw_outline(axes: Axes, outline: Outline, cut: Cut, width_pt: float) -> None:
    """Draw the border of a region with a dark halo; a region that is empty or fills the plane has none."""
    if not outline.mask.any() or outline.mask.all():
        return
    lines = axes.contour(
        outline.mask.astype(np.float32),
        [0.5],
        colors=[outline.color],
        linestyles=[outline.style],
        linewidths=width_pt,
        extent=cut.extent_mm,
        origin="upper",
    )
    lines.set_path_effects([withStroke(linewidth=width_pt + 0.8, foreground=Color.HALO)])


def draw_box(axes: Axes, box: Grid, plane: Plane) -> Rectangle:
    """Draw the outline of a box, in mm."""
    across, down = (axis for axis in range(3) if axis != plane.across)
    low, high = box.bounds_mm()
    corner, size = (float(low[across]), float(low[down])), high - low
    edge = Rectangle(
        corner, float(size[across]), float(size[down]), fill=False, edgecolor=Color.CROP_BOX, linewidth=1.2
    )
    edge.set_path_effects([withStroke(linewidth=2.0, foreground=Color.HALO)])
    axes.add_patch(edge)
    return edge


def draw_letters(axes: Axes, plane: Plane) -> None:
    """What lies at each edge: R, L, A, P, H, F."""
    places = ((0.03, 0.5, "left"), (0.97, 0.5, "right"), (0.5, 0.985, "center"), (0.5, 0.015, "center"))
    for letter, (x, y, side), vertical in zip(plane.edges, places, ("center", "center", "top", "bottom"), strict=True):
        _write(axes, x, y, letter, TEXT_PT, ha=side, va=vertical, fontweight="bold")


def draw_scale_bar(axes: Axes) -> float:
    """Draw a scale bar into the lower left corner of axes in mm; returns its length in mm."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    length = next((bar for bar in BAR_MM if bar <= BAR_SHARE * (right - left)), BAR_MM[-1])
    x, y = left + 0.05 * (right - left), bottom + 0.05 * (top - bottom)
    (line,) = axes.plot([x, x + length], [y, y], color=Color.PAPER, linewidth=1.6, solid_capstyle="butt")
    line.set_path_effects([withStroke(linewidth=2.6, foreground=Color.HALO)])
    _write(axes, 0.05, 0.065, f"{length / 10:g} cm", NOTE_PT, ha="left", va="bottom")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    return length


def _write(axes: Axes, x: float, y: float, text: str, size_pt: float, **style: Any) -> None:
    """White text with a dark halo, at a place in shares of the axes."""
    written = axes.text(x, y, text, transform=axes.transAxes, color=Color.PAPER, fontsize=size_pt, **style)
    written.set_path_effects([withStroke(linewidth=1.4, foreground=Color.HALO)])


def draw_color_bar(
    figure: Figure,
    shown: ScalarMappable,
    label: str,
    place: tuple[float, float, float],
    *,
    ticks: Sequence[float] | None = None,
) -> None:
    """Draw a horizontal color bar at left, top and width in inches; values beyond its ends have their colors."""
    left, top, width = place
    axes = place_axes(figure, left, top, width, 0.07)
    extend = "max" if shown.norm.vmin == 0 else "both"  # there is nothing below SUV 0
    bar = figure.colorbar(shown, cax=axes, orientation="horizontal", extend=extend, extendfrac=0.04, ticks=ticks)
    bar.set_label(label, fontsize=NOTE_PT, labelpad=1.0)
    bar.outline.set_linewidth(0.4)


def format_mm(value: float) -> str:
    """A whole number of millimeters, or of another unit, with a minus sign instead of a hyphen.

    >>> format_mm(-12.4), format_mm(-0.2)
    ('−12', '0')
    """
    return f"{round(value)}".replace("-", "−")


def describe_convention(planes: Sequence[Plane]) -> str:
    """How the planes are turned, for the note below a figure."""
    sagittal = "; in sagittal views the front is on the left" if any(plane.across == 0 for plane in planes) else ""
    return f"Radiological convention: the patient's left is on the right{sagittal}."


def describe_window(modality: Modality) -> str:
    """The window of a modality: ``CT, −160 to 240 HU``."""
    low, high = modality.window
    return f"{modality.name}, {format_mm(low)} to {format_mm(high)} {modality.unit}"
