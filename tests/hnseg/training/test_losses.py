"""Dice plus cross-entropy: values by hand, coarse heads, absent classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hnseg.training.losses import SummedDiceCELoss


def test_loss_by_hand():
    """Two voxels, one GTVp and one background, logits chosen so that the softmax is (.5, .5, 0) and (1, 0, 0)."""
    logits = torch.tensor([[0.0, 50.0], [0.0, 0.0], [-50.0, 0.0]]).reshape(1, 3, 1, 1, 2)
    label = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 1, 2)
    gtvp = 1 - 2 * 0.5 / (0.25 + 1)  # squared denominators
    gtvn = 1.0  # absent: nothing overlaps
    cross_entropy = (-np.log(0.5) + 0.0) / 2
    expected = (gtvp + gtvn) / 2 + cross_entropy
    criterion = SummedDiceCELoss()
    assert float(criterion([logits], label)) == pytest.approx(expected, abs=1e-4)
    assert float(criterion([logits, logits], label)) == pytest.approx(2 * expected, abs=1e-4)


def test_loss_of_a_coarse_head_uses_the_coarse_label():
    label = torch.zeros(1, 1, 4, 4, 4)
    label[..., :2] = 2.0
    perfect = torch.nn.functional.one_hot(label[0, 0].long(), 3).permute(3, 0, 1, 2)[None].float() * 60
    coarse = perfect[..., ::2, ::2, ::2]
    # GTVp is absent: its Dice term is one at each of the two heads, averaged over two classes.
    assert float(SummedDiceCELoss()([perfect, coarse], label)) == pytest.approx(1.0, abs=1e-3)


def test_an_absent_class_gives_no_dice_gradient():
    logits = torch.randn(1, 3, 4, 4, 4, requires_grad=True)
    label = torch.zeros(1, 1, 4, 4, 4)
    total = SummedDiceCELoss()([logits], label)
    (gradient,) = torch.autograd.grad(total, logits)
    alone = torch.nn.functional.cross_entropy(logits, label[:, 0].long())
    (reference,) = torch.autograd.grad(alone, logits)
    torch.testing.assert_close(gradient, reference)
