"""Figure 4: the challenge's scores of validation against those of the test cases or of an external cohort.

A run without test cases and without an external cohort shows its folds and their mean instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from hnseg.errors import WorkDirError
from hnseg.evaluation.evaluate import OUT_OF_FOLD
from hnseg.evaluation.records import (
    EvaluatedCohort,
    FolderEvaluation,
    FoldEvaluation,
    Interval,
    WorkdirEvaluation,
)
from hnseg.evaluation.rules import Rules, Score
from hnseg.evaluation.score_specs import ScoreSpec, headline
from hnseg.pictures.palette import FOLD_COLORS, Color
from hnseg.provenance import sha256
from hnseg.report.data import RunFiles, load_run
from hnseg.report.external_scores import read_external_scores, require_scored_masks
from hnseg.report.paper_figures.figure_files import DrawnFigure
from hnseg.report.paper_figures.style import NOTE_PT, TEXT_PT, WIDTH_IN, Note, make_figure, place_axes

HEIGHT_IN, LEFT_IN, TOP_IN, NAMES_IN = 2.0, 0.42, 0.24, 0.26
GROUP = 0.78  # of the place of a score, for its bars
CAP = 0.035  # half of the ends of a whisker
STYLES = {
    "validation": (Color.TRAINING_CASES, ""),
    "test": (Color.TEST_CASES, "//////"),
    "external": (Color.EXTERNAL_CASES, "......"),
}
FOLD_MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class ScoredPart:
    """The challenge's scores of one set of cases.

    Attributes:
        key: ``validation``, ``test`` or ``external``.
        name: For the legend.
        n_cases: How many cases were scored.
        values: Score by key; None where it is undefined.
        intervals: 95 % interval by key; without those that do not exist.
    """

    key: str
    name: str
    n_cases: int
    values: dict[str, Score]
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class ScoreComparison:
    """What the figure shows.

    Attributes:
        specs: The challenge's scores.
        parts: Validation first, then test and external cohort, as far as they are there.
        folds: Scores by fold and their mean; None unless there is validation alone.
        rules: By which all were scored.
    """

    specs: tuple[ScoreSpec, ...]
    parts: tuple[ScoredPart, ...]
    folds: FoldEvaluation | None
    rules: Rules


def read_comparison(work: Path, external: Path | None = None) -> ScoreComparison:
    """Read the scores of a run, and those of an external cohort.

    Args:
        work: Evaluated, with out-of-fold masks.
        external: Folder of ``hnseg predict WORK DATA --out`` with its ``metrics.json``.

    Raises:
        WorkDirError: Scores are missing, were made from other masks, models or settings than those that are there now,
            or by other rules.
    """
    run = load_run(work)
    require_validation(run)
    return compare_parts(run.metrics, None if external is None else (external, _read_external(run, external)))


def require_validation(run: RunFiles) -> None:
    """Refuse scores of a run that are out of date, or without validation.

    Raises:
        WorkDirError: They are.
    """
    path = run.work / "metrics.json"
    if run.stale:
        raise WorkDirError(f"{path} is out of date: {run.stale[0]}")
    if run.metrics.validation is None:
        raise WorkDirError(f"{path} has no validation to compare with: run `hnseg tune`, then `hnseg evaluate`")
    require_scored_masks(run.metrics.validation.cases, run.work / OUT_OF_FOLD, f"hnseg evaluate {run.work}")


def compare_parts(metrics: WorkdirEvaluation, external: tuple[Path, FolderEvaluation] | None) -> ScoreComparison:
    """The scores of a run's validation and test, and of an external cohort.

    Args:
        metrics: Of the run; with validation.
        external: Folder and scores of the external cohort.
    """
    specs, validation = headline(metrics.rules), metrics.validation
    assert validation is not None  # require_validation has refused it
    parts = [_score("validation", "validation (out of fold)", validation, specs)]
    if metrics.ensemble is not None and metrics.ensemble.cases:
        parts.append(_score("test", "test", metrics.ensemble, specs))
    if external is not None:
        folder, scores = external
        parts.append(_score("external", f"external ({folder.resolve().name})", scores, specs))
    return ScoreComparison(specs, tuple(parts), metrics.folds if len(parts) == 1 else None, metrics.rules)


def _read_external(run: RunFiles, external: Path) -> FolderEvaluation:
    return read_external_scores(run.work, external, run.metrics)


def _score(key: str, name: str, part: EvaluatedCohort, specs: Sequence[ScoreSpec]) -> ScoredPart:
    found = {spec.key: part.bootstrap.intervals[spec.key] for spec in specs}
    intervals = {name: interval for name, interval in found.items() if interval is not None}
    return ScoredPart(key, name, part.n_cases, {spec.key: part[spec.key] for spec in specs}, intervals)


def draw_score_comparison(work: Path, external: Path | None = None) -> DrawnFigure:
    """Draw figure 4.

    Raises:
        WorkDirError: As :func:`read_comparison`.
    """
    return draw_comparison(read_comparison(work, external), work, external)


def draw_comparison(shown: ScoreComparison, work: Path, external: Path | None = None) -> DrawnFigure:
    """Draw figure 4 of scores that were read.

    Args:
        shown: The scores.
        work, external: Where their ``metrics.json`` are, for the record.
    """
    counts = ", ".join(f"{part.name}: {part.n_cases} cases" for part in shown.parts)
    whiskers = "Whiskers: 95 % bootstrap intervals over cases."
    folds = f"Points: the {len(shown.folds.folds)} folds; line: their mean." if shown.folds else ""
    note = Note(f"{counts[0].upper()}{counts[1:]}; rules of HECKTOR {shown.rules.challenge}.", folds, whiskers)
    title = "Validation by fold" if shown.folds else "Validation and test"
    caption = (
        f"Validation by fold, with the mean over {len(shown.folds.folds)} folds and the out-of-fold scores."
        if shown.folds
        else f"Comparison of {' and '.join(part.name for part in shown.parts)}, with 95 % intervals."
    )
    inputs = {"metrics.json": sha256(work / "metrics.json")}
    if external is not None:
        inputs["external/metrics.json"] = sha256(external / "metrics.json")
    return DrawnFigure(4, title, caption, _draw(shown, note), inputs=inputs)


def _draw(shown: ScoreComparison, note: Note) -> Figure:
    figure = make_figure(TOP_IN + HEIGHT_IN + NAMES_IN + note.height_in)
    axes = place_axes(figure, LEFT_IN, TOP_IN, WIDTH_IN - LEFT_IN - 0.08, HEIGHT_IN)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis="y", color=Color.LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    if shown.folds:
        _draw_folds(axes, shown, shown.folds)
    else:
        _draw_bars(axes, shown)
    axes.set_xlim(-0.5, len(shown.specs) - 0.5)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_ylabel("score (1 is best)")
    axes.set_xticks(range(len(shown.specs)), [spec.title for spec in shown.specs], fontsize=TEXT_PT)
    axes.tick_params(axis="x", length=0)
    columns = min(len(axes.get_legend_handles_labels()[0]), 4)
    figure.legend(
        loc="upper center", ncols=columns, fontsize=TEXT_PT, frameon=False, borderaxespad=0.2, handlelength=1.6
    )
    note.write(figure)
    return figure


def _draw_bars(axes: Axes, shown: ScoreComparison) -> None:
    width = GROUP / len(shown.parts)
    for number, part in enumerate(shown.parts):
        color, hatch = STYLES[part.key]
        shift = (number - (len(shown.parts) - 1) / 2) * width
        for place, spec in enumerate(shown.specs):
            value = part.values[spec.key]
            label = part.name if place == 0 else None
            axes.bar(
                place + shift, value or 0.0, 0.9 * width, color=color, hatch=hatch, edgecolor=Color.PAPER, label=label
            )
            _write_value(axes, place + shift, value, _draw_interval(axes, place + shift, part.intervals.get(spec.key)))


def _draw_interval(axes: Axes, x: float, interval: Interval | None) -> float:
    """A whisker; returns its upper end, 0 without one."""
    low, high = interval or (None, None)
    if low is None or high is None:
        return 0.0
    gap, left, right = math.nan, x - CAP, x + CAP  # one line, so that its halo lies below all of it
    across, up = [left, right, gap, x, x, gap, left, right], [low, low, gap, low, high, gap, high, high]
    halo = [withStroke(linewidth=2.2, foreground=Color.PAPER)]
    axes.plot(across, up, color=Color.INK, linewidth=1.0, path_effects=halo, clip_on=False)
    return high


def _write_value(axes: Axes, x: float, value: Score, above: float) -> None:
    text = "undefined" if value is None else f"{value:.3f}"
    axes.text(x, max(value or 0.0, above) + 0.015, text, ha="center", va="bottom", fontsize=NOTE_PT)


def _draw_folds(axes: Axes, shown: ScoreComparison, evaluated: FoldEvaluation) -> None:
    (validation,), folds = shown.parts, evaluated.folds
    for place, spec in enumerate(shown.specs):
        spread = [place - 0.22 + 0.24 * ((k + 0.5) / len(folds) - 0.5) for k in range(len(folds))]
        for k, (x, fold) in enumerate(zip(spread, folds, strict=True)):
            value, label = fold[spec.key], f"fold {fold.fold}" if place == 0 else None
            color, marker = FOLD_COLORS[k % len(FOLD_COLORS)], FOLD_MARKERS[k % len(FOLD_MARKERS)]
            at = ([], []) if value is None else ([x], [value])
            axes.plot(*at, marker, color=color, markersize=4, label=label, clip_on=False)
        mean = evaluated.mean[spec.key]
        if mean is not None:
            label = "mean of the folds" if place == 0 else None
            axes.plot([place - 0.4, place - 0.04], [mean, mean], color=Color.INK, linewidth=1.4, label=label)
            axes.text(place - 0.02, mean, f"{mean:.3f}", ha="left", va="center", fontsize=NOTE_PT)
        value, x = validation.values[spec.key], place + 0.3
        label = "all cases, out of fold" if place == 0 else None
        axes.bar(x, value or 0.0, 0.22, color=STYLES["validation"][0], label=label)
        _write_value(axes, x, value, _draw_interval(axes, x, validation.intervals.get(spec.key)))
