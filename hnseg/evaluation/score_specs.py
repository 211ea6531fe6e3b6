"""Registry of all scores of a cohort: key, name, definition, unit, and weight in the ranking.

Whoever computes, compares, tunes by, prints or draws a score looks it up here. A new score is an entry of
:data:`SCORE_SPECS` and, where it is neither a sum nor a mean or median over cases, its computation in
:mod:`hnseg.evaluation.cohort_scores`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hnseg.cohort.labels import GTVN, GTVP, LESION_CLASSES, LesionClass
from hnseg.evaluation.case_scores import CaseScores
from hnseg.evaluation.rules import Challenge, Rules, Score
from hnseg.images.components import Matching

_BY_VALUE = {lesion.value: lesion for lesion in LESION_CLASSES}
_GTVP, _GTVN = _BY_VALUE[GTVP], _BY_VALUE[GTVN]
Kind = Literal["sums", "surface", "volume"]
Statistic = Literal["mean", "median"]


@dataclass(frozen=True)
class Definition:
    """What a score means, in words that depend on the rules; several scores may share one."""

    key: str
    title: str
    text: Callable[[Rules], str]


@dataclass(frozen=True)
class ScoreSpec:
    """One score of a cohort.

    Attributes:
        key: In ``metrics.json`` and in code.
        title: For people.
        lesion: The class it measures; None for both.
        kind: What it is computed from: ``sums`` over the cases (fast to resample), the ``surface`` scores of each case,
            or their ``volume`` errors.
        definition: What it means.
        unit: "" for a score in [0, 1].
        digits: To be shown.
        higher_is_better: None where neither end is best (a bias is best at 0).
        statistic: Over the cases; None where it is no statistic of values per case.
        case_value: The value of one case: what a paired test of cases compares, and what ``statistic`` is taken over.
            None where a case has none; infinite where exactly one mask is empty.
        undefined: Why it has no value in a cohort that has cases.
        weight: In the ranking of HECKTOR 2025: the final rank is the Borda count of the GTVp ranking and the GTVn
            ranking, which itself joins Dice and F1.
    """

    key: str
    title: str
    lesion: LesionClass | None
    kind: Kind
    definition: Definition
    unit: str = ""
    digits: int = 3
    higher_is_better: bool | None = True
    statistic: Statistic | None = None
    case_value: Callable[[CaseScores], Score] | None = None
    undefined: str = ""
    weight: float = 0.0


def _gtvp_dice_mean(rules: Rules) -> str:
    empty = {
        "score": "a case without true GTVp scores 1 when none is predicted, else 0",
        "skip": "cases without true GTVp are left out",
        "zero": "a case without true GTVp scores 0",
    }[rules.empty_truth]
    return f"mean over patients of the GTVp Dice 2|A∩B|/(|A|+|B|); {empty}"


def _aggregated(lesion: LesionClass) -> Callable[[Rules], str]:
    def text(rules: Rules) -> str:
        unit = "milliliters" if rules.aggregate == "ml" else "voxels"
        return f"2 Σ|A∩B| / Σ(|A|+|B|) of {lesion.name}, summed in {unit} over all patients"

    return text


_PAIRING: dict[Matching, str] = {
    "greedy": "paired one-to-one, highest IoU first",
    "hungarian": "paired one-to-one with the largest sum of IoU",
    "grouped": "in groups of touching lesions and predictions, by the IoU of the group",
}


def _lesion_f1(rules: Rules) -> str:
    pairing = _PAIRING[rules.matching]
    least = f" of at least {rules.min_lesion_ml:g} ml" if rules.min_lesion_ml else ""
    return (
        f"2TP/(2TP+FP+FN) of GTVn lesions over all patients; lesions are {rules.connectivity}-connected "
        f"components{least}, {pairing}, a lesion is found at IoU {'>' if rules.strict else '≥'} {rules.iou_threshold:g}"
    )


def _surface_dice(rules: Rules) -> str:
    return (
        f"share of both surfaces that lies within {rules.tolerance_mm:g} mm of the other, mean over cases; "
        "a surface is the centers of a mask's voxels with a face neighbor outside of it; "
        "0 when one mask is empty, left out when both are"
    )


def _hd95(rules: Rules) -> str:
    return (
        "the larger of the two directed 95th percentiles of surface distance, in mm; the median over cases "
        "counts a case in which one mask is empty as infinite, and leaves out those in which both are"
    )


def _volume_error(rules: Rules) -> str:
    return (
        "predicted minus true volume of the class; bias: mean over all cases; absolute: mean of its size; "
        "percent: median of its size relative to the true volume, over cases that have one"
    )


def _infinite_if_one_is_empty(lesion: LesionClass) -> Callable[[CaseScores], Score]:
    def value(case: CaseScores) -> Score:
        overlap = case.overlap(lesion.key)
        return math.inf if overlap.exactly_one_empty else overlap.hd95_mm

    return value


def _neither(what: str) -> str:
    return f"no case has {what}, neither in the truth nor in the prediction"


SURFACE_DICE = Definition("surface_dice", "Surface Dice", _surface_dice)
HD95 = Definition("hd95", "HD95", _hd95)
VOLUME_ERROR = Definition("volume_error", "Volume error", _volume_error)

_NO_DICE, _NO_LESION = "no case has a GTVp Dice under these rules", _neither("a GTVn lesion")


def _sum_score(
    lesion: LesionClass,
    suffix: str,
    name: str,
    text: Callable[[Rules], str],
    case_value: Callable[[CaseScores], Score],
    *,
    undefined: str = "",
    weight: float = 0.0,
) -> ScoreSpec:
    """A score of one class from sums over the cases, with a definition of its own."""
    key, title = f"{lesion.key}_{suffix}", f"{lesion.name} {name}"
    return ScoreSpec(
        key,
        title,
        lesion,
        "sums",
        Definition(key, title, text),
        case_value=case_value,
        undefined=undefined or _neither(lesion.name),
        weight=weight,
    )


GTVP_DICE_MEAN = _sum_score(
    _GTVP, "dice_mean", "mean Dice", _gtvp_dice_mean, lambda case: case.gtvp_dice, undefined=_NO_DICE, weight=0.5
)
GTVN_DICE_AGG = _sum_score(
    _GTVN, "dice_agg", "aggregated Dice", _aggregated(_GTVN), lambda case: case.gtvn_dice, weight=0.25
)
GTVN_F1_AGG = _sum_score(
    _GTVN, "f1_agg", "lesion F1", _lesion_f1, lambda case: case.gtvn_f1, undefined=_NO_LESION, weight=0.25
)
GTVP_DICE_AGG = _sum_score(_GTVP, "dice_agg", "aggregated Dice", _aggregated(_GTVP), lambda case: case.gtvp.dice)
DICE_AGG_MEAN = ScoreSpec(
    "dice_agg_mean",
    "Mean aggregated Dice (2022)",
    None,
    "sums",
    Definition(
        "dice_agg_mean",
        "Mean aggregated Dice (2022)",
        lambda rules: "mean of the two aggregated Dice scores (the HECKTOR 2022 score)",
    ),
    undefined="one of the two aggregated Dice scores is undefined",
)
SUM_SCORES = (GTVP_DICE_MEAN, GTVN_DICE_AGG, GTVN_F1_AGG, GTVP_DICE_AGG, DICE_AGG_MEAN)
SURFACE_SCORES = (
    *(
        ScoreSpec(
            f"{lesion.key}_surface_dice_mean",
            f"{lesion.name} surface Dice",
            lesion,
            "surface",
            SURFACE_DICE,
            statistic="mean",
            case_value=lambda case, key=lesion.key: case.overlap(key).surface_dice,  # type: ignore[misc]
            undefined=_neither(lesion.name),
        )
        for lesion in LESION_CLASSES
    ),
    *(
        ScoreSpec(
            f"{lesion.key}_hd95_median_mm",
            f"{lesion.name} HD95, median",
            lesion,
            "surface",
            HD95,
            unit="mm",
            digits=1,
            higher_is_better=False,
            statistic="median",
            case_value=_infinite_if_one_is_empty(lesion),
            undefined=_neither(lesion.name),
        )
        for lesion in LESION_CLASSES
    ),
)
_VOLUMES: tuple[tuple[str, str, str, bool | None, Statistic], ...] = (
    ("bias_ml", "volume, predicted − true", "ml", None, "mean"),
    ("error_mean_ml", "volume error, mean", "ml", False, "mean"),
    ("error_median_percent", "volume error, median", "%", False, "median"),
)
VOLUME_SCORES = tuple(
    ScoreSpec(
        f"{lesion.key}_volume_{suffix}",
        f"{lesion.name} {title}",
        lesion,
        "volume",
        VOLUME_ERROR,
        unit=unit,
        digits=1,
        higher_is_better=better,
        statistic=statistic,
    )
    for lesion in LESION_CLASSES
    for suffix, title, unit, better, statistic in _VOLUMES
)
SCORE_SPECS = {spec.key: spec for spec in (*SUM_SCORES, *SURFACE_SCORES, *VOLUME_SCORES)}
HEADLINES: dict[Challenge, tuple[ScoreSpec, ...]] = {  # what each challenge ranks by, first things first
    "2025": (GTVP_DICE_MEAN, GTVN_DICE_AGG, GTVN_F1_AGG),
    "2022": (DICE_AGG_MEAN, GTVP_DICE_AGG, GTVN_DICE_AGG),
}
RANKING_WEIGHTS = {spec.key: spec.weight for spec in SUM_SCORES if spec.weight}
_DEFINITIONS = (
    *(spec.definition for spec in (GTVP_DICE_MEAN, GTVN_DICE_AGG, GTVP_DICE_AGG, GTVN_F1_AGG, DICE_AGG_MEAN)),
    SURFACE_DICE,
    HD95,
    VOLUME_ERROR,
)
DEFINITION_TITLES = {definition.key: definition.title for definition in _DEFINITIONS}


def headline(rules: Rules) -> tuple[ScoreSpec, ...]:
    """The scores that the rules' challenge ranks by, in the order in which they are shown."""
    return HEADLINES[rules.challenge]


def define_scores(rules: Rules) -> dict[str, str]:
    """What each score means under some rules, in words; {definition: text}."""
    return {definition.key: definition.text(rules) for definition in _DEFINITIONS}
