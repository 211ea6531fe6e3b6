"""Planes through a scan, in radiological orientation.

CT, PET and label may lie on three grids with any direction. Each plane is resampled, one voxel thick, onto an upright
plane of square pixels, so geometry is respected whatever the headers say: axial with the front up, coronal with the
head up, both with the patient's left on the right of the picture (radiological convention); sagittal with the head
up and the front on the left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.images.resample import upright_grid
from hnseg.pictures.encoding import Picture
from hnseg.pictures.palette import Color
from ssimh.images.simpleitk import load_sitk

DPI = 100


@dataclass(frozen=True)
class Modality:
    """How a modality is drawn.

    Attributes:
        name: For captions.
        unit: Of its values.
        window: Values at the two ends of the color map, in ``unit``.
        outside: Value where the image does not reach.
        colormap: Of matplotlib.
    """

    name: str
    unit: str
    window: tuple[float, float]
    outside: float
    colormap: str


CT = Modality("CT", "HU", (-160.0, 240.0), -1024.0, "gray")
PET = Modality("PET", "SUV", (0.0, 10.0), 0.0, "gray_r")


@dataclass(frozen=True)
class Plane:
    """One of the three directions of view.

    Attributes:
        name: For captions.
        across: The physical axis (0 x, 1 y, 2 z; LPS) that the plane is perpendicular to.
        edges: What lies to the left, right, top and bottom of the picture.
        head_up: Whether rows run against z.
    """

    name: str
    across: int
    edges: tuple[str, str, str, str]
    head_up: bool


PLANES = (
    Plane("axial", 2, ("R", "L", "A", "P"), head_up=False),
    Plane("coronal", 1, ("R", "L", "H", "F"), head_up=True),
    Plane("sagittal", 0, ("A", "P", "H", "F"), head_up=True),
)


@dataclass(frozen=True)
class View:
    """A picture of one plane and how to read it."""

    plane: Plane
    modality: str
    position_mm: float
    picture: Picture


@dataclass(frozen=True)
class Outline:
    """What is drawn around a region of a plane: its mask (rows, columns), color and line style."""

    mask: NDArray[np.bool_]
    color: str
    style: Any = "solid"


@dataclass(frozen=True)
class Contours:
    """A label (SimpleITK image), and the color and line style in which each of its values is outlined."""

    label: Any
    styles: Mapping[int, tuple[Color, Any]]


def frame(low_mm: NDArray[np.float64], high_mm: NDArray[np.float64], pixel_mm: float) -> Grid:
    """The upright grid of cubes that fills a box, to the nearest voxel."""
    size = [max(1, round(float(length) / pixel_mm)) for length in high_mm - low_mm]
    return upright_grid(low_mm, (size[0], size[1], size[2]), pixel_mm)


def sample(image: Any, grid: Grid, *, nearest: bool = False, outside: float = 0.0) -> NDArray[Any]:
    """Values (z, y, x) of a SimpleITK image on a grid."""
    sitk = load_sitk()
    how = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    reference = (grid.size, sitk.Transform(), how, grid.origin_mm, grid.spacing_mm, grid.direction)
    values: NDArray[Any] = sitk.GetArrayFromImage(sitk.Resample(image, *reference, outside))
    return values


def slice_with_most_label(label: Any, box: Grid, plane: Plane, coarse_mm: float = 2.0) -> float | None:
    """Where to cut to see the most of a label, in mm; None where it is empty."""
    coarse = frame(*box.bounds_mm(), coarse_mm)
    others = tuple(2 - axis for axis in range(3) if axis != plane.across)
    area = np.count_nonzero(sample(label, coarse, nearest=True), axis=others)
    return coarse.origin_mm[plane.across] + int(area.argmax()) * coarse_mm if area.any() else None


def middle(box: Grid, plane: Plane) -> float:
    """Where to cut to halve a box, in mm."""
    low, high = box.bounds_mm()
    return float(low[plane.across] + high[plane.across]) / 2


def slice_grid(box: Grid, plane: Plane, position_mm: float) -> Grid:
    """The one-voxel-thick grid of a plane through a box."""
    size, origin = list(box.size), list(box.origin_mm)
    size[plane.across], origin[plane.across] = 1, position_mm
    return Grid((size[0], size[1], size[2]), box.spacing_mm, (origin[0], origin[1], origin[2]))


def to_display(values: NDArray[Any], plane: Plane) -> NDArray[Any]:
    """A plane (z, y, x) with one axis of length 1, as rows from top to bottom and columns from left to right."""
    flat = values.squeeze(axis=2 - plane.across)
    return flat[::-1] if plane.head_up else flat


def box_on_plane(box: Grid, seen: Grid, plane: Plane) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box on a plane of ``seen``, in pixels of :func:`to_display`."""
    across, down = (axis for axis in range(3) if axis != plane.across)
    index = seen.to_index(np.array(box.bounds_mm()))
    left, right = index[0, across], index[1, across]
    top, bottom = index[0, down], index[1, down]
    if plane.head_up:
        top, bottom = seen.size[down] - 1 - bottom, seen.size[down] - 1 - top
    return float(left), float(top), float(right - left), float(bottom - top)


def draw_plane(
    background: NDArray[Any],
    modality: Modality,
    outlines: Sequence[Outline],
    *,
    scale: float,
    box: tuple[float, float, float, float] | None = None,
) -> Figure:
    """Draw a plane with contours.

    Args:
        background: (rows, columns) Values of the plane, in the unit of the modality.
        modality: Its window and color map.
        outlines: What is drawn on it.
        scale: Pixels of the picture per pixel of the background.
        box: Left, top, width, height of a rectangle, see :func:`box_on_plane`.

    Returns:
        To be saved at :data:`DPI`.
    """
    rows, columns = background.shape
    figure = Figure(figsize=(columns * scale / DPI, rows * scale / DPI))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    # 48 gray levels are more than a screen shows in this window, and a third of the file.
    low, high = modality.window
    levels = np.round(np.clip((background - low) / (high - low), 0, 1) * 47) / 47
    axis.imshow(levels, cmap=modality.colormap, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for outline in outlines:
        if outline.mask.any() and not outline.mask.all():
            lines = axis.contour(
                outline.mask, [0.5], colors=[outline.color], linewidths=1.5, linestyles=[outline.style]
            )
            lines.set_path_effects([withStroke(linewidth=2.6, foreground=Color.HALO)])
    if box is not None:
        left, top, width, height = box
        edge = Rectangle((left, top), width, height, fill=False, edgecolor=Color.CROP_BOX, linewidth=1.6)
        edge.set_path_effects([withStroke(linewidth=2.8, foreground=Color.HALO)])
        axis.add_patch(edge)
    axis.set_xlim(-0.5, columns - 0.5)
    axis.set_ylim(rows - 0.5, -0.5)
    return figure


def draw_views(
    images: Sequence[tuple[Modality, Any]],
    positions_mm: Mapping[Plane, float],
    seen: Grid,
    contours: Sequence[Contours],
    *,
    subject: str,
    scale: Callable[[Sequence[int]], float],
    encode: Callable[[Figure, str], Picture],
    box: Grid | None = None,
) -> list[View]:
    """Draw planes through several images of one patient.

    Args:
        images: Modalities with their SimpleITK images, each on its own grid.
        positions_mm: The planes, and where each one cuts.
        seen: The frame, an upright grid of cubes (:func:`frame`).
        contours: Labels to be outlined, the last one on top.
        subject: First words of the pictures' alternative text.
        scale: From the shape (rows, columns) of a plane to the picture's pixels per pixel of the plane.
        encode: From a figure and its alternative text to a picture.
        box: Drawn as a rectangle.

    Returns:
        Image by image, its planes in the order of ``positions_mm``.
    """
    views = []
    for modality, image in images:
        for plane, position_mm in positions_mm.items():
            grid = slice_grid(seen, plane, position_mm)
            background = to_display(sample(image, grid, outside=modality.outside), plane)
            outlines = []
            for layer in contours:
                flat = to_display(sample(layer.label, grid, nearest=True), plane)
                outlines += [Outline(flat == value, color, style) for value, (color, style) in layer.styles.items()]
            rectangle = box_on_plane(box, seen, plane) if box is not None else None
            figure = draw_plane(background, modality, outlines, scale=scale(background.shape), box=rectangle)
            alt = f"{subject}: {modality.name}, {plane.name} plane at {position_mm:.0f} mm"
            views.append(View(plane, modality.name, position_mm, encode(figure, alt)))
    return views
