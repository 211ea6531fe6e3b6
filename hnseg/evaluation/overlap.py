"""The challenge's scores as small pure functions of masks and counts.

Three numbers rank HECKTOR 2025 Task 1: the mean GTVp Dice over patients, the aggregated GTVn Dice and the
aggregated GTVn lesion F1 (hecktor25.grand-challenge.org, "Tasks and evaluation"). The official scorer is not
public; where the text leaves a point open, :class:`Rules` names it, with a default that is argued there. Of HECKTOR
2022 the scorer is public (github.com/voreille/hecktor): :data:`HECKTOR_2022` repeats what it does.

A score without a value (0/0) is ``None``: never a silent 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hnseg.images.components import Connectivity, Matching

Score = float | None
EmptyTruth = Literal["score", "skip", "zero"]
ZeroDivision = Literal["undefined", "one", "zero"]
Challenge = Literal["2025", "2022"]


@dataclass(frozen=True)
class Rules:
    """Every point on which two scorers of the same challenge could differ.

    Attributes:
        challenge ({"2025", "2022"}): Which scores stand at the top, see :attr:`headline`, and where a prediction has to
            lie. 2025: on the truth's own grid, "will not be resampled if this is not the case". 2022: the prediction
            must have the truth's spacing (numpy's ``allclose`` with ``atol=1e-6``) and is brought onto its grid by
            nearest neighbor, so that a cropped mask with a right origin is legal; outside of it is background.
        connectivity ({6, 18, 26}): What a lesion is. Default 26: a node drawn on thick slices may be joined by a corner
            only.
        matching ({"greedy", "hungarian", "grouped"}): See :func:`hnseg.images.components.match_lesions`. Default
            greedy: one lesion, one detection.
        iou_threshold, strict (float, bool): "Detection is for IoU>30%": 0.3, strictly above.
        empty_truth ({"score", "skip", "zero"}): GTVp Dice of a case whose truth has no GTVp. ``score`` (default, as
            HERMES): 1 when the prediction is empty too, else 0, because a patient without a primary tumor is a patient
            like any other, and a false alarm has to cost something. It also gives an empty mask 1.0 on those cases.
            ``skip``: the case has no GTVp Dice (as MONAI's DiceMetric). ``zero``: 0 whatever was predicted (as
            SimpleITK's overlap filter).
        aggregate ({"ml", "voxels"}): What the aggregated Dice sums. Default ml, as the 2022 scorer: patients count by
            volume, not by voxel size.
        zero_division ({"undefined", "one", "zero"}): An aggregated score over a cohort in which neither truth nor
            prediction has the class (0/0). Default undefined: there was nothing to measure. ``one``: as the
            ``DiceAggScore`` of the 2025 baseline and AIV.
        min_lesion_ml (float ≥ 0): GTVn components smaller than this are no lesions, on both sides, when lesions are
            counted (Dice keeps them). Default 0, since the text names no least size.
        tolerance_mm (float > 0): Surface Dice: how far apart two surfaces may be and still agree. Default 3 mm, the
            usual slice thickness of the challenge's CT: an outline that is off by a slice is as good as the scan. The
            challenge does not score it.
    """

    challenge: Challenge = "2025"
    connectivity: Connectivity = 26
    matching: Matching = "greedy"
    iou_threshold: float = 0.3
    strict: bool = True
    empty_truth: EmptyTruth = "score"
    aggregate: Literal["ml", "voxels"] = "ml"
    zero_division: ZeroDivision = "undefined"
    min_lesion_ml: float = 0.0
    tolerance_mm: float = 3.0

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[object, ...]] = {
            "challenge": get_args(Challenge),
            "connectivity": get_args(Connectivity),
            "matching": get_args(Matching),
            "empty_truth": get_args(EmptyTruth),
            "aggregate": ("ml", "voxels"),
            "zero_division": get_args(ZeroDivision),
        }
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r}: choose one of {', '.join(map(str, choices))}")
        if not 0 <= self.iou_threshold < 1:
            raise ValueError(f"iou_threshold {self.iou_threshold} must be in [0, 1)")
        if not 0 <= self.min_lesion_ml < math.inf or not 0 < self.tolerance_mm < math.inf:
            raise ValueError(
                f"min_lesion_ml {self.min_lesion_ml} must be ≥ 0 and tolerance_mm {self.tolerance_mm} > 0, both finite"
            )

    @property
    def headline(self) -> tuple[str, str, str]:
        """The scores that the challenge ranks by, in the order in which they are shown."""
        if self.challenge == "2022":
            return "dice_agg_mean", "gtvp_dice_agg", "gtvn_dice_agg"
        return "gtvp_dice_mean", "gtvn_dice_agg", "gtvn_f1_agg"

    @property
    def empty_value(self) -> Score:
        """The value of an aggregated score without anything to measure."""
        values: dict[ZeroDivision, Score] = {"undefined": None, "one": 1.0, "zero": 0.0}
        return values[self.zero_division]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form; ``Rules(**d)`` gives the rules back."""
        return asdict(self)

    def replace(self, changes: Mapping[str, Any]) -> Rules:
        """These rules with some points decided otherwise, validated."""
        return Rules(**{**self.as_dict(), **changes})

    def definitions(self) -> dict[str, str]:
        """What each score means under these rules, in words."""
        empty = {
            "score": "a case without true GTVp scores 1 when none is predicted, else 0",
            "skip": "cases without true GTVp are left out",
            "zero": "a case without true GTVp scores 0",
        }[self.empty_truth]
        pairing = {
            "greedy": "paired one-to-one, highest IoU first",
            "hungarian": "paired one-to-one with the largest sum of IoU",
            "grouped": "in groups of touching lesions and predictions, by the IoU of the group",
        }[self.matching]
        sign = ">" if self.strict else "≥"
        unit = "milliliters" if self.aggregate == "ml" else "voxels"
        least = f" of at least {self.min_lesion_ml:g} ml" if self.min_lesion_ml else ""
        surface = "a surface is the centers of a mask's voxels with a face neighbor outside of it"
        return {
            "gtvp_dice_mean": f"mean over patients of the GTVp Dice 2|A∩B|/(|A|+|B|); {empty}",
            "gtvn_dice_agg": f"2 Σ|A∩B| / Σ(|A|+|B|) of GTVn, summed in {unit} over all patients",
            "gtvp_dice_agg": f"2 Σ|A∩B| / Σ(|A|+|B|) of GTVp, summed in {unit} over all patients",
            "gtvn_f1_agg": (
                f"2TP/(2TP+FP+FN) of GTVn lesions over all patients; lesions are {self.connectivity}-connected "
                f"components{least}, {pairing}, a lesion is found at IoU {sign} {self.iou_threshold:g}"
            ),
            "dice_agg_mean": "mean of the two aggregated Dice scores (the HECKTOR 2022 score)",
            "surface_dice": (
                f"share of both surfaces that lies within {self.tolerance_mm:g} mm of the other, mean over cases; "
                f"{surface}; 0 when one mask is empty, left out when both are"
            ),
            "hd95": (
                "the larger of the two directed 95th percentiles of surface distance, in mm; the median over cases "
                "counts a case in which one mask is empty as infinite, and leaves out those in which both are"
            ),
            "volume_error": (
                "predicted minus true volume of the class; bias: mean over all cases; absolute: mean of its size; "
                "percent: median of its size relative to the true volume, over cases that have one"
            ),
        }


HECKTOR_2025 = Rules()
HECKTOR_2022 = Rules(challenge="2022")
PRESETS: dict[str, Rules] = {"2025": HECKTOR_2025, "2022": HECKTOR_2022}


def dice(pred: NDArray[np.bool_], truth: NDArray[np.bool_], *, both_empty: float = 1.0) -> float:
    """Dice coefficient ``2|A∩B| / (|A|+|B|)`` of two masks of one shape.

    Args:
        pred, truth: Ndarray of bool.
        both_empty: Value where neither mask has a voxel. One empty mask gives 0.

    Raises:
        ValueError: Shapes that differ.

    >>> dice(np.array([True, True, False]), np.array([False, True, False]))
    0.6666666666666666
    >>> dice(np.zeros(3, bool), np.zeros(3, bool))
    1.0
    """
    if pred.shape != truth.shape:
        raise ValueError(f"prediction of shape {pred.shape} and truth of shape {truth.shape} differ")
    total = int(np.count_nonzero(pred)) + int(np.count_nonzero(truth))
    if total == 0:
        return both_empty
    return 2 * int(np.count_nonzero(pred & truth)) / total


def aggregated_dice(intersections: Sequence[float], volumes: Sequence[float]) -> Score:
    """Aggregated Dice ``2 Σ|A∩B| / Σ(|A|+|B|)`` over a cohort (Kumar et al. 2017, as HECKTOR 2022).

    Args:
        intersections, volumes (sequence of float ≥ 0, one per case): ``|A∩B|`` and ``|A|+|B|``, both in voxels or both
            in ml.

    Returns:
        float in [0, 1], or None: None when no case has a voxel of the class in either mask.

    >>> aggregated_dice([1.0, 0.0], [4.0, 6.0])
    0.2
    >>> aggregated_dice([0.0], [0.0]) is None
    True
    """
    if len(intersections) != len(volumes):
        raise ValueError(f"{len(intersections)} intersections and {len(volumes)} volumes")
    total = float(np.sum(volumes))
    return 2 * float(np.sum(intersections)) / total if total > 0 else None


def f1_score(tp: int, fp: int, fn: int) -> Score:
    """F1 = 2TP / (2TP + FP + FN) from counts; None when all are 0 (nothing to find, nothing predicted).

    >>> f1_score(3, 1, 1), f1_score(0, 2, 0), f1_score(0, 0, 0)
    (0.75, 0.0, None)
    """
    if min(tp, fp, fn) < 0:
        raise ValueError(f"counts must be ≥ 0; got TP {tp}, FP {fp}, FN {fn}")
    denominator = 2 * tp + fp + fn
    return 2 * tp / denominator if denominator else None
