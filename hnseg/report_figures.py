"""Overlays: what was predicted, on what the reader of the scan sees.

CT, PET and label may lie on three grids with any direction. Each plane is resampled, one voxel thick, onto an upright
plane of square pixels, so geometry is respected whatever the headers say: axial with the front up, coronal with the
head up, both with the patient's left on the right of the picture (radiological convention); sagittal with the head
up and the front on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from hnseg.geometry import Grid
from hnseg.images import load_sitk, read_image, to_sitk
from hnseg.metrics import GTVN, GTVP
from hnseg.report_plots import ORANGE, SKY, Picture, picture

CT_WINDOW_HU = (-160.0, 240.0)
PET_WINDOW_SUV = (0.0, 10.0)
PIXEL_MM = 1.0
PICTURE_PX_PER_MM = 2.0
LARGEST_PX = 720  # of a picture's longer side; a crop box of 310 mm gives 620
MARGIN_MM = 40.0
TRUTH, PREDICTED = SKY, ORANGE
STYLES = {GTVP: "solid", GTVN: (0, (2.2, 1.3))}


@dataclass(frozen=True)
class Plane:
    """One of the three directions of view.

    Attributes
    ----------
    name : str
    across : int
        The physical axis (0 x, 1 y, 2 z; LPS) that the plane is perpendicular to.
    edges : tuple of str
        What lies to the left, right, top and bottom of the picture.
    head_up : bool
        Whether rows run against z.
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
class Scan:
    """The images of one case as SimpleITK images; ``pet`` and ``truth`` may be None."""

    ct: Any
    pet: Any
    truth: Any
    pred: Any
    box: Grid


def load_scan(case_id: str, files: dict[str, Any], prediction: Path, crop_grid: dict[str, Any] | None) -> Scan:
    """Read what an overlay needs.

    Parameters
    ----------
    files : dict
        Paths ``ct``, ``pet`` and ``label``; the last two may be None.
    prediction : Path
    crop_grid : dict or None
        The crop box; without it the view is centred on the lesions.

    Raises
    ------
    CaseError
        A file is missing or unreadable.
    """
    images = {}
    for name, path in (("ct", files["ct"]), ("pet", files.get("pet")), ("truth", files.get("label"))):
        if path:
            array, grid = read_image(Path(path), case_id, np.uint8 if name == "truth" else np.float32)
            images[name] = to_sitk(array, grid)
    mask, mask_grid = read_image(prediction, case_id, np.uint8)
    images["pred"] = to_sitk(mask, mask_grid)
    box = Grid(**crop_grid) if crop_grid else lesion_box(mask, mask_grid)
    low, high = box.bounds_mm()
    # Above and below the scan there is nothing to see. Across, the box keeps its width: one scale for all pictures.
    scan_low, scan_high = mask_grid.bounds_mm()
    if max(low[2], scan_low[2]) + PIXEL_MM < min(high[2], scan_high[2]):
        low[2], high[2] = max(low[2], scan_low[2]), min(high[2], scan_high[2])
    return Scan(images["ct"], images.get("pet"), images.get("truth"), images["pred"], _upright(low, high, PIXEL_MM))


def lesion_box(mask: NDArray[np.uint8], grid: Grid) -> Grid:
    """An upright box around a mask with a margin, or around the whole grid when the mask is empty."""
    where = np.argwhere(mask > 0)[:, ::-1]
    if not len(where):
        return _upright(*grid.bounds_mm(), PIXEL_MM)
    points = grid.to_physical(where)
    return _upright(points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM, PIXEL_MM)


def _upright(low_mm: NDArray[np.float64], high_mm: NDArray[np.float64], pixel_mm: float) -> Grid:
    size = [max(1, round(float(length) / pixel_mm)) for length in high_mm - low_mm]
    origin = [float(v) + pixel_mm / 2 for v in low_mm]
    return Grid((size[0], size[1], size[2]), (pixel_mm,) * 3, (origin[0], origin[1], origin[2]))


def sample(image: Any, grid: Grid, *, nearest: bool = False, outside: float = 0.0) -> NDArray[Any]:
    """Values (z, y, x) of a SimpleITK image on a grid."""
    sitk = load_sitk()
    how = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    reference = (grid.size, sitk.Transform(), how, grid.origin_mm, grid.spacing_mm, grid.direction)
    values: NDArray[Any] = sitk.GetArrayFromImage(sitk.Resample(image, *reference, outside))
    return values


def choose_position(scan: Scan, plane: Plane) -> float:
    """Where to cut, in mm: through the most lesion, true if there is any, else predicted, else through the middle."""
    coarse = _upright(*scan.box.bounds_mm(), 2.0)
    others = tuple(2 - axis for axis in range(3) if axis != plane.across)
    index = coarse.size[plane.across] // 2
    for label in (scan.truth, scan.pred):
        if label is None:
            continue
        area = np.count_nonzero(sample(label, coarse, nearest=True), axis=others)
        if area.any():
            index = int(area.argmax())
            break
    return coarse.origin_mm[plane.across] + index * 2.0


def cut(box: Grid, plane: Plane, position_mm: float) -> Grid:
    """The one-voxel-thick grid of a plane through a box."""
    size, origin = list(box.size), list(box.origin_mm)
    size[plane.across], origin[plane.across] = 1, position_mm
    return Grid((size[0], size[1], size[2]), box.spacing_mm, (origin[0], origin[1], origin[2]))


def as_seen(values: NDArray[Any], plane: Plane) -> NDArray[Any]:
    """A plane (z, y, x) with one axis of length 1, as rows from top to bottom and columns from left to right."""
    flat = values.squeeze(axis=2 - plane.across)
    return flat[::-1] if plane.head_up else flat


def views(scan: Scan) -> list[View]:
    """CT in three planes, then PET in the same three planes, with the contours of truth and prediction."""
    shown = [("CT", scan.ct, CT_WINDOW_HU, -1024.0, "gray")]
    if scan.pet is not None:
        shown.append(("PET", scan.pet, PET_WINDOW_SUV, 0.0, "gray_r"))
    positions = [choose_position(scan, plane) for plane in PLANES]
    made = []
    for modality, image, window, outside, colours in shown:
        for plane, position_mm in zip(PLANES, positions, strict=True):
            grid = cut(scan.box, plane, position_mm)
            background = as_seen(sample(image, grid, outside=outside), plane)
            outlines = [
                (as_seen(sample(label, grid, nearest=True), plane), colour)
                for label, colour in ((scan.truth, TRUTH), (scan.pred, PREDICTED))
                if label is not None
            ]
            alt = f"{modality}, {plane.name} plane at {position_mm:.0f} mm, with contours"
            drawn = _draw(background, outlines, window, colours, alt)
            made.append(View(plane, modality, position_mm, drawn))
    return made


def _draw(
    background: NDArray[Any],
    outlines: Sequence[tuple[NDArray[Any], str]],
    window: tuple[float, float],
    colours: str,
    alt: str,
) -> Picture:
    rows, columns = background.shape
    scale = min(PICTURE_PX_PER_MM * PIXEL_MM, LARGEST_PX / max(rows, columns))
    dpi = 100
    figure = Figure(figsize=(columns * scale / dpi, rows * scale / dpi))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    # 48 grey levels are more than a screen shows in this window, and a third of the file.
    levels = np.round(np.clip((background - window[0]) / (window[1] - window[0]), 0, 1) * 47) / 47
    axis.imshow(levels, cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for label, colour in outlines:
        for value, style in STYLES.items():
            mask = label == value
            if mask.any() and not mask.all():
                lines = axis.contour(mask, [0.5], colors=[colour], linewidths=1.5, linestyles=[style])
                lines.set_path_effects([withStroke(linewidth=2.6, foreground="#000000a0")])
    axis.set_xlim(-0.5, columns - 0.5)
    axis.set_ylim(rows - 0.5, -0.5)
    return picture(figure, alt, dpi)


def thumbnail(path: Path, alt: str, width_px: int = 1000) -> Picture:
    """A PNG made smaller; the quality-control picture of a case is made for a larger screen."""
    import io

    from PIL import Image

    from hnseg.report_plots import png

    with Image.open(path) as image:
        small = image.convert("RGB")
        if small.width > width_px:
            small = small.resize((width_px, round(small.height * width_px / small.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.quantize(128).save(buffer, format="PNG", optimize=True)
    return png(buffer.getvalue(), alt)
