"""Predicted components of one case in numbers: effect of post-processing on each, and its scores.

Post-processing removes whole components, so every choice of thresholds can be scored from the components' sizes,
overlaps and distances, without touching a voxel again. The scores are those that
:func:`hnseg.inference.postprocess.postprocess_label` followed by
:func:`hnseg.evaluation.case_scores.evaluate_case` gives (a test holds them equal), which needs lesions and islands to
be components of one connectivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.evaluation.case_scores import CaseScores, Overlap, gtvp_dice, min_voxels
from hnseg.evaluation.rules import Rules
from hnseg.images.components import (
    Components,
    connected_components,
    match_components,
    overlap_matrix,
)
from hnseg.inference.postprocess import component_surfaces_mm, nearest_mm
from hnseg.settings.predict import PredictConfig

POSTPROCESSING_CONNECTIVITY = 26  # of postprocess_label
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ComponentTable:
    """What is known about the components of one case.

    Attributes:
        case_id, center: The case.
        voxel_ml: Volume of a voxel.
        gtvp_truth_vox, gtvn_truth_vox: Voxels of each class in the truth.
        gtvp_sizes_vox, gtvn_sizes_vox: (n,), (m,) Sizes of the predicted components.
        gtvp_intersection_vox, gtvn_intersection_vox: (n,), (m,) How much of each lies in the truth of its class.
        lesion_sizes_vox: (k,) Sizes of the true nodes.
        lesion_intersection_vox: (k, m) Overlap of every true node with every predicted one.
        distances_mm: (n, m) From every GTVp component to every GTVn component, as the distance prior measures.
    """

    case_id: str
    center: str
    voxel_ml: float
    gtvp_truth_vox: int
    gtvn_truth_vox: int
    gtvp_sizes_vox: IntArray
    gtvn_sizes_vox: IntArray
    gtvp_intersection_vox: IntArray
    gtvn_intersection_vox: IntArray
    lesion_sizes_vox: IntArray
    lesion_intersection_vox: IntArray
    distances_mm: NDArray[np.float64]
    _counted: dict[tuple[bytes, Rules], tuple[int, int, int]] = field(default_factory=dict, repr=False, compare=False)

    def kept(self, settings: PredictConfig) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which GTVp (n,) and GTVn (m,) components post-processing leaves."""
        least_p = max(min_voxels(settings.min_gtvp_ml, self.voxel_ml), settings.min_gtvp_vox)
        least_n = max(min_voxels(settings.min_gtvn_ml, self.voxel_ml), settings.min_gtvn_vox)
        p, n = self.gtvp_sizes_vox >= least_p, self.gtvn_sizes_vox >= least_n
        if p.any():
            n &= self.distances_mm[p].min(axis=0) <= settings.max_node_distance_mm + 1e-6
        return p, n

    def scored(self, settings: PredictConfig, rules: Rules) -> CaseScores:
        """Counts and scores of what is left; without surface scores and lesions."""
        p, n = self.kept(settings)
        gtvp = Overlap(int(self.gtvp_sizes_vox[p].sum()), self.gtvp_truth_vox, int(self.gtvp_intersection_vox[p].sum()))
        gtvn = Overlap(int(self.gtvn_sizes_vox[n].sum()), self.gtvn_truth_vox, int(self.gtvn_intersection_vox[n].sum()))
        dice = gtvp_dice(gtvp, rules)
        return CaseScores(self.case_id, self.center, self.voxel_ml, gtvp, gtvn, dice, *self._counts(n, rules))

    def _counts(self, kept: NDArray[np.bool_], rules: Rules) -> tuple[int, int, int]:
        key = kept.tobytes(), rules
        if key not in self._counted:  # most thresholds leave the same components
            least = min_voxels(rules.min_lesion_ml, self.voxel_ml)
            true = self.lesion_sizes_vox >= least
            predicted = kept & (self.gtvn_sizes_vox >= least)
            found = match_components(
                self.lesion_intersection_vox[np.ix_(true, predicted)],
                self.lesion_sizes_vox[true],
                self.gtvn_sizes_vox[predicted],
                matching=rules.matching,
                iou_threshold=rules.iou_threshold,
                strict=rules.strict,
            )
            self._counted[key] = found.tp, found.fp, found.fn
        return self._counted[key]


def component_table(
    pred: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    spacing_zyx_mm: Sequence[float],
    *,
    case_id: str,
    center: str,
    rules: Rules,
) -> ComponentTable:
    """Measure the components of a mask before post-processing.

    Args:
        pred: (z, y, x) Mask, values 0, 1, 2.
        truth: Label on the same grid, values 0, 1, 2.
        spacing_zyx_mm: Voxel spacing, > 0.
        case_id: ID of the case, kept in the table.
        center: Its center, kept in the table.
        rules: By which lesions are matched.

    Raises:
        ValueError: Shapes that differ, or rules whose lesions are not the components that post-processing removes.
    """
    if pred.shape != truth.shape:
        raise ValueError(f"prediction of shape {pred.shape} and truth of shape {truth.shape} differ")
    if rules.connectivity != POSTPROCESSING_CONNECTIVITY:
        raise ValueError(f"connectivity {rules.connectivity}: post-processing removes 26-connected components")
    spacing = np.asarray(spacing_zyx_mm, dtype=np.float64)
    gtvp, gtvn = (connected_components(pred == value) for value in (GTVP, GTVN))
    lesions = connected_components(truth == GTVN)
    shared = overlap_matrix(lesions, gtvn)
    nodes = component_surfaces_mm(gtvn, spacing)
    distances = np.asarray([nearest_mm(surface, nodes) for surface in component_surfaces_mm(gtvp, spacing)])
    return ComponentTable(
        case_id=case_id,
        center=center,
        voxel_ml=float(np.prod(spacing)) / 1000,
        gtvp_truth_vox=int(np.count_nonzero(truth == GTVP)),
        gtvn_truth_vox=int(lesions.sizes_vox.sum()),
        gtvp_sizes_vox=gtvp.sizes_vox,
        gtvn_sizes_vox=gtvn.sizes_vox,
        gtvp_intersection_vox=_inside(gtvp, truth == GTVP),
        gtvn_intersection_vox=shared.sum(axis=0),
        lesion_sizes_vox=lesions.sizes_vox,
        lesion_intersection_vox=shared,
        distances_mm=distances.reshape(len(gtvp), len(gtvn)),
    )


def _inside(parts: Components, mask: NDArray[np.bool_]) -> IntArray:
    """Voxels of each component that lie in a mask."""
    if not len(parts):
        return np.zeros(0, np.int64)
    return np.bincount(parts.labels[mask[parts.box]], minlength=len(parts) + 1)[1:].astype(np.int64)
