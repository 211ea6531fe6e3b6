"""Counts and scores of one case, from its masks; no files, no cohort (:mod:`hnseg.evaluation.cohort_scores`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.labels import GTVN, LESION_CLASSES, describe_invalid_values, invalid_label_values
from hnseg.evaluation.overlap import f1_score
from hnseg.evaluation.rules import HECKTOR_2025, Rules, Score
from hnseg.evaluation.surface_distance import hausdorff_mm, surface_dice, surface_distances_mm
from hnseg.images.components import LesionMatch, match_lesions


@dataclass(frozen=True)
class Overlap:
    """One class of one case.

    Attributes:
        pred_vox, truth_vox, intersection_vox: Voxels in the prediction, in the truth, in both.
        hd95_mm: None where a mask is empty; see :attr:`exactly_one_empty`.
        surface_dice: None where both masks are empty, 0 where one is.
    """

    pred_vox: int
    truth_vox: int
    intersection_vox: int
    hd95_mm: Score = None
    surface_dice: Score = None

    @property
    def exactly_one_empty(self) -> bool:
        """Whether exactly one of the masks is empty: its surface is infinitely far from the other."""
        return (self.pred_vox == 0) != (self.truth_vox == 0)

    @property
    def dice(self) -> Score:
        """Dice; None when neither mask has a voxel."""
        total = self.pred_vox + self.truth_vox
        return 2 * self.intersection_vox / total if total else None


@dataclass(frozen=True)
class Lesion:
    """A true or predicted GTVn lesion and the IoU at which it was matched (None: it was not)."""

    side: Literal["truth", "prediction"]
    volume_ml: float
    iou: Score


@dataclass(frozen=True)
class CaseScores:
    """Everything a cohort score needs to know about one case.

    Attributes:
        case_id, center: The case and where it comes from.
        voxel_ml: Volume of a voxel.
        gtvp, gtvn: Voxels and surface scores of each class.
        gtvp_dice: Under the rules for an empty truth; None only where these leave the case out.
        tp, fp, fn: GTVn lesions found, false alarms, lesions missed.
        lesions: Every true and predicted GTVn lesion.
        missing: There was no prediction, and the rules of the caller scored it as an empty mask.
    """

    case_id: str
    center: str
    voxel_ml: float
    gtvp: Overlap
    gtvn: Overlap
    gtvp_dice: Score
    tp: int
    fp: int
    fn: int
    lesions: tuple[Lesion, ...] = ()
    missing: bool = False

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

    def overlap(self, key: str) -> Overlap:
        """The overlap of a class by its key, ``"gtvp"`` or ``"gtvn"``."""
        return {"gtvp": self.gtvp, "gtvn": self.gtvn}[key]

    def volume_error_ml(self, key: str) -> float:
        """Predicted minus true volume of ``"gtvp"`` or ``"gtvn"``."""
        overlap = self.overlap(key)
        return (overlap.pred_vox - overlap.truth_vox) * self.voxel_ml


def evaluate_case(
    pred: NDArray[np.integer],
    truth: NDArray[np.integer],
    *,
    spacing_zyx_mm: Sequence[float],
    case_id: str = "",
    center: str = "",
    rules: Rules = HECKTOR_2025,
    missing: bool = False,
) -> CaseScores:
    """Score one predicted label against the truth.

    Args:
        pred, truth (ndarray of int, (z, y, x), values 0, 1 (GTVp), 2 (GTVn)): Both on the CT grid.
        spacing_zyx_mm (3 floats > 0): Of the CT grid, in the order of the array's axes.
        missing: Recorded: ``pred`` stands for a mask that was not there.

    Raises:
        ValueError: Shapes that differ, or values other than 0, 1, 2.

    >>> truth = np.zeros((1, 1, 8), np.uint8); truth[..., :4] = 1; truth[..., 5:7] = 2
    >>> pred = np.zeros((1, 1, 8), np.uint8); pred[..., 2:4] = 1; pred[..., 5:8] = 2
    >>> s = evaluate_case(pred, truth, spacing_zyx_mm=(3, 1, 1))
    >>> round(s.gtvp_dice, 3), s.gtvn_dice, (s.tp, s.fp, s.fn)
    (0.667, 0.8, (1, 0, 0))
    >>> round(s.gtvp.hd95_mm, 6), s.gtvn.surface_dice
    (1.85, 1.0)
    """
    if pred.shape != truth.shape or pred.ndim != 3:
        raise ValueError(f"prediction and truth are (z, y, x) on one grid; got {pred.shape} and {truth.shape}")
    spacing = tuple(float(v) for v in spacing_zyx_mm)
    if len(spacing) != 3 or not min(spacing) > 0:
        raise ValueError(f"spacing_zyx_mm {spacing_zyx_mm}: three numbers > 0")
    voxel_ml = spacing[0] * spacing[1] * spacing[2] / 1000
    for name, label in (("prediction", pred), ("truth", truth)):
        odd = invalid_label_values(label)
        if odd:
            raise ValueError(f"{name}: {describe_invalid_values(odd)}")
    gtvp, gtvn = (_overlap(pred == c.value, truth == c.value, spacing, rules) for c in LESION_CLASSES)
    found = match_nodes(pred, truth, voxel_ml, rules)
    lesions, dice = _lesions(found, voxel_ml), gtvp_dice(gtvp, rules)
    return CaseScores(case_id, center, voxel_ml, gtvp, gtvn, dice, found.tp, found.fp, found.fn, lesions, missing)


def match_nodes(pred: NDArray[np.integer], truth: NDArray[np.integer], voxel_ml: float, rules: Rules) -> LesionMatch:
    """Match the GTVn lesions of two labels on one grid, by the rules.

    Args:
        pred, truth: (z, y, x) Values 0, 1, 2.
        voxel_ml: Volume of a voxel, > 0.
        rules: What a lesion is, and when it is found.
    """
    return match_lesions(
        pred == GTVN,
        truth == GTVN,
        connectivity=rules.connectivity,
        matching=rules.matching,
        iou_threshold=rules.iou_threshold,
        strict=rules.strict,
        min_vox=min_voxels(rules.min_lesion_ml, voxel_ml),
    )


def min_voxels(least_ml: float, voxel_ml: float) -> int:
    """Voxels of the smallest component with at least ``least_ml``, and at least 1; safe from rounding.

    >>> min_voxels(0.3, 0.1), min_voxels(0.31, 0.1), min_voxels(0.0, 0.1)
    (3, 4, 1)
    """
    return max(1, math.ceil(least_ml * (1 - 1e-9) / voxel_ml))


def _lesions(found: LesionMatch, voxel_ml: float) -> tuple[Lesion, ...]:
    sides: tuple[tuple[Literal["truth", "prediction"], Any, Any], ...] = (
        ("truth", found.truth_sizes_vox, found.truth_iou),
        ("prediction", found.pred_sizes_vox, found.pred_iou),
    )
    return tuple(
        Lesion(side, round(float(size) * voxel_ml, 4), None if np.isnan(iou) else float(iou))
        for side, sizes, ious in sides
        for size, iou in zip(sizes, ious, strict=True)
    )


def _overlap(
    pred: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_zyx_mm: Sequence[float], rules: Rules
) -> Overlap:
    n_pred, n_truth, n_shared = (int(np.count_nonzero(mask)) for mask in (pred, truth, pred & truth))
    distances = surface_distances_mm(pred, truth, spacing_zyx_mm)
    if distances is None:
        return Overlap(n_pred, n_truth, n_shared, None, 0.0 if n_pred or n_truth else None)
    near = surface_dice(distances, rules.tolerance_mm)
    return Overlap(n_pred, n_truth, n_shared, hausdorff_mm(distances, 95.0), near)


def gtvp_dice(gtvp: Overlap, rules: Rules) -> Score:
    """GTVp Dice of a case under the rules for an empty truth; None only where these leave the case out."""
    if gtvp.truth_vox:
        return gtvp.dice
    if rules.empty_truth == "skip":
        return None
    return 1.0 if rules.empty_truth == "score" and not gtvp.pred_vox else 0.0
