"""Charts of the report, legible on a phone: at most 4.6 inches wide, text of 9 pt and up."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.evaluation.records import CaseRow, EvaluatedCohort, SizeBin, WorkdirEvaluation
from hnseg.evaluation.score_specs import (
    GTVN_DICE_AGG,
    GTVP_DICE_MEAN,
    SURFACE_SCORES,
    VOLUME_SCORES,
    ScoreSpec,
)
from hnseg.pictures.encoding import Picture, encode_png
from hnseg.pictures.palette import FOLD_COLORS, LESION_COLORS, Color
from hnseg.report.data import LogRow, PreparationRow

METHOD_STYLES = {
    "ensemble": ("Ensemble", Color.PREDICTION, "o"),
    "threshold_baseline": ("SUV\u00a0>\u00a04", Color.THRESHOLD_BASELINE, "s"),
    "empty_baseline": ("Empty mask", Color.EMPTY_BASELINE, "D"),
}
OUT_OF_FOLD_STYLE = {"validation": ("Out of fold", Color.TRAINING_CASES, "^")}
FOUND_STYLE = ("Found", Color.PREDICTION, "o")
OTHER_SCORES = (*SURFACE_SCORES, *(spec for spec in VOLUME_SCORES if spec.higher_is_better is None))  # not ranked
CROWDED = 6  # centers: with more, names are turned and values left to the table
LONGEST_NAME = 10
PART_STYLES = {"validation": ("Validation", Color.TRAINING_CASES, "^"), "ensemble": ("Test", Color.TEST_CASES, "o")}


def styles_of(metrics: WorkdirEvaluation) -> Mapping[str, tuple[str, Color, str]]:
    """Name, color and marker of the methods to show: ensemble and baselines, or the out-of-fold masks alone."""
    return OUT_OF_FOLD_STYLE if metrics.ensemble is None else METHOD_STYLES


def _figure(height_in: float, rows: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(4.6, height_in), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
        axis.grid(True, color=Color.LINE, linewidth=0.7)
        axis.set_axisbelow(True)
    return figure, axes


def draw_scores(metrics: WorkdirEvaluation, specs: Sequence[ScoreSpec]) -> Picture:
    """The cohort scores of ensemble and baselines, with their 95 % intervals."""
    styles = styles_of(metrics)
    names = ", ".join(name for name, _, _ in styles.values())
    return _draw_intervals(metrics, specs, styles, f"Scores with 95 % intervals ({names}); values in the table above")


def draw_parts(metrics: WorkdirEvaluation, specs: Sequence[ScoreSpec]) -> Picture:
    """The cohort scores of validation and test, with their 95 % intervals."""
    alt = "Scores of validation and test with 95 % intervals; values in the table beside it"
    return _draw_intervals(metrics, specs, PART_STYLES, alt)


def _draw_intervals(
    metrics: WorkdirEvaluation, specs: Sequence[ScoreSpec], parts: Mapping[str, tuple[str, Color, str]], alt: str
) -> Picture:
    figure, (axis,) = _figure(0.9 + 0.75 * len(specs))
    offsets = [0.22 * (2 * k / (len(parts) - 1) - 1) if len(parts) > 1 else 0.0 for k in range(len(parts))]
    for offset, (method, (name, color, marker)) in zip(offsets, parts.items(), strict=True):
        part = metrics[method]
        shown = False
        for row, spec in enumerate(specs):
            value, interval = part[spec.key], part.bootstrap.intervals[spec.key]
            if value is None:
                axis.text(0.01, row + offset, f"{name}: undefined", color=color, fontsize=8, va="center")
                continue
            if interval is not None:
                axis.plot(interval, [row + offset] * 2, color=color, linewidth=2.2, solid_capstyle="round")
            label = None if shown else name
            axis.plot([value], [row + offset], marker, color=color, markersize=7, label=label, clip_on=False)
            shown = True
    axis.set_yticks(range(len(specs)), [spec.title for spec in specs])
    axis.set_ylim(len(specs) - 0.5, -0.5)
    axis.set_xlim(0, 1)
    axis.set_xlabel("score (0 worst, 1 best)", fontsize=9)
    axis.grid(False, axis="y")
    if axis.get_legend_handles_labels()[0]:
        figure.legend(fontsize=9, ncols=3, loc="outside upper center", frameon=False, handletextpad=0.3)
    return encode_png(figure, alt)


def draw_volumes(cases: Sequence[CaseRow]) -> Picture:
    """Predicted against true volume of each case, both classes, on axes that also hold 0."""
    figure, axes = _figure(6.4, rows=2)
    for axis, lesion in zip(axes, LESION_CLASSES, strict=True):
        true, predicted = ([case[f"{lesion.key}_{side}_ml"] for case in cases] for side in ("truth", "pred"))
        top = 1.6 * max([1.0, *true, *predicted])
        axis.plot([0, top], [0, top], color=Color.SOFT, linewidth=1)
        axis.plot(
            true,
            predicted,
            "o",
            color=LESION_COLORS[lesion.key],
            markersize=5.5,
            markeredgecolor=Color.INK,
            markeredgewidth=0.6,
        )
        for scale, limit in ((axis.set_xscale, axis.set_xlim), (axis.set_yscale, axis.set_ylim)):
            scale("symlog", linthresh=0.5, linscale=0.4)
            limit(-0.1, top)
        ticks = [tick for tick in (0, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if tick < top]
        for ticked in (axis.xaxis, axis.yaxis):
            ticked.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            ticked.set_minor_locator(NullLocator())
        axis.set_title(f"{lesion.name}, ml: predicted against true", fontsize=10, loc="left")
        axis.set_ylabel("predicted, ml", fontsize=9)
    axes[1].set_xlabel("true, ml", fontsize=9)
    return encode_png(figure, "Predicted against true volume of each case; on the line both are equal")


def draw_changes(rows: Sequence[PreparationRow], limit_hu: float) -> Picture:
    """Mean absolute change of soft tissue by harmonization, each case, by center."""
    known = [(row, row.change_hu) for row in rows if row.change_hu is not None and not row.reference]
    centers = sorted({row.center for row, _ in known})
    figure, (axis,) = _figure(2.9)
    for k, center in enumerate(centers):
        for part, color, marker in (("training", Color.TRAINING_CASES, "o"), ("test", Color.TEST_CASES, "D")):
            values = [hu for row, hu in known if (row.center, row.part) == (center, part)]
            spread = [k + 0.5 * ((i + 0.5) / len(values) - 0.5) for i in range(len(values))]
            axis.plot(spread, values, marker, color=color, markersize=5, markeredgecolor=Color.INK, markeredgewidth=0.5)
            if k == 0 and any(row.part == part for row, _ in known):
                axis.plot([], [], marker, color=color, label=part)
    axis.axhline(limit_hu, color=Color.WARNING, linewidth=1.4, linestyle="--")
    axis.text(
        len(centers) - 0.45, limit_hu, f"{limit_hu:g} HU", color=Color.WARNING, fontsize=9, va="bottom", ha="right"
    )
    axis.set_ylim(0, 1.12 * max([limit_hu * 1.2, *(hu for _, hu in known)]))
    axis.set_ylabel("mean |ΔHU| of soft tissue", fontsize=9)
    _name_centers(axis, centers)
    figure.legend(fontsize=9, ncols=2, loc="outside upper center", frameon=False, handletextpad=0.3)
    return encode_png(
        figure, "Mean absolute change of soft tissue by harmonization, by center; values in the table below"
    )


def _name_centers(axis: Any, centers: Sequence[str]) -> None:
    """Name the centers below an axis; long names are cut, their whole form is in the table."""
    crowded = len(centers) > CROWDED
    short = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in centers]
    axis.set_xlim(-0.5, len(centers) - 0.35)
    axis.set_xticks(range(len(centers)), short, rotation=60 if crowded else 0, ha="right" if crowded else "center")
    axis.grid(False, axis="x")


@dataclass(frozen=True)
class SizeRow:
    """True nodes of a range of volumes, and what the models and the threshold baseline, if any, made of them."""

    name: str
    lesions: int
    found: int
    false: int
    threshold_found: int | None
    threshold_false: int | None


def size_rows(main: Sequence[SizeBin], threshold: Sequence[SizeBin] | None) -> list[SizeRow]:
    """``by_size`` of the models and of the threshold baseline, row by row; both have the same true lesions."""
    return [
        SizeRow(
            name=f"≥ {own.from_ml:g} ml" if own.below_ml is None else f"{own.from_ml:g}–{own.below_ml:g} ml",
            lesions=own.lesions,
            found=own.found,
            false=own.false,
            threshold_found=None if other is None else other.found,
            threshold_false=None if other is None else other.false,
        )
        for own, other in itertools.zip_longest(main, threshold or ())
    ]


def draw_sizes(rows: Sequence[SizeRow]) -> Picture:
    """Share of true GTVn lesions that were found, by volume."""
    figure, (axis,) = _figure(3.0)
    threshold = [row.threshold_found for row in rows if row.threshold_found is not None]
    found = [row.found for row in rows]
    bars = [(-0.19, METHOD_STYLES["ensemble"], found), (0.19, METHOD_STYLES["threshold_baseline"], threshold)]
    for shift, (name, color, _), counts in bars if threshold else [(0.0, FOUND_STYLE, found)]:
        at = [k + shift for k in range(len(rows))]
        share = [count / row.lesions if row.lesions else 0.0 for count, row in zip(counts, rows, strict=True)]
        axis.bar(at, share, width=0.36, color=color, label=name)
        for x, value, count, row in zip(at, share, counts, rows, strict=True):
            if row.lesions:
                between = "\n/" if row.lesions > 99 else "/"  # two numbers of three digits are wider than a bar
                text = f"{count}{between}{row.lesions}"
                axis.text(x, value + 0.02, text, ha="center", fontsize=9, linespacing=0.95)
    for k, row in enumerate(rows):
        if not row.lesions:
            axis.text(k, 0.02, "none", ha="center", fontsize=9, color=Color.SOFT)
    axis.set_xticks(range(len(rows)), [row.name for row in rows])
    axis.set_xlabel("volume of the true lesion", fontsize=9)
    axis.set_ylabel("share found", fontsize=9)
    axis.set_ylim(0, 1.2)
    axis.set_yticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axis.grid(False, axis="x")
    figure.legend(fontsize=9, ncols=2, loc="outside upper center", frameon=False)
    return encode_png(figure, "Share of true nodes found, by their volume; counts in the table beside it")


def draw_centers(part: EvaluatedCohort) -> Picture:
    """Dice of every case by center, with the center's own score."""
    centers = sorted(part.by_center)
    figure, axes = _figure(4.6, rows=2)
    panels = (
        ("gtvp_dice", GTVP_DICE_MEAN, "GTVp Dice", "mean"),
        ("gtvn_dice", GTVN_DICE_AGG, "GTVn Dice", "aggregate"),
    )
    for axis, (case_key, spec, title, word) in zip(axes, panels, strict=True):
        for k, center in enumerate(centers):
            values = [c[case_key] for c in part.cases if c.center == center and c[case_key] is not None]
            spread = [k + 0.24 * ((i + 0.5) / len(values) - 0.5) for i in range(len(values))]
            axis.plot(
                spread,
                values,
                "o",
                color=Color.TEST_CASES,
                markersize=5,
                markeredgecolor=Color.PAPER,
                markeredgewidth=0.6,
            )
            score = part.by_center[center][spec.key]
            if score is None:
                axis.text(k, 0.03, "undefined", ha="center", fontsize=9, color=Color.SOFT)
            else:
                axis.plot([k - 0.26, k + 0.26], [score] * 2, color=Color.CENTER, linewidth=2.4)
                if len(centers) <= CROWDED:
                    axis.text(k + 0.29, score, f"{score:.2f}", va="center", fontsize=9, color=Color.CENTER)
        axis.set_title(f"{title}: cases (dots), {word} of the center (line)", fontsize=10, loc="left")
        axis.set_ylim(-0.04, 1.04)
        _name_centers(axis, centers)
    return encode_png(
        figure, "Dice of each case by center, with the score of the center; values in the table beside it"
    )


def draw_learning(logs: dict[int, list[LogRow]]) -> Picture:
    """Training loss and validation score of every fold by epoch."""
    figure, axes = _figure(4.6, rows=2)
    for number, (fold, rows) in enumerate(logs.items()):
        for axis, key, marker in zip(axes, ("loss", "val_score"), ("", "o"), strict=True):
            points = [(row["epoch"], row[key]) for row in rows if row[key] is not None]
            if points:
                color, dash = FOLD_COLORS[number % len(FOLD_COLORS)], ("-", "--", ":")[number // len(FOLD_COLORS) % 3]
                name = f"fold {fold}" if key == "loss" else None
                axis.plot(*zip(*points, strict=True), dash, color=color, marker=marker, markersize=4, label=name)
    axes[0].set_title("Training loss (Dice + cross-entropy, all heads)", fontsize=10, loc="left")
    axes[1].set_title("Validation score (GTVp Dice ½, GTVn Dice ¼, F1 ¼)", fontsize=10, loc="left")
    axes[1].set_xlabel("epoch", fontsize=9)
    axes[1].set_ylim(0, 1)
    figure.legend(fontsize=9, ncols=3, loc="outside upper center", frameon=False)
    return encode_png(figure, "Training loss and validation score of each fold by epoch")
