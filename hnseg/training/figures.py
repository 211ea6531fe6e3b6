"""Pictures of a training: the curves of a fold, and the predictions in its validation cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.pictures.palette import COLOR_NAMES, Color, line_style
from hnseg.pictures.planes import CT, PET
from hnseg.preprocessing.normalize import normalize_ct
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.settings.prepare import PrepareConfig
from hnseg.training.log import History
from ssimh.files.atomic import atomic_write

CURVES = (
    (
        "loss",
        (
            ("loss", "training, all heads", Color.INK, "-"),
            ("val_loss", "validation, main output", Color.TRAINING_CASES, "--"),
        ),
    ),
    (
        "validation score",
        (
            ("val_gtvp_dice", "GTVp Dice", Color.GTVP, "-"),
            ("val_gtvn_dice", "GTVn Dice", Color.GTVN, "-"),
            ("val_gtvn_f1", "GTVn F1", Color.GTVN, "--"),
        ),
    ),
    ("learning rate", (("learning_rate", "learning rate", Color.INK, "-"),)),
)


def draw_curves(path: Path, history: History, title: str) -> None:
    """Losses, scores and learning rate against the epoch, with the epoch that is kept and an early stop."""
    last = history[-1]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (name, lines) in zip(figure.subplots(1, len(CURVES)), CURVES, strict=True):
        for key, label, color, dash in lines:
            points = [(row.epoch, value) for row in history if (value := getattr(row, key)) is not None]
            if points:
                marker = "o" if len(points) < 40 else ""
                axis.plot(*zip(*points, strict=True), dash, color=color, marker=marker, markersize=3, label=label)
        if last.kept_epoch is not None:
            axis.axvline(last.kept_epoch, color=Color.INK, linestyle=":", linewidth=1, label="kept epoch")
        if last.stopped_early:
            axis.axvline(last.epoch, color=Color.INK, linestyle="-", linewidth=0.8, label="stopped early")
        axis.set(title=name, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.set_ylim(0, 1 if name == "validation score" else None)
        if axis.lines:
            axis.legend(fontsize=8)
    figure.suptitle(title)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=90)


class ValidationPicture:
    """Collects one plane of a few cases while they are validated.

    Args:
        config: How the cases were prepared; their CT is shown in its window.
        epoch: Number of the epoch that is validated, for the title.
        most: The first so many cases are shown.
    """

    def __init__(self, config: PrepareConfig, epoch: int, most: int = 4) -> None:
        self._epoch, self._most = epoch, most
        window = np.array(config.ct_window_hu)
        self._ct_limits = normalize_ct(window, config.ct_window_hu, sigmoid=config.sigmoid)
        self._planes: list[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]] = []

    def add_case(self, case: PreparedCase, predicted: NDArray[Any]) -> None:
        """Keep the axial plane with the most true (else predicted) lesion."""
        if len(self._planes) < self._most and case.label is not None:
            truth = case.label[:]
            either = truth if truth.any() else predicted
            z = int((either > 0).sum(axis=(1, 2)).argmax()) if either.any() else truth.shape[0] // 2
            self._planes.append((case.id, np.asarray(case.image[:, z], np.float32), truth[z], predicted[z]))

    def draw(self, path: Path, title: str) -> None:
        """CT above PET, truth and prediction as contours; nothing where no case was validated."""
        if not self._planes:
            return
        figure = Figure(figsize=(3.1 * len(self._planes), 6.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, len(self._planes), squeeze=False)
        for column, (name, image, truth, predicted) in enumerate(self._planes):
            ct, pet = image
            axes[0, column].imshow(ct, cmap=CT.colormap, vmin=self._ct_limits[0], vmax=self._ct_limits[1])
            axes[1, column].imshow(pet, cmap=PET.colormap, vmin=pet.min(), vmax=max(pet.max(), pet.min() + 1e-3))
            for axis in axes[:, column]:
                _contours(axis, (truth, predicted))
                axis.set_axis_off()
            axes[0, column].set_title(name, fontsize=9)
        true_style = f"truth {COLOR_NAMES[Color.TRUTH]}, solid (GTVn dashed)"
        legend = f"{true_style}; prediction {COLOR_NAMES[Color.PREDICTION]}, dotted (GTVn dash-dotted)"
        figure.suptitle(f"{title}, epoch {self._epoch}; {legend}", fontsize=9)
        with atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=80)


def _contours(axis: Axes, labels: Sequence[NDArray[Any]]) -> None:
    for label, name in zip(labels, ("truth", "prediction"), strict=True):
        for lesion in LESION_CLASSES:
            mask, color, style = label == lesion.value, Color[name.upper()], line_style(name, lesion.key)
            if mask.any() and not mask.all():
                axis.contour(mask.astype(np.float32), levels=[0.5], colors=[color], linewidths=1, linestyles=[style])
