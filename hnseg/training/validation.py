"""Validation during training: the challenge's scores, and the loss beside them, on the crop grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.evaluation.case_scores import match_nodes
from hnseg.evaluation.overlap import aggregated_dice, dice, f1_score
from hnseg.evaluation.rules import HECKTOR_2025
from hnseg.evaluation.score_specs import GTVN_DICE_AGG, GTVN_F1_AGG, GTVP_DICE_MEAN
from hnseg.inference.sliding_window import predict_logits
from hnseg.inference.tiling import Tiling, Triple, cheapest_tiling
from hnseg.models.network import stride
from hnseg.preprocessing.prepared_case import PreparedCase
from hnseg.settings.config import Config

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MAX_WINDOW_TO_PATCH_RATIO = 1.25  # by volume; keeps validation within the memory of training
WEIGHTS = {
    "val_gtvp_dice": GTVP_DICE_MEAN.weight,
    "val_gtvn_dice": GTVN_DICE_AGG.weight,
    "val_gtvn_f1": GTVN_F1_AGG.weight,
}
OnCase = Callable[[PreparedCase, NDArray[np.int64]], None]
Criterion = Callable[[Sequence[torch.Tensor], torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ValidationScores:
    """Scores of a network on the validation cases of a fold; None where one is undefined.

    Attributes:
        val_loss: Mean loss of the main output over whole crops.
        val_gtvp_dice: Mean Dice of GTVp over the cases that have one or were given one.
        val_gtvn_dice: Dice of GTVn, aggregated over the cases.
        val_gtvn_f1: F1 score of GTVn lesions, aggregated over the cases.
        val_score: Mean of the three with the challenge's weights 1/2, 1/4, 1/4, over those that are defined.
    """

    val_loss: float
    val_gtvp_dice: float | None
    val_gtvn_dice: float | None
    val_gtvn_f1: float | None
    val_score: float | None


@dataclass(frozen=True)
class _CaseTerms:
    """What one case adds to the scores."""

    case_id: str
    loss: float
    gtvp_dice: float | None
    gtvn_intersection_vox: int
    gtvn_volume_vox: int  # of prediction and truth together
    tp: int
    fp: int
    fn: int


def validate(
    network: torch.nn.Module,
    cases: Sequence[PreparedCase],
    config: Config,
    fabric: Fabric,
    criterion: Criterion,
    on_case: OnCase | None = None,
) -> ValidationScores:
    """Score a network on the validation cases of a fold.

    Args:
        network: On the fabric's device; left in evaluation mode.
        cases: With labels. Under several processes each takes its share, and all get the scores of all cases.
        config: Settings of the run.
        fabric: Device and processes.
        criterion: From ``[logits]`` and a label to a scalar, as in training.
        on_case: Called with each case and its predicted label (z, y, x).
    """
    network.eval()
    share = cases[fabric.global_rank :: fabric.world_size]
    terms = [_score(network, case, config, fabric, criterion, on_case) for case in share]
    if fabric.world_size > 1:
        gathered: list[Any] = [None] * fabric.world_size
        torch.distributed.all_gather_object(gathered, terms)
        terms = sorted((term for part in gathered for term in part), key=lambda term: term.case_id)
    gtvp = [term.gtvp_dice for term in terms if term.gtvp_dice is not None]
    scores = {
        "val_gtvp_dice": float(np.mean(gtvp)) if gtvp else None,
        "val_gtvn_dice": aggregated_dice(
            [term.gtvn_intersection_vox for term in terms], [term.gtvn_volume_vox for term in terms]
        ),
        "val_gtvn_f1": f1_score(*(sum(getattr(term, name) for term in terms) for name in ("tp", "fp", "fn"))),
    }
    known = {name: value for name in WEIGHTS if (value := scores[name]) is not None}
    total = sum(WEIGHTS[name] for name in known)
    score = sum(WEIGHTS[name] * value for name, value in known.items()) / total if total else None
    return ValidationScores(float(np.mean([term.loss for term in terms])), **scores, val_score=score)


def validation_windows(shape: Triple, config: Config) -> Tiling:
    """The cheapest windows over a crop (z, y, x) that are hardly larger than a patch; the same on every machine.

    >>> windows = validation_windows((310, 200, 200), Config.from_preset("paper"))
    >>> windows.window, windows.count
    ((192, 208, 208), 3)
    """
    train = config.train
    most = int(MAX_WINDOW_TO_PATCH_RATIO * math.prod(train.patch_zyx))
    overlap = config.predict.overlap
    return cheapest_tiling(shape, train.patch_zyx, multiple=stride(train), overlap=overlap, max_voxels=most)


def _score(
    network: torch.nn.Module,
    case: PreparedCase,
    config: Config,
    fabric: Fabric,
    criterion: Criterion,
    on_case: OnCase | None,
) -> _CaseTerms:
    assert case.label is not None  # folds hold labeled cases only
    truth = case.label[:]
    image = torch.from_numpy(case.image[:])
    z, y, x = truth.shape
    windows = validation_windows((z, y, x), config)
    logits = predict_logits(network, image, config.train, config.predict, fabric, tiling=windows)
    predicted = logits.argmax(dim=0).numpy()
    if on_case is not None:
        on_case(case, predicted)
    nodes = match_nodes(predicted, truth, case.record.crop_grid.voxel_ml, HECKTOR_2025)
    target = torch.from_numpy(truth[None, None].astype(np.float32))
    found, there = predicted == GTVP, truth == GTVP
    return _CaseTerms(
        case_id=case.id,
        loss=float(criterion([logits[None]], target)),
        gtvp_dice=dice(found, there) if found.any() or there.any() else None,
        gtvn_intersection_vox=int(np.sum((predicted == GTVN) & (truth == GTVN))),
        gtvn_volume_vox=int(np.sum(predicted == GTVN) + np.sum(truth == GTVN)),
        tp=nodes.tp,
        fp=nodes.fp,
        fn=nodes.fn,
    )
