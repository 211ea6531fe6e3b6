"""Scores of a cohort from its cases' counts, with intervals and by lesion size; no files."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.evaluation.case_scores import CaseScores
from hnseg.evaluation.overlap import aggregated_dice, f1_score
from hnseg.evaluation.records import Bootstrap, CohortScores, Interval, SizeBin
from hnseg.evaluation.rules import HECKTOR_2025, Rules, Score
from hnseg.evaluation.score_specs import (
    DICE_AGG_MEAN,
    GTVN_DICE_AGG,
    GTVN_F1_AGG,
    GTVP_DICE_AGG,
    GTVP_DICE_MEAN,
    SUM_SCORES,
    SURFACE_SCORES,
    ScoreSpec,
)

SIZE_EDGES_ML = (0.0, 1.0, 5.0, 15.0)  # a node of 1 ml is a ball of 12 mm, of 5 ml one of 21 mm, of 15 ml one of 31 mm
RESAMPLES = 2000
BOOTSTRAP_SEED = 20250
NO_CASE = "no case to score"
Floats = NDArray[np.float64]


def summarize(cases: Sequence[CaseScores], rules: Rules = HECKTOR_2025) -> CohortScores:
    """The cohort's scores, each in the unit of its :class:`hnseg.evaluation.score_specs.ScoreSpec`."""
    dices = [case.gtvp_dice for case in cases if case.gtvp_dice is not None]
    tp, fp, fn = sum(case.tp for case in cases), sum(case.fp for case in cases), sum(case.fn for case in cases)
    unit = [case.voxel_ml if rules.aggregate == "ml" else 1.0 for case in cases]
    aggregated = [
        aggregated_dice(
            [u * o.intersection_vox for u, o in zip(unit, overlaps, strict=True)],
            [u * (o.pred_vox + o.truth_vox) for u, o in zip(unit, overlaps, strict=True)],
        )
        for overlaps in ([case.gtvp for case in cases], [case.gtvn for case in cases])
    ]
    f1 = f1_score(tp, fp, fn)
    if cases:
        aggregated = [rules.empty_value if value is None else value for value in aggregated]
        f1 = rules.empty_value if f1 is None else f1
    gtvp_agg, gtvn_agg = aggregated
    values: dict[str, Score] = {
        GTVP_DICE_MEAN.key: float(np.mean(dices)) if dices else None,
        GTVN_DICE_AGG.key: gtvn_agg,
        GTVN_F1_AGG.key: f1,
        GTVP_DICE_AGG.key: gtvp_agg,
        DICE_AGG_MEAN.key: None if gtvp_agg is None or gtvn_agg is None else (gtvp_agg + gtvn_agg) / 2,
    }
    surface = {spec.key: _surface_score(cases, spec) for spec in SURFACE_SCORES}
    undefined = {spec.key: spec.undefined if cases else NO_CASE for spec in SUM_SCORES if values[spec.key] is None}
    undefined |= {key: reason for key, (_, reason) in surface.items() if reason is not None}
    return CohortScores(
        **values,
        **{key: value for key, (value, _) in surface.items()},
        **_volume_errors(cases),
        tp=tp,
        fp=fp,
        fn=fn,
        n_cases=len(cases),
        n_gtvp_dice=len(dices),
        undefined=undefined,
    )


def _surface_score(cases: Sequence[CaseScores], spec: ScoreSpec) -> tuple[Score, str | None]:
    """A surface score, or None and the reason."""
    values = surface_values(cases, spec)
    known = values[~np.isnan(values)]
    if not cases:
        return None, NO_CASE
    if not known.size:
        return None, spec.undefined
    value = float(known.mean()) if spec.statistic == "mean" else float(np.median(known))
    if math.isinf(value):
        return None, "infinite: in half of the cases or more one of the two masks is empty"
    return value, None


def surface_values(cases: Sequence[CaseScores], spec: ScoreSpec) -> Floats:
    """Per case (n,) what a surface score is the mean or median of: NaN without the class, infinite with one mask."""
    assert spec.case_value is not None  # every surface score has one
    found = [spec.case_value(case) for case in cases]
    return np.asarray([math.nan if value is None else value for value in found], dtype=np.float64)


def row_statistic(spec: ScoreSpec) -> Callable[[Floats], Floats]:
    """The statistic of a surface score over each row (resamples, n)."""
    return row_nanmean if spec.statistic == "mean" else row_nanmedian


def _volume_errors(cases: Sequence[CaseScores]) -> dict[str, Score]:
    out: dict[str, Score] = {}
    for name in (lesion.key for lesion in LESION_CLASSES):
        errors = np.asarray([case.volume_error_ml(name) for case in cases], dtype=np.float64)
        overlaps = [case.overlap(name) for case in cases]
        relative = [100 * abs(o.pred_vox / o.truth_vox - 1) for o in overlaps if o.truth_vox]
        out[f"{name}_volume_bias_ml"] = float(errors.mean()) if errors.size else None
        out[f"{name}_volume_error_mean_ml"] = float(np.abs(errors).mean()) if errors.size else None
        out[f"{name}_volume_error_median_percent"] = float(np.median(relative)) if relative else None
    return out


def detection_by_size(cases: Sequence[CaseScores], edges_ml: Sequence[float] = SIZE_EDGES_ML) -> tuple[SizeBin, ...]:
    """True GTVn lesions by volume: how many there are, how many were found; false alarms by their own volume.

    Args:
        cases: With their lesions.
        edges_ml (sequence of float, rising): Lower bounds of the bins; the last one is open.

    Raises:
        ValueError: Edges that do not rise.
    """
    if list(edges_ml) != sorted(set(edges_ml)):
        raise ValueError(f"edges_ml {tuple(edges_ml)} must rise")
    rows = []
    lesions = [lesion for case in cases for lesion in case.lesions]
    for low, high in zip(edges_ml, [*edges_ml[1:], math.inf], strict=True):
        inside = [lesion for lesion in lesions if low <= lesion.volume_ml < high]
        truth = [lesion for lesion in inside if lesion.side == "truth"]
        rows.append(
            SizeBin(
                from_ml=float(low),
                below_ml=None if math.isinf(high) else float(high),
                lesions=len(truth),
                found=sum(lesion.iou is not None for lesion in truth),
                false=sum(lesion.side == "prediction" and lesion.iou is None for lesion in inside),
            )
        )
    return tuple(rows)


def bootstrap(
    cases: Sequence[CaseScores],
    rules: Rules = HECKTOR_2025,
    *,
    seed: int = BOOTSTRAP_SEED,
    resamples: int = RESAMPLES,
) -> Bootstrap:
    """95 % percentile intervals of the cohort scores, from resampling cases with replacement.

    Resamples in which a score is undefined are left out and counted. With fewer than two cases there is no interval.
    An upper bound of None is infinite (see HD95). Cases are the unit: the interval says how much the score would move
    with other patients of the same kind, not with another training run.
    """
    intervals: dict[str, Interval | None] = dict.fromkeys(spec.key for spec in (*SUM_SCORES, *SURFACE_SCORES))
    lost: dict[str, int] = {}
    if len(cases) >= 2:
        values = resampled_scores(cases, bootstrap_indices(len(cases), seed, resamples), rules)
        lost = {name: int(np.isnan(sample).sum()) for name, sample in values.items()}
        intervals = {name: interval(sample) for name, sample in values.items()}
    return Bootstrap(
        seed=seed,
        resamples=resamples,
        level=0.95,
        method="percentile, over cases",
        intervals=intervals,
        undefined_resamples=lost,
    )


def bootstrap_indices(n: int, seed: int, resamples: int) -> NDArray[np.int64]:
    """Which cases each bootstrap cohort holds, (resamples, n)."""
    return np.random.default_rng(seed).integers(0, n, size=(resamples, n))


def count_draws(draws: NDArray[np.int64]) -> Floats:
    """How often each bootstrap cohort holds each case.

    Args:
        draws (resamples, n): As :func:`bootstrap_indices` gives them.

    Returns:
        (resamples, n); each row sums to n.
    """
    counts = np.zeros(draws.shape)
    np.add.at(counts, (np.arange(len(draws))[:, None], draws), 1)
    return counts


def resampled_scores(
    cases: Sequence[CaseScores], draws: NDArray[np.int64], rules: Rules = HECKTOR_2025
) -> dict[str, Floats]:
    """Every score of many cohorts at once, {score: (resamples,)}; NaN where undefined."""
    values = scores_from_sums(sufficient_statistics(cases, rules)[draws].sum(axis=1), rules)
    for spec in SURFACE_SCORES:
        values[spec.key] = row_statistic(spec)(surface_values(cases, spec)[draws])
    return values


def interval(sample: Floats) -> Interval | None:
    """2.5 and 97.5 % of the values that are defined; None without any, an infinite bound as None."""
    known = sample[~np.isnan(sample)]
    if not known.size:
        return None
    bounds = []
    for percent in (2.5, 97.5):
        # Between a finite and an infinite value there is nothing to interpolate.
        method = "linear" if np.isfinite(known).all() else "higher"
        bounds.append(float(np.percentile(known, percent, method=method)))  # type: ignore[call-overload]
    low, high = (bound if math.isfinite(bound) else None for bound in bounds)
    return low, high


class SumField(enum.IntEnum):
    """What the cohort scores are sums of; the place of each on the last axis of :class:`ScoreSums`."""

    GTVP_DICE = 0
    GTVP_DICE_CASES = 1  # that have a GTVp Dice under the rules
    GTVP_INTERSECTION = 2  # in ml or voxels, as the rules aggregate
    GTVP_VOLUME = 3  # predicted plus true
    GTVN_INTERSECTION = 4
    GTVN_VOLUME = 5
    TP = 6
    FP = 7
    FN = 8


@dataclass(frozen=True)
class ScoreSums:
    """Sums from which the scores of :data:`hnseg.evaluation.score_specs.SUM_SCORES` follow, of cases or of cohorts.

    Attributes:
        values (ndarray of float64, (…, 9)): A place for each :class:`SumField`; cases, settings or resamples before it.
    """

    values: Floats

    __array_ufunc__ = None  # ``array @ sums`` is left to this class

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each sum."""
        return self.values.shape[:-1]

    def __getitem__(self, index: Any) -> ScoreSums:
        return ScoreSums(self.values[index])

    def __sub__(self, other: ScoreSums) -> ScoreSums:
        return ScoreSums(self.values - other.values)

    def __add__(self, other: ScoreSums) -> ScoreSums:
        return ScoreSums(self.values + other.values)

    def __len__(self) -> int:
        return len(self.values)

    def field(self, name: SumField) -> Floats:
        """One sum (…)."""
        found: Floats = self.values[..., name]
        return found

    def sum(self, axis: int) -> ScoreSums:
        """Summed over an axis, of cases for instance."""
        return ScoreSums(self.values.sum(axis=axis))

    def __rmatmul__(self, weights: Floats) -> ScoreSums:
        """``weights @ sums``: the sums of cohorts (m,) in which case k counts ``weights[m, k]`` times."""
        return ScoreSums(weights @ self.values)

    @classmethod
    def stack(cls, parts: Sequence[ScoreSums]) -> ScoreSums:
        """Sums of one shape along a new first axis."""
        return cls(np.stack([part.values for part in parts]))

    @classmethod
    def zero(cls) -> ScoreSums:
        """The sums of a cohort without a case."""
        return cls(np.zeros(len(SumField)))


def sufficient_statistics(cases: Sequence[CaseScores], rules: Rules) -> ScoreSums:
    """What each case (n,) adds to the sums of a cohort."""
    rows = np.zeros((len(cases), len(SumField)), dtype=np.float64)
    for row, case in zip(rows, cases, strict=True):
        unit = case.voxel_ml if rules.aggregate == "ml" else 1.0
        row[SumField.GTVP_DICE] = case.gtvp_dice or 0.0
        row[SumField.GTVP_DICE_CASES] = case.gtvp_dice is not None
        row[SumField.GTVP_INTERSECTION] = case.gtvp.intersection_vox * unit
        row[SumField.GTVP_VOLUME] = (case.gtvp.pred_vox + case.gtvp.truth_vox) * unit
        row[SumField.GTVN_INTERSECTION] = case.gtvn.intersection_vox * unit
        row[SumField.GTVN_VOLUME] = (case.gtvn.pred_vox + case.gtvn.truth_vox) * unit
        row[SumField.TP], row[SumField.FP], row[SumField.FN] = case.tp, case.fp, case.fn
    return ScoreSums(rows)


def scores_from_sums(sums: ScoreSums, rules: Rules = HECKTOR_2025) -> dict[str, Floats]:
    """The scores of :data:`hnseg.evaluation.score_specs.SUM_SCORES` for many cohorts at once.

    Args:
        sums: Of cohorts (…), summed over the cases of each.
        rules: Their value where there is nothing to measure.

    Returns:
        dict {score: ndarray (…)}; NaN where undefined.
    """
    empty = math.nan if rules.empty_value is None else rules.empty_value

    def ratio(over: Floats, under: Floats, nothing: float) -> Floats:
        return np.divide(over, under, out=np.full(under.shape, nothing), where=under > 0)

    tp, fp, fn = (sums.field(name) for name in (SumField.TP, SumField.FP, SumField.FN))
    gtvp_agg = ratio(2 * sums.field(SumField.GTVP_INTERSECTION), sums.field(SumField.GTVP_VOLUME), empty)
    gtvn_agg = ratio(2 * sums.field(SumField.GTVN_INTERSECTION), sums.field(SumField.GTVN_VOLUME), empty)
    return {
        GTVP_DICE_MEAN.key: ratio(sums.field(SumField.GTVP_DICE), sums.field(SumField.GTVP_DICE_CASES), math.nan),
        GTVN_DICE_AGG.key: gtvn_agg,
        GTVN_F1_AGG.key: ratio(2 * tp, 2 * tp + fp + fn, empty),
        GTVP_DICE_AGG.key: gtvp_agg,
        DICE_AGG_MEAN.key: (gtvp_agg + gtvn_agg) / 2,
    }


def row_nanmean(samples: Floats) -> Floats:
    """Mean of each row over what is defined; NaN where nothing is."""
    known = ~np.isnan(samples)
    count = known.sum(axis=1)
    total = np.where(known, samples, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(samples), math.nan), where=count > 0)


def row_nanmedian(samples: Floats) -> Floats:
    """Median of each row over what is defined, infinite values included; NaN where nothing is."""
    ordered = np.sort(samples, axis=1)  # NaN last
    count = (~np.isnan(samples)).sum(axis=1)
    rows = np.arange(len(samples))
    low, high = (ordered[rows, np.maximum(k, 0)] for k in ((count - 1) // 2, np.minimum(count // 2, count - 1)))
    return np.where(count > 0, (low + high) / 2, math.nan)
