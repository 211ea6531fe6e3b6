"""The pictures of a case for check: CT and PET, coronal and sagittal, with the crop box and the label's contours."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnseg.images.geometry import Grid
from hnseg.pictures.encoding import encode_webp
from hnseg.pictures.planes import (
    CT_WINDOW_HU,
    DPI,
    PET_WINDOW_SUV,
    PLANES,
    Outline,
    View,
    box_on_plane,
    draw_plane,
    frame,
    middle,
    sample,
    slice_grid,
    slice_with_most_label,
    to_display,
)

SHOWN = PLANES[1:]  # coronal and sagittal
COARSE_MM = 4.0  # in which the plane with the most lesion is looked for
LONGEST_PX = 400  # of a picture's longer side
MARGIN = 0.03
COLORS = {1: "#e69f00", 2: "#56b4e9"}  # GTVp, GTVn, as in the pictures of prepare


def draw_case(case_id: str, ct: Any | None, pet: Any | None, label: Any | None, box: Grid | None) -> tuple[View, ...]:
    """Draw what there is of a case.

    Args:
        case_id: Case ID.
        ct, pet, label (SimpleITK image or None): CT in HU, PET in SUV, each on its own grid.
        box: The crop box.

    Returns:
        CT coronal and sagittal, then PET; in the plane with the most lesion, else through the middle of the box. The
        frame holds the CT (the PET where there is no CT) and the box.
    """
    shown = [
        (name, image, window, outside, colors)
        for name, image, window, outside, colors in (
            ("CT", ct, CT_WINDOW_HU, -1024.0, "gray"),
            ("PET", pet, PET_WINDOW_SUV, 0.0, "gray_r"),
        )
        if image is not None
    ]
    if not shown:
        return ()
    low, high = _grid(shown[0][1]).bounds_mm()
    if box is not None:
        box_low, box_high = box.bounds_mm()
        low, high = np.minimum(low, box_low), np.maximum(high, box_high)
    margin = MARGIN * float((high - low).max())  # so that the box's edges are seen
    low, high = low - margin, high + margin
    seen = frame(low, high, max(1.0, float((high - low).max()) / LONGEST_PX))
    scale = min(2.0, LONGEST_PX / max(seen.size))
    positions_mm = []
    for plane in SHOWN:
        position_mm = None if label is None else slice_with_most_label(label, seen, plane, COARSE_MM)
        positions_mm.append(middle(box or seen, plane) if position_mm is None else position_mm)
    views = []
    for name, image, window, outside, colors in shown:
        for plane, position_mm in zip(SHOWN, positions_mm, strict=True):
            grid = slice_grid(seen, plane, position_mm)
            outlines = []
            if label is not None:
                flat = to_display(sample(label, grid, nearest=True), plane)
                outlines = [Outline(flat == value, color) for value, color in COLORS.items()]
            figure = draw_plane(
                to_display(sample(image, grid, outside=outside), plane),
                window,
                colors,
                outlines,
                scale=scale,
                box=box_on_plane(box, seen, plane) if box is not None else None,
            )
            alt = f"{case_id}: {name}, {plane.name} plane at {position_mm:.0f} mm"
            views.append(View(plane, name, position_mm, encode_webp(figure, alt, DPI)))
    return tuple(views)


def _grid(image: Any) -> Grid:
    return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
