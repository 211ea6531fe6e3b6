"""Summary, table and figure of ``site_downstream.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hnseg.evaluation.cohort_scores import BOOTSTRAP_SEED, RESAMPLES, bootstrap_indices, count_draws, interval

NOT_COMPARED = ("home, fixed SUV", "home", "home, augmentation")
HOME, NOTHING, Z_SCORE = "home", "nothing", "z-score"
_UNSEEN = {
    "finer": "coarser in training, finer unseen",
    "coarser": "finer in training, coarser unseen",
    "either": "the mean of both directions",
}


@dataclass(frozen=True)
class BlockResult:
    """All arms of one seed and cohort at one unseen center.

    Attributes:
        cohort, unseen, seed: Which.
        difference: Of the unseen from the training site, as found.
        scores: Dice by arm and patient.
        seconds: Processor time, with the trainings that were not kept.
    """

    cohort: str
    unseen: str
    seed: int
    difference: str
    scores: dict[str, dict[str, float]]
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """A figure, with its 95 % interval over seeds and patients; None where it is not defined."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SummaryRow:
    """One arm at one unseen center, over all seeds.

    Attributes:
        cohort, unseen, arm: Which.
        tests: Number of tests.
        dice: Mean.
        from_z_score: Its difference from the z-score alone, paired.
        from_home: Its difference from the same patients at the training's scanner (z-score), paired.
        share_of_z_score, share_of_nothing: Share that comes back of what the scanner costs the z-score, and of what it
            costs with nothing; not defined where the interval of that cost holds 0.
    """

    cohort: str
    unseen: str
    arm: str
    tests: int
    dice: Estimate
    from_z_score: Estimate
    from_home: Estimate
    share_of_z_score: Estimate
    share_of_nothing: Estimate


class Resampled:
    """Bootstrap over seeds and over patients, both at once.

    Args:
        values: (arms, seeds, patients) Dice; NaN where a patient was not tested.
    """

    def __init__(self, values: np.ndarray) -> None:
        seeds, people = values.shape[1:]
        drawn_seeds = count_draws(bootstrap_indices(seeds, BOOTSTRAP_SEED, RESAMPLES))
        drawn_people = count_draws(bootstrap_indices(people, BOOTSTRAP_SEED + 1, RESAMPLES))
        tested = np.isfinite(values[0]).astype(float)
        weight = np.einsum("rs,rp,sp->r", drawn_seeds, drawn_people, tested)
        filled = np.nan_to_num(values)
        drawn = [np.einsum("rs,rp,sp->r", drawn_seeds, drawn_people, one, optimize=True) for one in filled]
        usable = weight > 0
        self.mean = filled.sum(axis=(1, 2)) / tested.sum()
        self.drawn = np.stack(drawn)[:, usable] / weight[usable]

    def of(self, weights: np.ndarray) -> Estimate:
        """A weighted sum of the arms' means."""
        return Estimate(float(weights @ self.mean), *_bounds(weights @ self.drawn))

    def share(self, part: np.ndarray, whole: np.ndarray) -> Estimate:
        """Ratio of two weighted sums; not defined where the interval of the whole holds 0."""
        low, _ = _bounds(whole @ self.drawn)
        if low <= 0:
            return Estimate(None, None, None)
        ratios = (part @ self.drawn) / (whole @ self.drawn)
        return Estimate(float(part @ self.mean / (whole @ self.mean)), *_bounds(ratios))


def _bounds(values: np.ndarray) -> tuple[float, float]:
    found = interval(values)
    assert found is not None
    return found


def pooled(results: Sequence[BlockResult]) -> list[BlockResult]:
    """One block for each seed, with the patients of all cohorts: means over unseen centers, of arms that all have."""
    found = []
    for seed in dict.fromkeys(result.seed for result in results):
        mine = [result for result in results if result.seed == seed]
        # Trained there, the mean of both directions is that of "home" by construction.
        arms = [arm for arm in mine[0].scores if all(arm in r.scores for r in mine) and arm != "trained there"]
        scores: dict[str, dict[str, float]] = {}
        for arm in arms:
            values: dict[str, list[float]] = {}
            for name, value in (item for result in mine for item in result.scores[arm].items()):
                values.setdefault(name, []).append(value)
            scores[arm] = {name: float(np.mean(each)) for name, each in values.items()}
        found.append(BlockResult("all", "either", seed, "", scores, sum(result.seconds for result in mine)))
    return found


def summarize(results: Sequence[BlockResult]) -> list[SummaryRow]:
    """Means over all tests of a cohort and an unseen center, with intervals.

    Args:
        results: All seeds of each have the same arms.
    """
    rows = []
    for cohort, unseen in dict.fromkeys((result.cohort, result.unseen) for result in results):
        seeds = [result for result in results if (result.cohort, result.unseen) == (cohort, unseen)]
        arms = list(seeds[0].scores)
        people = sorted({name for seed in seeds for name in seed.scores[HOME]})
        values = np.full((len(arms), len(seeds), len(people)), np.nan)
        for (a, arm), (s, seed) in product(enumerate(arms), enumerate(seeds)):
            for name, value in seed.scores[arm].items():
                values[a, s, people.index(name)] = value
        drawn, unit = Resampled(values), dict(zip(arms, np.eye(len(arms)), strict=True))
        for arm in arms:
            shares = [drawn.share(unit[arm] - unit[base], unit[HOME] - unit[base]) for base in (Z_SCORE, NOTHING)]
            differences = [drawn.of(unit[arm] - unit[base]) for base in (Z_SCORE, HOME)]
            tests = int(np.isfinite(values[0]).sum())
            rows.append(SummaryRow(cohort, unseen, arm, tests, drawn.of(unit[arm]), *differences, *shares))
    return rows


def table(rows: Sequence[SummaryRow], seeds: int) -> str:
    """Markdown: one table for each cohort and unseen center."""
    lines = [
        f"Mean Dice of all lesions of a patient, {seeds} seeds, with 95 % intervals over seeds and patients (bootstrap "
        "of both). Differences are paired. Share: how much comes back of what the scanner costs; – where the interval "
        "of that cost holds 0.",
    ]
    for cohort, unseen in dict.fromkeys((row.cohort, row.unseen) for row in rows):
        mine = [row for row in rows if (row.cohort, row.unseen) == (cohort, unseen)]
        lines += [
            "",
            f"{cohort[0].upper()}{cohort[1:]} patients, {_UNSEEN[unseen]}: {mine[0].tests} tests.",
            "",
            "| arm | Dice | from z-score alone | from home | share of the cost with z-score | with nothing |",
            "|---|---|---|---|---|---|",
        ]
        for row in mine:
            differences = ["" if row.arm == Z_SCORE else _signed(row.from_z_score)]
            differences += ["" if row.arm == HOME else _signed(row.from_home)]
            compared = row.arm not in NOT_COMPARED
            shares = [_share(row.share_of_z_score) if compared and row.arm not in (NOTHING, Z_SCORE) else ""]
            shares += [_share(row.share_of_nothing) if compared and row.arm != NOTHING else ""]
            lines.append(f"| {row.arm} | {row.dice.mean:.3f} | " + " | ".join(differences + shares) + " |")
    return "\n".join(lines) + "\n"


def _signed(found: Estimate) -> str:
    return f"{found.mean:+.3f} ({found.low:+.3f} … {found.high:+.3f})"


def _share(found: Estimate) -> str:
    return "–" if found.mean is None else f"{found.mean:.0%} ({found.low:.0%} … {found.high:.0%})"


def draw(rows: Sequence[SummaryRow], path: Path) -> None:
    """Difference of every arm from the same patients at the training's scanner, one panel for each table."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    blocks = list(dict.fromkeys((row.cohort, row.unseen) for row in rows if row.unseen != "either"))
    panels = figure.subplots(2, (len(blocks) + 1) // 2, sharex=True, squeeze=False).T.ravel()
    for axis, (cohort, unseen) in zip(panels, blocks, strict=False):
        mine = [r for r in rows if (r.cohort, r.unseen) == (cohort, unseen) and r.arm not in NOT_COMPARED]
        for place, row in enumerate(mine):
            found, color = row.from_home, "#0072b2" if row.arm.startswith("alignment") else "#666666"
            assert found.mean is not None
            assert found.low is not None
            assert found.high is not None
            reach = np.maximum([[found.mean - found.low], [found.high - found.mean]], 0)
            axis.errorbar([found.mean], [place], xerr=reach, fmt="o", color=color, capsize=3)
        axis.axvline(0, color="0.4", linewidth=0.8)
        axis.set_yticks(range(len(mine)), [row.arm for row in mine], fontsize=8)
        axis.invert_yaxis()
        axis.set_title(f"{cohort} patients: {_UNSEEN[unseen]}", fontsize=9)
        axis.grid(axis="x", alpha=0.3)
        axis.tick_params(labelbottom=True)
    figure.supxlabel("Dice, difference from the same patients at the training's scanner", fontsize=9)
    figure.savefig(path, dpi=110)
