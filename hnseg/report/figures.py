"""Overlays of predictions and reference labels on the scan's planes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hnseg.cohort.cases import Case
from hnseg.cohort.labels import LESION_CLASSES, Label, read_label
from hnseg.cohort.suv import read_suv
from hnseg.images.geometry import Grid
from hnseg.images.image_io import read_image, to_sitk
from hnseg.pictures.encoding import Picture, encode_png, wrap_png
from hnseg.pictures.palette import Color, line_style
from hnseg.pictures.planes import (
    CT,
    DPI,
    PET,
    PLANES,
    Contours,
    Plane,
    View,
    draw_views,
    frame,
    middle,
    slice_with_most_label,
)
from hnseg.report.records import CaseFiles, GridRecord

PIXEL_MM = 1.0
PICTURE_PX_PER_MM = 2.0
LARGEST_PX = 720  # of a picture's longer side; a crop box of 310 mm gives 620
MARGIN_MM = 40.0


@dataclass(frozen=True)
class CaseImages:
    """The images of one case as SimpleITK images; ``pet`` and ``truth`` may be None."""

    ct: Any
    pet: Any
    truth: Any
    pred: Any
    box: Grid


def load_images(files: CaseFiles, prediction: Path, crop_grid: GridRecord | None) -> CaseImages:
    """Read what an overlay needs.

    Args:
        files: Of the case, from check.json.
        prediction: Its predicted mask.
        crop_grid: The crop box; without it the view is centered on the lesions.

    Raises:
        CaseError: A file is missing or unreadable.
    """
    ct = to_sitk(*read_image(Path(files.ct), files.id))
    truth = to_sitk(*read_label(Path(files.label), files.id)) if files.label else None
    pet = None
    if files.pet:
        suv = read_suv(Case(files.id, Path(files.ct), Path(files.pet), None, suv_factor=files.suv_factor))
        pet = to_sitk(suv.suv, suv.grid)
    mask, mask_grid = read_label(prediction, files.id)
    box = Grid(**crop_grid.model_dump()) if crop_grid else lesion_box(mask, mask_grid)
    low, high = box.bounds_mm()
    # Above and below the scan there is nothing to see. Across, the box keeps its width: one scale for all pictures.
    scan_low, scan_high = mask_grid.bounds_mm()
    if max(low[2], scan_low[2]) + PIXEL_MM < min(high[2], scan_high[2]):
        low[2], high[2] = max(low[2], scan_low[2]), min(high[2], scan_high[2])
    return CaseImages(ct, pet, truth, to_sitk(mask, mask_grid), frame(low, high, PIXEL_MM))


def lesion_box(mask: Label, grid: Grid) -> Grid:
    """An upright box around a mask with a margin, or around the whole grid when the mask is empty."""
    where = np.argwhere(mask > 0)[:, ::-1]
    if not len(where):
        return frame(*grid.bounds_mm(), PIXEL_MM)
    points = grid.to_physical(where)
    return frame(points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM, PIXEL_MM)


def choose_position(images: CaseImages, plane: Plane) -> float:
    """Where to cut, in mm: through the most lesion, true if there is any, else predicted, else through the middle."""
    for label in (images.truth, images.pred):
        position_mm = None if label is None else slice_with_most_label(label, images.box, plane)
        if position_mm is not None:
            return position_mm
    return middle(images.box, plane)


def draw_overlays(case_id: str, images: CaseImages) -> list[View]:
    """CT in three planes, then PET in the same three planes, with the contours of truth and prediction."""
    shown = [(CT, images.ct), *([(PET, images.pet)] if images.pet is not None else [])]
    layers = [(images.truth, "truth"), (images.pred, "prediction")]
    return draw_views(
        shown,
        {plane: choose_position(images, plane) for plane in PLANES},
        images.box,
        [
            Contours(label, {each.value: (Color[mask.upper()], line_style(mask, each.key)) for each in LESION_CLASSES})
            for label, mask in layers
            if label is not None
        ],
        subject=case_id,
        scale=lambda shape: min(PICTURE_PX_PER_MM * PIXEL_MM, LARGEST_PX / max(shape)),
        encode=lambda figure, alt: encode_png(figure, alt, DPI),
    )


def thumbnail(path: Path, alt: str, width_px: int = 1000) -> Picture:
    """A PNG made smaller; the quality-control picture of a case is made for a larger screen."""
    with Image.open(path) as image:
        smaller = image.convert("RGB")
        if smaller.width > width_px:
            height_px = round(smaller.height * width_px / smaller.width)
            smaller = smaller.resize((width_px, height_px), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        smaller.quantize(128).save(buffer, format="PNG", optimize=True)
    return wrap_png(buffer.getvalue(), alt)
