"""Soft Dice plus cross-entropy at every head, summed over the heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from monai.losses import DiceCELoss
from torch.nn import functional


class SummedDiceCELoss(torch.nn.Module):
    """Soft Dice over GTVp and GTVn plus cross-entropy over all classes, at each head, summed.

    All heads count the same, as published; with ``exponential`` weights they count 1, 1/2, 1/4, … from the main output.
    The label is resampled to each head's size by nearest neighbor. Squared denominators and the smoothing terms are
    those of MONAI's Auto3DSeg template for SegResNet, whose Dice also counts the background. A class that is absent
    from a patch has a Dice term of one and no gradient from it; only the cross-entropy penalizes its prediction.
    """

    def __init__(self, head_weights: Literal["equal", "exponential"] = "equal") -> None:
        super().__init__()
        self._ratio = 1.0 if head_weights == "equal" else 0.5
        self._head = DiceCELoss(
            include_background=False,
            to_onehot_y=True,
            softmax=True,
            squared_pred=True,
            smooth_nr=0.0,
            smooth_dr=1e-5,
        )

    def forward(self, heads: Sequence[torch.Tensor], label: torch.Tensor) -> torch.Tensor:
        """Loss of a list of logits (batch, 3, z, y, x), main output first, against a label (batch, 1, z, y, x)."""
        losses = []
        for number, logits in enumerate(heads):
            target = label if logits.shape[2:] == label.shape[2:] else functional.interpolate(label, logits.shape[2:])
            losses.append(self._ratio**number * self._head(logits.float(), target))
        return torch.stack(losses).sum()
