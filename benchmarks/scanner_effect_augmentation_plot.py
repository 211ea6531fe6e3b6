"""Summary, table and figure of the augmentation benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hnseg.evaluation.cohort_scores import BOOTSTRAP_SEED, RESAMPLES, bootstrap_indices, count_draws, interval

HOME = "home"
AS_ACQUIRED = "as acquired"
ALIGNED = "none, SpectrumAlign at test"
_COLORS = ("#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#009e73", "#0072b2")

Scores = dict[str, dict[str, dict[str, float]]]
"""Dice by place, case and organ."""


@dataclass(frozen=True)
class ArmResult:
    """One arm of one seed.

    Attributes:
        scores: Dice by place, case and organ.
        moved_hu: Mean absolute change of the body where a training scan was swapped.
        seconds: Processor time of the training.
    """

    scores: Scores
    moved_hu: float
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """A mean over tests, with its 95 % interval over patients."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SummaryRow:
    """One arm at one place, over all seeds.

    Attributes:
        arm, tested_at: Which.
        cases, runs: Patients, and tests of them.
        dice: Mean over organs.
        gain: Its difference from "none", on the same scans.
        effect: Its difference from the same patients as acquired; None at home.
        moved_hu: Mean over seeds.
    """

    arm: str
    tested_at: str
    cases: int
    runs: int
    dice: Estimate
    gain: Estimate
    effect: Estimate | None
    moved_hu: float


def summarize(seeds: Sequence[Mapping[str, ArmResult]]) -> list[SummaryRow]:
    """Means over all tests; intervals resample patients, each with all its tests.

    Args:
        seeds: For each seed, the results by arm; all arms have the same cases.
    """
    rows = []
    for place in seeds[0]["none"].scores:
        base = [case_means(seed["none"], place) for seed in seeds]
        for arm in (arm for arm in seeds[0] if all(place in seed[arm].scores for seed in seeds)):
            mine = [case_means(seed[arm], place) for seed in seeds]
            effect = None
            if place != HOME:
                effect = _pooled(_differences(mine, [case_means(seed[arm], AS_ACQUIRED) for seed in seeds]))
            moved = float(np.mean([seed[arm].moved_hu for seed in seeds]))
            cases, runs = len({case for found in mine for case in found}), sum(len(found) for found in mine)
            gain = _pooled(_differences(mine, base))
            rows.append(SummaryRow(arm, place, cases, runs, _pooled(mine), gain, effect, moved))
    return rows


def case_means(result: ArmResult, place: str) -> dict[str, float]:
    """Mean over the organs of each case at a place."""
    return {case: float(np.mean(list(organs.values()))) for case, organs in result.scores[place].items()}


def _differences(a: Sequence[Mapping[str, float]], b: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """a - b of every case, seed by seed."""
    return [{case: mine[case] - base[case] for case in base} for mine, base in zip(a, b, strict=True)]


def _pooled(seeds: Sequence[Mapping[str, float]]) -> Estimate:
    """Mean over the tests of all seeds, and its interval over patients."""
    names = sorted({case for seed in seeds for case in seed})
    sums = np.array(
        [[sum(seed.get(name, 0.0) for seed in seeds), sum(name in seed for seed in seeds)] for name in names]
    )
    total, count = sums.sum(axis=0)
    drawn = count_draws(bootstrap_indices(len(names), BOOTSTRAP_SEED, RESAMPLES)) @ sums
    low, high = interval(drawn[:, 0] / drawn[:, 1]) or (None, None)
    assert low is not None
    assert high is not None
    return Estimate(float(total / count), low, high)


def table(rows: Sequence[SummaryRow], seeds: int) -> str:
    """Markdown table: one line per place and arm."""
    lines = [
        f"Mean Dice over three organs, all cases and {seeds} seeds, with 95 % intervals over patients. Differences are "
        'paired: from "none" on the same scans, and of the same network from the same patients as acquired.',
        "",
        "| tested at | arm | Dice | from none | from as acquired |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        gain = "" if row.arm == "none" else _signed(row.gain)
        effect = "" if row.effect is None or row.tested_at == AS_ACQUIRED else _signed(row.effect)
        dice = f"{row.dice.mean:.3f} ({row.dice.low:.3f} … {row.dice.high:.3f})"
        lines.append(f"| {row.tested_at} | {row.arm} | {dice} | {gain} | {effect} |")
    return "\n".join(lines) + "\n"


def _signed(found: Estimate) -> str:
    return f"{found.mean:+.3f} ({found.low:+.3f} … {found.high:+.3f})"


def draw(rows: Sequence[SummaryRow], path: Path) -> None:
    """Dice of every arm, and its difference from "none"."""
    figure = Figure(figsize=(12.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    places = list(dict.fromkeys(row.tested_at for row in rows))
    arms = [arm for arm in dict.fromkeys(row.arm for row in rows) if arm != "none"]
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    _draw_points(left, places, [row for row in rows if row.arm == "none"], "dice", 0.0, color="#666666")
    left.set(title="no augmentation of intensity", ylabel="mean Dice of three organs", ylim=(0, 1))
    for number, (arm, color) in enumerate(zip(arms, _COLORS, strict=False)):
        shift = (number - (len(arms) - 1) / 2) * 0.13
        _draw_points(right, places, [row for row in rows if row.arm == arm], "gain", shift, color=color, label=arm)
    right.axhline(0, color="0.4", linewidth=0.8)
    right.set(title="difference from it, paired by case", ylabel="difference in Dice")
    for axis in (left, right):
        axis.set_xticks(range(len(places)), [place.replace(" ", "\n") for place in places], fontsize=8)
        axis.grid(axis="y", alpha=0.3)
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _draw_points(
    axis: Axes, places: Sequence[str], rows: Sequence[SummaryRow], score: str, shift: float, **style: str
) -> None:
    """Means with their intervals, one at each place."""
    found: list[Estimate] = [getattr(row, score) for row in rows]
    where = [places.index(row.tested_at) + shift for row in rows]
    reach = np.array([[one.mean - one.low, one.high - one.mean] for one in found]).T
    axis.errorbar(where, [one.mean for one in found], reach, fmt="o", capsize=3, **style)
