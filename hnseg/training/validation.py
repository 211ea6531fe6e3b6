"""Validation during training: the challenge's scores, and the loss beside them, on the crop grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from hnseg.cohort.labels import GTVN, GTVP
from hnseg.config import Config
from hnseg.evaluation.overlap import HECKTOR_2025, aggregated_dice, dice, f1_score
from hnseg.images.components import match_lesions
from hnseg.inference.sliding_window import predict_logits
from hnseg.inference.tiling import Tiling, Triple, cheapest_tiling
from hnseg.models.network import stride
from hnseg.preprocessing.prepared_case import PreparedCase

# Voxels of a window over those of a patch, at most: what can be trained with can be predicted with.
MAX_WINDOW_TO_PATCH_RATIO = 1.25
SCORES = ("val_loss", "val_gtvp_dice", "val_gtvn_dice", "val_gtvn_f1", "val_score")
# The final rank is the Borda count of the GTVp ranking and the GTVn ranking, which itself joins Dice and F1.
WEIGHTS = {"val_gtvp_dice": 0.5, "val_gtvn_dice": 0.25, "val_gtvn_f1": 0.25}
OnCase = Callable[[PreparedCase, Any], None]


def validate(
    network: Any, cases: Sequence[PreparedCase], config: Config, fabric: Any, loss: Any, watch: OnCase | None = None
) -> dict[str, float | None]:
    """Score a network on the validation cases of a fold.

    Args:
        network: On the fabric's device; left in evaluation mode.
        cases: With labels. Under several processes each takes its share, and all get the scores of all cases.
        loss: From ``[logits]`` and a label to a scalar, as in training; of the main output over the whole crop.
        watch: Called with each case and its predicted label (z, y, x).

    Returns:
        ``val_loss``; GTVp mean Dice, aggregated GTVn Dice and F1, each None where it is undefined; and ``val_score``,
        their mean with the challenge's weights 1/2, 1/4, 1/4 over those that are defined.
    """
    network.eval()
    rows = [
        _score(network, case, config, fabric, loss, watch) for case in cases[fabric.global_rank :: fabric.world_size]
    ]
    if fabric.world_size > 1:
        gathered: list[Any] = [None] * fabric.world_size
        torch.distributed.all_gather_object(gathered, rows)
        rows = sorted((row for part in gathered for row in part), key=lambda row: str(row["case"]))
    gtvp = [float(row["gtvp"]) for row in rows if row["gtvp"] is not None]
    scores: dict[str, float | None] = {
        "val_loss": float(np.mean([row["loss"] for row in rows])),
        "val_gtvp_dice": float(np.mean(gtvp)) if gtvp else None,
        "val_gtvn_dice": aggregated_dice([row["shared"] for row in rows], [row["volume"] for row in rows]),
        "val_gtvn_f1": f1_score(*(sum(row[name] for row in rows) for name in ("tp", "fp", "fn"))),
    }
    known = {name: value for name in WEIGHTS if (value := scores[name]) is not None}
    total = sum(WEIGHTS[name] for name in known)
    scores["val_score"] = sum(WEIGHTS[name] * value for name, value in known.items()) / total if total else None
    return scores


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
    network: Any, case: PreparedCase, config: Config, fabric: Any, loss: Any, watch: OnCase | None
) -> dict[str, Any]:
    """What one case adds to the scores."""
    assert case.label is not None  # folds hold labeled cases only
    truth = case.label[:]
    image = torch.from_numpy(case.image[:])
    z, y, x = truth.shape
    windows = validation_windows((z, y, x), config)
    logits = predict_logits(network, image, config.train, config.predict, fabric, tiling=windows)
    predicted = logits.argmax(dim=0).numpy()
    if watch is not None:
        watch(case, predicted)
    nodes = match_lesions(
        predicted == GTVN,
        truth == GTVN,
        connectivity=HECKTOR_2025.connectivity,
        matching=HECKTOR_2025.matching,
        iou_threshold=HECKTOR_2025.iou_threshold,
    )
    target = torch.from_numpy(truth[None, None].astype(np.float32))
    found, there = predicted == GTVP, truth == GTVP
    return {
        "case": case.id,
        "loss": float(loss([logits[None]], target)),
        "gtvp": dice(found, there) if found.any() or there.any() else None,
        "shared": int(np.sum((predicted == GTVN) & (truth == GTVN))),
        "volume": int(np.sum(predicted == GTVN) + np.sum(truth == GTVN)),
        "tp": nodes.tp,
        "fp": nodes.fp,
        "fn": nodes.fn,
    }
