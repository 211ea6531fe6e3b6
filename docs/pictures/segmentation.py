"""Pictures of the concepts of hnseg: the crop, the normalization, scores that are undefined, paired lesions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from people import LONG, generate_person
from scheme import COLUMN_INCHES, Scheme, add_panel, add_text, new_figure, style_chart

from hnseg.evaluation.case_scores import Overlap, gtvp_dice
from hnseg.evaluation.overlap import aggregated_dice, dice, f1_score
from hnseg.evaluation.rules import HECKTOR_2025
from hnseg.images.components import match_lesions
from hnseg.images.geometry import Grid
from hnseg.phantom.case import Case
from hnseg.pictures.palette import Color
from hnseg.preprocessing.crop.find_box import find_crop
from hnseg.preprocessing.normalize import normalize_ct

BOX_VOX, SPACING_MM = (50, 50, 78), 4.0  # 200 × 200 × 312 mm
METHODS = (("head", Color.CROP_BOX, "solid"), ("paper", Color.GTVN, "dashed"))
PIXELS = 60  # edge of the squares with lesions


def draw_crop(scheme: Scheme) -> Figure:
    """Coronal CT and projected PET of a person with raised arms, tracer in a vein of one, and two boxes."""
    case = generate_person(LONG, 2, 4.0)
    pet = add_hot_vein(case)
    boxes = [
        (find_crop(case.ct, case.ct_grid, pet, case.pet_grid, box_vox=BOX_VOX, spacing_mm=SPACING_MM,
                   method=method).grid, color, style)
        for method, color, style in METHODS
    ]  # fmt: skip
    y_mm = np.mean([grid.bounds_mm()[k][1] for k in (0, 1) for grid, *_ in boxes[:1]])
    slice_y = round(float(case.ct_grid.to_index(np.array([[0.0, y_mm, 0.0]]))[0, 1]))
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 0.76)
    shown = (
        (np.asarray(case.ct[:, slice_y], np.float32), case.ct_grid, "gray", (-160, 240), "CT, one slice"),
        (pet.max(axis=1), case.pet_grid, "gray_r", (0, 9), "PET, largest along each line"),
    )
    for column, (image, grid, colors, window, name) in enumerate(shown):
        axes = add_panel(figure, (0.005 + 0.5 * column, 0.17, 0.49, 0.82))
        low, high = grid.bounds_mm()
        axes.imshow(image, cmap=colors, vmin=window[0], vmax=window[1], origin="lower",
                    extent=(low[0], high[0], low[2], high[2]), interpolation="bilinear")  # fmt: skip
        for box, color, style in boxes:
            _outline(axes, box, color, style)
        middle = (case.ct_grid.bounds_mm()[0][0] + case.ct_grid.bounds_mm()[1][0]) / 2
        axes.set_xlim(middle - 220, middle + 220)
        low, high = case.ct_grid.bounds_mm()
        axes.set_ylim(high[2] - 560, high[2] + 45)
        axes.set_facecolor("black")
        add_text(axes, scheme, 0.5, -0.06, name)
    legend = figure.add_axes((0, 0, 1, 0.08))
    legend.set_axis_off()
    for number, (method, color, style) in enumerate(METHODS):
        x = 0.2 + 0.35 * number
        halo = [withStroke(linewidth=3.4, foreground=scheme.soft)]
        legend.plot([x, x + 0.08], [0.5, 0.5], color=str(color), linestyle=style, linewidth=2, path_effects=halo)
        legend.text(x + 0.1, 0.5, method, va="center", fontsize=9, color=scheme.ink, family="DejaVu Sans Mono")
    legend.set_xlim(0, 1)
    legend.set_ylim(0, 1)
    return figure


def add_hot_vein(case: Case) -> np.ndarray:
    """The PET (z, y, x) of a case in SUV with tracer left in the left arm, 20 mm below the top of the CT."""
    z_mm = case.ct_grid.bounds_mm()[1][2] - 20
    z = int(case.ct_grid.to_index(np.array([[0.0, 0.0, z_mm]]))[0, 2])
    rows, columns = np.nonzero(case.ct[z] > -300)
    arm = columns > np.percentile(columns, 90)
    index = np.array([[columns[arm].mean(), rows[arm].mean(), z]])
    center = case.pet_grid.to_index(case.ct_grid.to_physical(index))[0]
    k, j, i = np.ogrid[tuple(slice(0, size) for size in case.pet.shape)]
    squared_mm2 = sum(
        ((axis - middle) * spacing) ** 2
        for axis, middle, spacing in zip((i, j, k), center, case.pet_grid.spacing_mm, strict=True)
    )
    return np.maximum(case.pet, 14 * np.exp(-squared_mm2 / (2 * 9.0**2))).astype(np.float32)


def _outline(axes: Axes, box: Grid, color: Color, style: str) -> None:
    """Draw the front of a box."""
    low, high = box.bounds_mm()
    edge = Rectangle((low[0], low[2]), high[0] - low[0], high[2] - low[2], fill=False, edgecolor=str(color),
                     linestyle=style, linewidth=2)  # fmt: skip
    edge.set_path_effects([withStroke(linewidth=3.4, foreground="#000000a0")])
    axes.add_patch(edge)


def draw_normalization(scheme: Scheme) -> Figure:
    """From HU to the network's input, with and without clipping."""
    hu = np.linspace(-1024, 1500, 600, dtype=np.float32)
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 0.52)
    axes = figure.add_axes((0.14, 0.22, 0.84, 0.72))
    for clip, color, style, name in (
        (False, scheme.blue, "solid", "paper, recommended"),
        (True, scheme.orange, "dashed", "demo: clipped"),
    ):
        axes.plot(
            hu, normalize_ct(hu, (-250.0, 250.0), clip=clip), color=color, linestyle=style, linewidth=2.2, label=name
        )
    for value, tissue in ((-1000, "air"), (-100, "fat"), (40, "muscle"), (1000, "bone")):
        axes.axvline(value, color=scheme.soft, linewidth=0.6, linestyle="dotted")
        side = -12 if tissue in ("fat", "bone") else 12
        align = "right" if side < 0 else "left"
        axes.text(value + side, 0.08, tissue, fontsize=8, color=scheme.ink, ha=align)
    axes.set_ylim(0, 1.05)
    style_chart(axes, scheme, "HU", "input of the network")
    axes.legend(fontsize=8, labelcolor=scheme.ink, frameon=False, loc="center right")
    return figure


def disk(x: float, y: float, radius: float) -> np.ndarray:
    """A mask (y, x) of a disk on the square of the pictures, lengths in pixels."""
    rows, columns = np.mgrid[:PIXELS, :PIXELS]
    return np.hypot(columns - x, rows - y) < radius


NOTHING = np.zeros((PIXELS, PIXELS), bool)


def _draw_masks(axes: Axes, scheme: Scheme, truth: np.ndarray, pred: np.ndarray) -> None:
    """Outline truth (solid) and prediction (dashed) on a framed square."""
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor(scheme.ground)
    for line in axes.spines.values():
        line.set_color(scheme.soft)
    axes.set_xlim(0, PIXELS - 1)
    axes.set_ylim(PIXELS - 1, 0)
    axes.set_aspect("equal")
    for mask, color, style in ((truth, scheme.green, "solid"), (pred, scheme.orange, "dashed")):
        if mask.any():
            axes.contour(mask, [0.5], colors=[color], linewidths=2.2, linestyles=[style])


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def draw_undefined(scheme: Scheme) -> Figure:
    """Truth and prediction with and without a lesion, and what three scores are of a cohort of this one case."""
    both = disk(27, 30, 16), disk(35, 30, 16)
    rows = (
        ("neither", NOTHING, NOTHING),
        ("a false alarm", NOTHING, disk(30, 30, 16)),
        ("missed", disk(30, 30, 16), NOTHING),
        ("both", *both),
    )
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 0.5)
    for number, (name, truth, pred) in enumerate(rows):
        row, column = divmod(number, 2)
        axes = add_panel(figure, (0.01 + 0.5 * column, 0.5 - 0.47 * row, 0.17, 0.4))
        _draw_masks(axes, scheme, truth, pred)
        overlap = Overlap(int(pred.sum()), int(truth.sum()), int((pred & truth).sum()))
        found = match_lesions(pred[None], truth[None])
        lines = (
            ("GTVp Dice", gtvp_dice(overlap, HECKTOR_2025)),
            ("aggregated Dice", aggregated_dice([overlap.intersection_vox], [overlap.pred_vox + overlap.truth_vox])),
            ("lesion F1", f1_score(found.tp, found.fp, found.fn)),
        )
        add_text(axes, scheme, 1.08, 0.86, name, ha="left", weight="bold")
        for line, (score, value) in enumerate(lines):
            add_text(axes, scheme, 1.08, 0.6 - 0.22 * line, f"{score} {_number(value)}", ha="left", size=7.6)
    figure.text(0.01, 0.95, "green, solid: truth;  orange, dashed: prediction", fontsize=8, color=scheme.ink)
    return figure


def draw_pairs(scheme: Scheme) -> Figure:
    """Three pairs of a true and a predicted lesion, with their IoU, their Dice, and whether they count as found."""
    figure = new_figure(COLUMN_INCHES, COLUMN_INCHES * 0.5)
    for column, shift in enumerate((7, 14, 17)):
        truth, pred = disk(30 - shift / 2, 30, 18), disk(30 + shift / 2, 30, 18)
        axes = add_panel(figure, (column / 3 + 0.02, 0.3, 1 / 3 - 0.04, 0.64))
        _draw_masks(axes, scheme, truth, pred)
        iou = (truth & pred).sum() / (truth | pred).sum()
        found = match_lesions(pred[None], truth[None]).tp == 1
        add_text(axes, scheme, 0.5, -0.13, f"IoU {iou:.2f}, Dice {dice(pred, truth):.2f}", size=8)
        add_text(axes, scheme, 0.5, -0.33, "found" if found else "one missed, one false", size=8.5, weight="bold")
    return figure
