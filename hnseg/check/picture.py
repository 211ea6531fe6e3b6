"""Pictures of a case for check: CT and PET, coronal and sagittal, with the crop box and the label's contours."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.images.geometry import Grid
from hnseg.pictures import planes
from hnseg.pictures.encoding import encode_webp
from hnseg.pictures.palette import LESION_COLORS, line_style
from hnseg.pictures.planes import CT, PET, Contours, View

SHOWN = planes.PLANES[1:]  # coronal and sagittal
COARSE_MM = 4.0  # for the search of the plane with the most lesion
LONGEST_PX = 400  # of a picture's longer side
MARGIN = 0.03
STYLES = {c.value: (LESION_COLORS[c.key], line_style("truth", c.key)) for c in LESION_CLASSES}


def draw_case(case_id: str, ct: Any | None, pet: Any | None, label: Any | None, box: Grid | None) -> tuple[View, ...]:
    """Draw the images of a case that exist.

    Args:
        case_id: ID of the case.
        ct, pet, label (SimpleITK image or None): CT in HU, PET in SUV, each on its own grid.
        box: The crop box.

    Returns:
        CT coronal and sagittal, then PET; in the plane with the most lesion, else through the middle of the box. The
        frame holds the CT (the PET where there is no CT) and the box.
    """
    images = [(modality, image) for modality, image in ((CT, ct), (PET, pet)) if image is not None]
    if not images:
        return ()
    low, high = _grid(images[0][1]).bounds_mm()
    if box is not None:
        box_low, box_high = box.bounds_mm()
        low, high = np.minimum(low, box_low), np.maximum(high, box_high)
    margin = MARGIN * float((high - low).max())  # so that the box's edges are visible
    low, high = low - margin, high + margin
    seen = planes.frame(low, high, max(1.0, float((high - low).max()) / LONGEST_PX))
    positions_mm = {}
    for plane in SHOWN:
        position_mm = None if label is None else planes.slice_with_most_label(label, seen, plane, COARSE_MM)
        positions_mm[plane] = planes.middle(box or seen, plane) if position_mm is None else position_mm
    views = planes.draw_views(
        images,
        positions_mm,
        seen,
        [] if label is None else [Contours(label, STYLES)],
        subject=case_id,
        scale=lambda shape: min(2.0, LONGEST_PX / max(seen.size)),
        encode=lambda figure, alt: encode_webp(figure, alt, planes.DPI),
        box=box,
    )
    return tuple(views)


def _grid(image: Any) -> Grid:
    return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
