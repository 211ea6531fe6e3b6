"""From the cases' counts to the cohort's scores, with intervals and by lesion size: no files here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.labels import LESION_CLASSES
from hnseg.evaluation.case_scores import CaseScores, Overlap
from hnseg.evaluation.overlap import HECKTOR_2025, Rules, Score, aggregated_dice, f1_score

SCORES = ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg", "gtvp_dice_agg", "dice_agg_mean")
SURFACE_SCORES = ("gtvp_surface_dice_mean", "gtvn_surface_dice_mean", "gtvp_hd95_median_mm", "gtvn_hd95_median_mm")
SIZE_EDGES_ML = (0.0, 1.0, 5.0, 15.0)  # a node of 1 ml is a ball of 12 mm, of 5 ml one of 21 mm, of 15 ml one of 31 mm
RESAMPLES = 2000
BOOTSTRAP_SEED = 20250
COLUMNS = 9  # of sums_table


def summarize(cases: Sequence[CaseScores], rules: Rules = HECKTOR_2025) -> dict[str, Any]:
    """The cohort's scores.

    Returns:
        dict, JSON-ready: ``gtvp_dice_mean``, ``gtvn_dice_agg``, ``gtvn_f1_agg``, ``gtvp_dice_agg``, ``dice_agg_mean``
        in [0, 1], or None where undefined; ``undefined`` {score: reason}; ``tp``, ``fp``, ``fn`` summed over the
        cohort; ``n_cases``, ``n_gtvp_dice`` (cases in the mean); for each of ``gtvp`` and ``gtvn`` the surface scores
        (``_surface_dice_mean``, ``_hd95_median_mm``) and volume errors (``_volume_bias_ml``, ``_volume_error_mean_ml``,
        ``_volume_error_median_percent``), which the challenge does not rank by.
    """
    dices = [case.gtvp_dice for case in cases if case.gtvp_dice is not None]
    tp, fp, fn = (sum(getattr(case, name) for case in cases) for name in ("tp", "fp", "fn"))
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
        "gtvp_dice_mean": float(np.mean(dices)) if dices else None,
        "gtvn_dice_agg": gtvn_agg,
        "gtvn_f1_agg": f1,
        "gtvp_dice_agg": gtvp_agg,
        "dice_agg_mean": None if gtvp_agg is None or gtvn_agg is None else (gtvp_agg + gtvn_agg) / 2,
    }
    surface = {name: _surface_score(cases, name) for name in SURFACE_SCORES}
    undefined = {name: _reason(name) if cases else "no case to score" for name, v in values.items() if v is None}
    undefined |= {name: reason for name, (_, reason) in surface.items() if reason is not None}
    return {
        **values,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "n_cases": len(cases),
        "n_gtvp_dice": len(dices),
        **{name: value for name, (value, _) in surface.items()},
        **_volume_errors(cases),
        "undefined": undefined,
    }


def _reason(score: str) -> str:
    """Why a score has no value in a cohort that has cases."""
    return {
        "gtvp_dice_mean": "no case has a GTVp Dice under these rules",
        "gtvn_dice_agg": "no case has GTVn, neither in the truth nor in the prediction",
        "gtvn_f1_agg": "no case has a GTVn lesion, neither in the truth nor in the prediction",
        "gtvp_dice_agg": "no case has GTVp, neither in the truth nor in the prediction",
        "dice_agg_mean": "one of the two aggregated Dice scores is undefined",
    }[score]


def _surface_score(cases: Sequence[CaseScores], score: str) -> tuple[Score, str | None]:
    """A surface score, or None and the reason."""
    values = surface_values(cases, score)
    known = values[~np.isnan(values)]
    if not cases:
        return None, "no case to score"
    if not known.size:
        return None, f"no case has {score[:3].upper() + score[3]}, neither in the truth nor in the prediction"
    value = float(known.mean()) if score.endswith("mean") else float(np.median(known))
    if math.isinf(value):
        return None, "infinite: in half of the cases or more one of the two masks is empty"
    return value, None


def surface_values(cases: Sequence[CaseScores], score: str) -> NDArray[np.float64]:
    """Per case (n,) what a surface score is the mean or median of: NaN without the class, infinite with one mask."""
    overlaps: list[Overlap] = [getattr(case, score[:4]) for case in cases]
    if score.endswith("surface_dice_mean"):
        found = [o.surface_dice for o in overlaps]
    else:
        found = [math.inf if o.exactly_one_empty else o.hd95_mm for o in overlaps]
    return np.asarray([math.nan if value is None else value for value in found], dtype=np.float64)


def _volume_errors(cases: Sequence[CaseScores]) -> dict[str, Score]:
    out: dict[str, Score] = {}
    for name in (c.key for c in LESION_CLASSES):
        errors = np.asarray([case.volume_error_ml(name) for case in cases], dtype=np.float64)
        overlaps: list[Overlap] = [getattr(case, name) for case in cases]
        relative = [100 * abs(o.pred_vox / o.truth_vox - 1) for o in overlaps if o.truth_vox]
        out[f"{name}_volume_bias_ml"] = float(errors.mean()) if errors.size else None
        out[f"{name}_volume_error_mean_ml"] = float(np.abs(errors).mean()) if errors.size else None
        out[f"{name}_volume_error_median_percent"] = float(np.median(relative)) if relative else None
    return out


def detection_by_size(
    cases: Sequence[CaseScores], edges_ml: Sequence[float] = SIZE_EDGES_ML
) -> list[dict[str, float | int | None]]:
    """True GTVn lesions by volume: how many there are, how many were found; false alarms by their own volume.

    Args:
        edges_ml (sequence of float, rising): Lower bounds of the bins; the last one is open.

    Returns:
        list of dict, JSON-ready: ``from_ml``, ``below_ml`` (None: no bound), ``lesions``, ``found``, ``false``.
    """
    if list(edges_ml) != sorted(set(edges_ml)):
        raise ValueError(f"edges_ml {tuple(edges_ml)} must rise")
    rows: list[dict[str, float | int | None]] = []
    lesions = [lesion for case in cases for lesion in case.lesions]
    for low, high in zip(edges_ml, [*edges_ml[1:], math.inf], strict=True):
        inside = [lesion for lesion in lesions if low <= lesion.volume_ml < high]
        truth = [lesion for lesion in inside if lesion.side == "truth"]
        rows.append(
            {
                "from_ml": float(low),
                "below_ml": None if math.isinf(high) else float(high),
                "lesions": len(truth),
                "found": sum(lesion.iou is not None for lesion in truth),
                "false": sum(lesion.side == "prediction" and lesion.iou is None for lesion in inside),
            }
        )
    return rows


def bootstrap(
    cases: Sequence[CaseScores],
    rules: Rules = HECKTOR_2025,
    *,
    seed: int = BOOTSTRAP_SEED,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """95 % percentile intervals of the cohort scores, from resampling cases with replacement.

    Resamples in which a score is undefined are left out and counted. With fewer than two cases there is no interval.
    An upper bound of None is infinite (see HD95). Cases are the unit: the interval says how much the score would move
    with other patients of the same kind, not with another training run.
    """
    out: dict[str, Any] = {"seed": seed, "resamples": resamples, "level": 0.95, "method": "percentile, over cases"}
    if len(cases) < 2:
        return {**out, "intervals": dict.fromkeys((*SCORES, *SURFACE_SCORES)), "undefined_resamples": {}}
    draws = bootstrap_indices(len(cases), seed, resamples)
    values = resampled_scores(cases, draws, rules)
    lost = {name: int(np.isnan(sample).sum()) for name, sample in values.items()}
    return {**out, "intervals": {k: interval(v) for k, v in values.items()}, "undefined_resamples": lost}


def bootstrap_indices(n: int, seed: int, resamples: int) -> NDArray[np.int64]:
    """Which cases each bootstrap cohort holds, (resamples, n)."""
    return np.random.default_rng(seed).integers(0, n, size=(resamples, n))


def resampled_scores(
    cases: Sequence[CaseScores], draws: NDArray[np.int64], rules: Rules = HECKTOR_2025
) -> dict[str, NDArray[np.float64]]:
    """Every score of many cohorts at once, {score: (resamples,)}; NaN where undefined."""
    values = scores_from_sums(sufficient_statistics(cases, rules)[draws].sum(axis=1), rules)
    for name in SURFACE_SCORES:
        middle = row_nanmean if name.endswith("mean") else known_median
        values[name] = middle(surface_values(cases, name)[draws])
    return values


def interval(sample: NDArray[np.float64]) -> list[float | None] | None:
    """2.5 and 97.5 % of the values that are defined; None without any, an infinite bound as None."""
    known = sample[~np.isnan(sample)]
    if not known.size:
        return None
    bounds = []
    for percent in (2.5, 97.5):
        # Between a finite and an infinite value there is nothing to interpolate.
        method = "linear" if np.isfinite(known).all() else "higher"
        bounds.append(float(np.percentile(known, percent, method=method)))  # type: ignore[call-overload]
    return [bound if math.isfinite(bound) else None for bound in bounds]


def sufficient_statistics(cases: Sequence[CaseScores], rules: Rules) -> NDArray[np.float64]:
    """Per case (n, 9) what the cohort scores are sums of; see :func:`scores_from_sums`."""
    rows = []
    for case in cases:
        unit = case.voxel_ml if rules.aggregate == "ml" else 1.0
        p, n = case.gtvp, case.gtvn
        dice = (case.gtvp_dice or 0.0, case.gtvp_dice is not None)
        volumes = (
            o * unit
            for o in (p.intersection_vox, p.pred_vox + p.truth_vox, n.intersection_vox, n.pred_vox + n.truth_vox)
        )
        rows.append([*dice, *volumes, case.tp, case.fp, case.fn])
    return np.asarray(rows, dtype=np.float64).reshape(-1, COLUMNS)


def scores_from_sums(sums: NDArray[np.float64], rules: Rules = HECKTOR_2025) -> dict[str, NDArray[np.float64]]:
    """The scores of :func:`summarize` for many cohorts at once.

    Args:
        sums (ndarray (…, 9)): Rows of :func:`sufficient_statistics`, summed over each cohort.

    Returns:
        dict {score: ndarray (…)}; NaN where undefined.
    """
    dice, n, p_shared, p_volume, n_shared, n_volume, tp, fp, fn = np.moveaxis(sums, -1, 0)
    empty = math.nan if rules.empty_value is None else rules.empty_value

    def ratio(over: NDArray[np.float64], under: NDArray[np.float64], nothing: float) -> NDArray[np.float64]:
        return np.divide(over, under, out=np.full(under.shape, nothing), where=under > 0)

    gtvp_agg, gtvn_agg = ratio(2 * p_shared, p_volume, empty), ratio(2 * n_shared, n_volume, empty)
    return {
        "gtvp_dice_mean": ratio(dice, n, math.nan),
        "gtvn_dice_agg": gtvn_agg,
        "gtvn_f1_agg": ratio(2 * tp, 2 * tp + fp + fn, empty),
        "gtvp_dice_agg": gtvp_agg,
        "dice_agg_mean": (gtvp_agg + gtvn_agg) / 2,
    }


def row_nanmean(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each row over what is defined; NaN where nothing is."""
    known = ~np.isnan(samples)
    count = known.sum(axis=1)
    total = np.where(known, samples, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(samples), math.nan), where=count > 0)


def known_median(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each row over what is defined, infinite values included; NaN where nothing is."""
    ordered = np.sort(samples, axis=1)  # NaN last
    count = (~np.isnan(samples)).sum(axis=1)
    rows = np.arange(len(samples))
    low, high = (ordered[rows, np.maximum(k, 0)] for k in ((count - 1) // 2, np.minimum(count // 2, count - 1)))
    return np.where(count > 0, (low + high) / 2, math.nan)
