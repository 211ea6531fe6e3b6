"""Quality-control picture of a prepared case: crop, effect of harmonization, lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.pictures.palette import CHANGE_COLORMAP, CHANGE_LIMIT_HU, COLOR_NAMES, LESION_COLORS, line_style
from hnseg.pictures.planes import CT, PET
from hnseg.preprocessing.crop_case import Cropped


def draw_qc(path: Path, *, cropped: Cropped, harmonized_hu: NDArray[Any], title: str) -> None:
    """Draw CT before and after harmonization, their difference, and PET, in the coronal plane of the lesions.

    Args:
        path: Picture to write.
        cropped: The case before harmonization.
        harmonized_hu: (z, y, x) CT after it, in HU, on the crop grid.
        title: Name of the case.
    """
    before_hu, pet_suv, label, crop = cropped.ct_hu, cropped.pet_suv, cropped.label, cropped.crop
    z, y = _plane(pet_suv, label)
    figure = Figure(figsize=(9.6, 7.6))
    FigureCanvasAgg(figure)
    tall = 0.9 * before_hu.shape[0] / (before_hu.shape[0] + before_hu.shape[1])  # share of the coronal row
    for row, cut in enumerate((lambda a: a[::-1, y], lambda a: a[z])):
        outline = None if label is None else cut(label)
        difference = cut(harmonized_hu) - cut(before_hu)
        change = (-CHANGE_LIMIT_HU, CHANGE_LIMIT_HU)
        panels: list[tuple[str, NDArray[Any], str, tuple[float, float], bool]] = [
            ("CT before", cut(before_hu), CT.colormap, CT.window, True),
            ("CT harmonized", cut(harmonized_hu), CT.colormap, CT.window, True),
            (f"difference, ±{CHANGE_LIMIT_HU:g} HU", difference, CHANGE_COLORMAP, change, False),
            (f"PET, SUV {PET.window[0]:g}–{PET.window[1]:g}", cut(pet_suv), PET.colormap, PET.window, True),
        ]
        bottom, height = ((0.9 - tall, tall - 0.03), (0.0, 0.9 - tall))[row]
        for column, (name, plane, colors, (low, high), outlined) in enumerate(panels):
            axis = figure.add_axes(
                (0.005 + column * 0.25, bottom, 0.24, height), xticks=[], yticks=[]
            )  # ticks take time
            axis.imshow(plane, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name, fontsize=9)
            if outline is not None and outlined:
                _contours(axis, outline)
    note = "FALLBACK: " if crop.fallback else ""
    legend = "   ".join(f"{c.name} {COLOR_NAMES[LESION_COLORS[c.key]]}" for c in LESION_CLASSES) + ", dashed"
    figure.suptitle(
        f"{title}  ·  {note}{crop.reason}\ncoronal (top), axial (bottom), patient's left on the right  ·  {legend}",
        fontsize=9,
        wrap=True,
    )
    figure.savefig(path, dpi=80, pil_kwargs={"compress_level": 1})


def _plane(pet_suv: NDArray[Any], label: NDArray[Any] | None) -> tuple[int, int]:
    """Axial and coronal slice with the most lesion; without a lesion, the middle of the box."""
    if label is not None and label.any():
        lesion = label > 0
        return int(lesion.sum(axis=(1, 2)).argmax()), int(lesion.sum(axis=(0, 2)).argmax())
    return pet_suv.shape[0] // 2, pet_suv.shape[1] // 2


def _contours(axis: Any, plane: NDArray[Any]) -> None:
    for lesion in LESION_CLASSES:
        mask, color = plane == lesion.value, LESION_COLORS[lesion.key]
        style = line_style("truth", lesion.key)
        if mask.any() and not mask.all():
            axis.contour(mask.astype(np.float32), levels=[0.5], colors=[color], linewidths=0.9, linestyles=[style])
