"""The benchmark of windows: margins are taken off where they were put on, and scores are those of hnseg."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hnseg.evaluation.overlap import aggregated_dice, dice
from hnseg.models.device import open_device
from hnseg.settings.config import Config

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import predict_windows as pw


class Pointwise(torch.nn.Module):
    """Logits that depend on one voxel: whatever the windows, the mask is known."""

    def forward(self, image):
        return torch.cat([torch.full_like(image[:, :1], 0.5), image], dim=1)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("window", [(8, 8, 8), (16, 8, 16), (24, 16, 16)])
def test_a_mask_lies_on_the_crop_whatever_the_windows(window, zeros):
    torch.manual_seed(0)
    image = torch.rand(2, 21, 9, 13)
    mask = pw.mask_by([Pointwise()], image, pw.Setting("", window, 0.5, zeros), open_device("cpu", "32-true"))
    expected = torch.cat([torch.full_like(image[:1], 0.5), image]).argmax(dim=0)
    np.testing.assert_array_equal(mask, expected.numpy())


def test_what_is_compared():
    config = Config.from_preset("demo")
    settings = pw.settings_of(config, (75, 48, 48), open_device("cpu", "32-true"))
    assert [setting.window[0] for setting in settings[:6]] == [48, 48, 56, 56, 64, 72]
    assert {setting.window[1:] for setting in settings[:6]} == {(48, 48)}  # as wide as the crop: no margin there


def test_hidden_voxels_are_not_seen_and_not_marked():
    image = torch.full((2, 8, 10, 10), 0.9)
    mask = pw.mask_by([Pointwise()], image, pw.Setting("", (8, 8, 8), 0.5, hidden_vox=1), open_device("cpu", "32-true"))
    expected = np.zeros((8, 10, 10))
    expected[:, 1:-1, 1:-1] = 1
    np.testing.assert_array_equal(mask, expected)


def test_scores_are_those_of_hnseg():
    rng = np.random.default_rng(0)
    truths, masks = rng.integers(0, 3, (2, 4, 5, 6, 7))
    truths[0], masks[0] = 2, 2  # a case without any GTVp
    rows = [
        [int(((m == v) & (t == v)).sum()) for v in (1, 2)] + [int((m == v).sum() + (t == v).sum()) for v in (1, 2)]
        for m, t in zip(masks, truths, strict=True)
    ]
    gtvp, gtvn = pw.dice_of(np.array(rows, float))
    assert gtvp == pytest.approx(np.mean([dice(m == 1, t == 1) for m, t in zip(masks[1:], truths[1:], strict=True)]))
    assert gtvn == pytest.approx(aggregated_dice([row[1] for row in rows], [row[3] for row in rows]))
