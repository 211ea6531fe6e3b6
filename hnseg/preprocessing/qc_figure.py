"""A small picture per prepared case: is the head in the box, what did harmonization do, where are the lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hnseg.preprocessing.crop.find_box import Crop

CT_WINDOW_HU = (-160.0, 240.0)
PET_WINDOW_SUV = (0.0, 10.0)
COLORS = {1: "#e69f00", 2: "#56b4e9"}  # Okabe-Ito: told apart by color-blind readers
NAMES = {1: "GTVp", 2: "GTVn"}


def draw_qc(
    path: Path,
    *,
    before_hu: NDArray[Any],
    after_hu: NDArray[Any],
    pet_suv: NDArray[Any],
    label: NDArray[Any] | None,
    title: str,
    crop: Crop,
) -> None:
    """Draw CT before and after harmonization, their difference, and PET, in the coronal plane of the lesions.

    All arrays are (z, y, x) on the crop grid; CT in HU, PET in SUV.
    """
    z, y = _plane(pet_suv, label)
    figure = Figure(figsize=(9.6, 7.6))
    FigureCanvasAgg(figure)
    tall = 0.9 * before_hu.shape[0] / (before_hu.shape[0] + before_hu.shape[1])  # share of the coronal row
    for row, cut in enumerate((lambda a: a[::-1, y], lambda a: a[z])):
        outline = None if label is None else cut(label)
        difference = cut(after_hu) - cut(before_hu)
        panels: list[tuple[str, NDArray[Any], str, tuple[float, float]]] = [
            ("CT before", cut(before_hu), "gray", CT_WINDOW_HU),
            ("CT harmonized", cut(after_hu), "gray", CT_WINDOW_HU),
            ("difference, ±200 HU", difference, "RdBu_r", (-200.0, 200.0)),
            ("PET, SUV 0–10", cut(pet_suv), "gray_r", PET_WINDOW_SUV),
        ]
        bottom, height = ((0.9 - tall, tall - 0.03), (0.0, 0.9 - tall))[row]
        for column, (name, plane, colors, (low, high)) in enumerate(panels):
            axis = figure.add_axes((0.005 + column * 0.25, bottom, 0.24, height))
            axis.imshow(plane, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name, fontsize=9)
            if outline is not None and name != "difference, ±200 HU":
                _contours(axis, outline)
    note = "FALLBACK: " if crop.fallback else ""
    legend = "   ".join(f"{NAMES[value]} {hue}" for value, hue in ((1, "orange"), (2, "blue")))
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
    for value, color in COLORS.items():
        mask = plane == value
        if mask.any() and not mask.all():
            axis.contour(mask.astype(np.float32), levels=[0.5], colors=[color], linewidths=0.9)
