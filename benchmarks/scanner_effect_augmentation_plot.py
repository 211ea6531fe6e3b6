"""Summary, table and figure of the augmentation benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hnseg.evaluation.cohort_scores import BOOTSTRAP_SEED, RESAMPLES, bootstrap_indices, count_draws, interval

HOME = "home"
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
class SummaryRow:
    """One arm at one place, over all seeds.

    Attributes:
        arm, tested_at: Which.
        cases, runs: Patients, and tests of them.
        dice: Mean over tests of the mean over organs, with its 95 % interval.
        gain: Its difference from "none" on the same tests.
        moved_hu: Mean over seeds.
    """

    arm: str
    tested_at: str
    cases: int
    runs: int
    dice: float
    dice_interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]
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
            gains = [{case: a[case] - b[case] for case in b} for a, b in zip(mine, base, strict=True)]
            (mean, ends), (gain, gain_ends) = _pooled(mine), _pooled(gains)
            moved = float(np.mean([seed[arm].moved_hu for seed in seeds]))
            cases, runs = len({case for found in mine for case in found}), sum(len(found) for found in mine)
            rows.append(SummaryRow(arm, place, cases, runs, mean, ends, gain, gain_ends, moved))
    return rows


def case_means(result: ArmResult, place: str) -> dict[str, float]:
    """Mean over the organs of each case at a place."""
    return {case: float(np.mean(list(organs.values()))) for case, organs in result.scores[place].items()}


def _pooled(seeds: Sequence[Mapping[str, float]]) -> tuple[float, tuple[float, float]]:
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
    return float(total / count), (low, high)


def table(rows: Sequence[SummaryRow], seeds: int) -> str:
    """Markdown table: one line per place and arm."""
    lines = [
        f'Mean Dice over organs, cases and {seeds} seeds, and its difference from "none" on the same tests, with 95 % '
        "intervals over patients.",
        "",
        "| tested at | arm | body moved in training, HU | Dice | difference |",
        "|---|---|---:|---|---|",
    ]
    for row in rows:
        gain = (
            "" if row.arm == "none" else f"{row.gain:+.3f} ({row.gain_interval[0]:+.3f} … {row.gain_interval[1]:+.3f})"
        )
        low, high = row.dice_interval
        moved = f"{row.moved_hu:.0f}" if row.moved_hu else ""
        lines.append(f"| {row.tested_at} | {row.arm} | {moved} | {row.dice:.3f} ({low:.3f} … {high:.3f}) | {gain} |")
    return "\n".join(lines) + "\n"


def draw(rows: Sequence[SummaryRow], path: Path) -> None:
    """Dice of every arm, and its difference from "none"."""
    figure = Figure(figsize=(12.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    places = list(dict.fromkeys(row.tested_at for row in rows))
    arms = [arm for arm in dict.fromkeys(row.arm for row in rows) if arm != "none"]
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    none = [row for row in rows if row.arm == "none"]
    left.errorbar(
        range(len(places)), [row.dice for row in none], _reach([(r.dice, r.dice_interval) for r in none]),
        fmt="o", color="#666666", capsize=3,
    )  # fmt: skip
    left.set(title="no augmentation of intensity", ylabel="mean Dice of three organs", ylim=(0, 1))
    for number, (arm, color) in enumerate(zip(arms, _COLORS, strict=False)):
        mine = [row for row in rows if row.arm == arm]
        where = [places.index(row.tested_at) + (number - (len(arms) - 1) / 2) * 0.13 for row in mine]
        right.errorbar(
            where, [row.gain for row in mine], _reach([(r.gain, r.gain_interval) for r in mine]),
            fmt="o", color=color, label=arm, capsize=3,
        )  # fmt: skip
    right.axhline(0, color="0.4", linewidth=0.8)
    right.set(title="difference from it, paired by case", ylabel="difference in Dice")
    for axis in (left, right):
        axis.set_xticks(range(len(places)), [place.replace(" ", "\n", 1) for place in places], fontsize=8)
        axis.grid(axis="y", alpha=0.3)
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _reach(found: Sequence[tuple[float, tuple[float, float]]]) -> np.ndarray:
    """Lengths of error bars below and above, (2, n)."""
    return np.array([[mean - ends[0], ends[1] - mean] for mean, ends in found]).T
