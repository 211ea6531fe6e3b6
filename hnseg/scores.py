"""From one case's masks to counts, and from counts to the cohort's scores: no files here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.lesions import match_lesions
from hnseg.metrics import GTVN, GTVP, HECKTOR_2025, Rules, Score, aggregated_dice, f1_score

HEADLINE = ("gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg")
SCORES = (*HEADLINE, "gtvp_dice_agg", "dice_agg_mean")
RESAMPLES = 2000
BOOTSTRAP_SEED = 20250


@dataclass(frozen=True)
class Overlap:
    """Voxels of one class: in the prediction, in the truth, in both."""

    pred_vox: int
    truth_vox: int
    shared_vox: int

    @property
    def dice(self) -> Score:
        """Dice; None when neither mask has a voxel."""
        total = self.pred_vox + self.truth_vox
        return 2 * self.shared_vox / total if total else None


@dataclass(frozen=True)
class Lesion:
    """A true or predicted GTVn lesion and the IoU at which it was matched (None: it was not)."""

    side: Literal["truth", "prediction"]
    volume_ml: float
    iou: Score


@dataclass(frozen=True)
class CaseScores:
    """Everything a cohort score needs to know about one case.

    Attributes
    ----------
    case_id, centre : str
    voxel_ml : float
    gtvp, gtvn : Overlap
    gtvp_dice : float or None
        Under the rules for an empty truth; None only where these leave the case out.
    tp, fp, fn : int
        GTVn lesions found, false alarms, lesions missed.
    lesions : tuple of Lesion
        Every true and predicted GTVn lesion.
    """

    case_id: str
    centre: str
    voxel_ml: float
    gtvp: Overlap
    gtvn: Overlap
    gtvp_dice: Score
    tp: int
    fp: int
    fn: int
    lesions: tuple[Lesion, ...] = ()

    @property
    def gtvn_dice(self) -> Score:
        """GTVn Dice of this case alone; None when neither mask has a node."""
        return self.gtvn.dice

    @property
    def gtvn_f1(self) -> Score:
        """GTVn lesion F1 of this case alone; None when neither mask has a node."""
        return f1_score(self.tp, self.fp, self.fn)

    @property
    def mean_score(self) -> Score:
        """Mean of the scores that this case has: what the report ranks cases by."""
        have = [score for score in (self.gtvp_dice, self.gtvn_dice, self.gtvn_f1) if score is not None]
        return sum(have) / len(have) if have else None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form, with the derived scores and the volumes in ml."""
        derived: dict[str, Any] = {name: getattr(self, name) for name in ("gtvn_dice", "gtvn_f1", "mean_score")}
        for name in ("gtvp", "gtvn"):
            overlap: Overlap = getattr(self, name)
            derived[f"{name}_pred_ml"] = round(overlap.pred_vox * self.voxel_ml, 4)
            derived[f"{name}_truth_ml"] = round(overlap.truth_vox * self.voxel_ml, 4)
        return {**asdict(self), **derived, "lesions": [asdict(lesion) for lesion in self.lesions]}


def evaluate_case(
    pred: NDArray[np.integer],
    truth: NDArray[np.integer],
    *,
    voxel_ml: float,
    case_id: str = "",
    centre: str = "",
    rules: Rules = HECKTOR_2025,
) -> CaseScores:
    """Score one predicted label against the truth.

    Parameters
    ----------
    pred, truth : ndarray of int, (z, y, x), values 0, 1 (GTVp), 2 (GTVn)
        Both on the CT grid.
    voxel_ml : float > 0

    Raises
    ------
    ValueError
        Shapes that differ, or values other than 0, 1, 2.

    Examples
    --------
    >>> truth = np.zeros((1, 1, 8), np.uint8); truth[..., :4] = 1; truth[..., 5:7] = 2
    >>> pred = np.zeros((1, 1, 8), np.uint8); pred[..., 2:4] = 1; pred[..., 5:8] = 2
    >>> s = evaluate_case(pred, truth, voxel_ml=1.0)
    >>> round(s.gtvp_dice, 3), s.gtvn_dice, (s.tp, s.fp, s.fn)
    (0.667, 0.8, (1, 0, 0))
    """
    if pred.shape != truth.shape or pred.ndim != 3:
        raise ValueError(f"prediction and truth are (z, y, x) on one grid; got {pred.shape} and {truth.shape}")
    if not voxel_ml > 0:
        raise ValueError(f"voxel_ml {voxel_ml} must be > 0")
    for name, label in (("prediction", pred), ("truth", truth)):
        odd = unknown_values(label)
        if odd:
            raise ValueError(f"{name}: label values must be 0, 1, 2; found {', '.join(f'{v:g}' for v in odd)}")
    gtvp, gtvn = (_overlap(pred == value, truth == value) for value in (GTVP, GTVN))
    found = match_lesions(
        pred == GTVN,
        truth == GTVN,
        connectivity=rules.connectivity,
        matching=rules.matching,
        iou_threshold=rules.iou_threshold,
        strict=rules.strict,
    )
    sides: tuple[tuple[Literal["truth", "prediction"], Any, Any], ...] = (
        ("truth", found.truth_sizes_vox, found.truth_iou),
        ("prediction", found.pred_sizes_vox, found.pred_iou),
    )
    lesions = tuple(
        Lesion(side, round(float(size) * voxel_ml, 4), None if np.isnan(iou) else float(iou))
        for side, sizes, ious in sides
        for size, iou in zip(sizes, ious, strict=True)
    )
    dice = _gtvp_dice(gtvp, rules)
    return CaseScores(case_id, centre, voxel_ml, gtvp, gtvn, dice, found.tp, found.fp, found.fn, lesions)


def unknown_values(label: NDArray[Any]) -> list[float]:
    """Values of a label array that are not 0, 1 or 2 (the first five)."""
    odd = label[(label != 0) & (label != GTVP) & (label != GTVN)]
    return [float(value) for value in np.unique(odd)[:5]]


def _overlap(pred: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Overlap:
    return Overlap(*(int(np.count_nonzero(mask)) for mask in (pred, truth, pred & truth)))


def _gtvp_dice(gtvp: Overlap, rules: Rules) -> Score:
    if gtvp.truth_vox:
        return gtvp.dice
    if rules.empty_truth == "skip":
        return None
    return 1.0 if rules.empty_truth == "score" and not gtvp.pred_vox else 0.0


def summarize(cases: Sequence[CaseScores], rules: Rules = HECKTOR_2025) -> dict[str, Any]:
    """The cohort's scores.

    Returns
    -------
    dict, JSON-ready
        ``gtvp_dice_mean``, ``gtvn_dice_agg``, ``gtvn_f1_agg``, ``gtvp_dice_agg``, ``dice_agg_mean`` in [0, 1], or
        None where undefined; ``undefined`` {score: reason}; ``tp``, ``fp``, ``fn`` summed over the cohort;
        ``n_cases``, ``n_gtvp_dice`` (cases in the mean).
    """
    dices = [case.gtvp_dice for case in cases if case.gtvp_dice is not None]
    tp, fp, fn = (sum(getattr(case, name) for case in cases) for name in ("tp", "fp", "fn"))
    unit = [case.voxel_ml if rules.aggregate == "ml" else 1.0 for case in cases]
    aggregated = [
        aggregated_dice(
            [u * o.shared_vox for u, o in zip(unit, overlaps, strict=True)],
            [u * (o.pred_vox + o.truth_vox) for u, o in zip(unit, overlaps, strict=True)],
        )
        for overlaps in ([case.gtvp for case in cases], [case.gtvn for case in cases])
    ]
    gtvp_agg, gtvn_agg = aggregated
    values: dict[str, Score] = {
        "gtvp_dice_mean": float(np.mean(dices)) if dices else None,
        "gtvn_dice_agg": gtvn_agg,
        "gtvn_f1_agg": f1_score(tp, fp, fn),
        "gtvp_dice_agg": gtvp_agg,
        "dice_agg_mean": None if gtvp_agg is None or gtvn_agg is None else (gtvp_agg + gtvn_agg) / 2,
    }
    reasons = {
        "gtvp_dice_mean": "no case has a GTVp Dice under these rules",
        "gtvn_dice_agg": "no case has GTVn, neither in the truth nor in the prediction",
        "gtvn_f1_agg": "no case has a GTVn lesion, neither in the truth nor in the prediction",
        "gtvp_dice_agg": "no case has GTVp, neither in the truth nor in the prediction",
        "dice_agg_mean": "one of the two aggregated Dice scores is undefined",
    }
    return {
        **values,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "n_cases": len(cases),
        "n_gtvp_dice": len(dices),
        "undefined": {k: reasons[k] if cases else "no case to score" for k, v in values.items() if v is None},
    }


def bootstrap(
    cases: Sequence[CaseScores],
    rules: Rules = HECKTOR_2025,
    *,
    seed: int = BOOTSTRAP_SEED,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """95 % percentile intervals of the cohort scores, from resampling cases with replacement.

    Resamples in which a score is undefined are left out and counted. With fewer than two cases there is no interval.
    Cases are the unit: the interval says how much the score would move with other patients of the same kind, not with
    another training run.
    """
    table = _table(cases, rules)
    out: dict[str, Any] = {"seed": seed, "resamples": resamples, "level": 0.95, "method": "percentile, over cases"}
    if len(cases) < 2:
        return {**out, "intervals": dict.fromkeys(SCORES), "undefined_resamples": {}}
    draws = np.random.default_rng(seed).integers(0, len(cases), size=(resamples, len(cases)))
    values = _scores(table[draws].sum(axis=1).T)
    intervals: dict[str, list[float] | None] = {}
    lost: dict[str, int] = {}
    for name, sample in values.items():
        good = sample[~np.isnan(sample)]
        intervals[name] = [float(v) for v in np.percentile(good, [2.5, 97.5])] if good.size else None
        lost[name] = int(resamples - good.size)
    return {**out, "intervals": intervals, "undefined_resamples": lost}


def _table(cases: Sequence[CaseScores], rules: Rules) -> NDArray[np.float64]:
    """Per case (n, 9) what the cohort scores are sums of."""
    rows = []
    for case in cases:
        unit = case.voxel_ml if rules.aggregate == "ml" else 1.0
        p, n = case.gtvp, case.gtvn
        rows.append(
            [
                case.gtvp_dice or 0.0,
                case.gtvp_dice is not None,
                p.shared_vox * unit,
                (p.pred_vox + p.truth_vox) * unit,
                n.shared_vox * unit,
                (n.pred_vox + n.truth_vox) * unit,
                case.tp,
                case.fp,
                case.fn,
            ]
        )
    return np.asarray(rows, dtype=np.float64).reshape(-1, 9)


def _scores(sums: NDArray[np.float64]) -> dict[str, Any]:
    """The scores of :func:`summarize` for many cohorts at once, from column sums (9, resamples); NaN: undefined."""
    dice, n, p_shared, p_volume, n_shared, n_volume, tp, fp, fn = sums
    with np.errstate(invalid="ignore"):
        gtvp_agg, gtvn_agg = np.divide(2 * p_shared, p_volume), np.divide(2 * n_shared, n_volume)
        return {
            "gtvp_dice_mean": np.divide(dice, n),
            "gtvn_dice_agg": gtvn_agg,
            "gtvn_f1_agg": np.divide(2 * tp, 2 * tp + fp + fn),
            "gtvp_dice_agg": gtvp_agg,
            "dice_agg_mean": (gtvp_agg + gtvn_agg) / 2,
        }
