"""The network: its heads and their sizes."""

from __future__ import annotations

import torch

from hnseg.models.network import make_network
from hnseg.settings.train import TrainConfig

TINY = TrainConfig(
    filters=4, blocks_down=(1, 1, 1), heads=2, patch_vox=(16, 16, 12), epochs=2, workers=0, patches_per_case=2
)


def test_network_has_the_heads_asked_for():
    network = make_network(TINY)
    x = torch.rand(1, 2, 12, 16, 16)
    heads = network.train()(x)
    assert [tuple(head.shape) for head in heads] == [(1, 3, 12, 16, 16), (1, 3, 6, 8, 8)]
    assert network.eval()(x).shape == (1, 3, 12, 16, 16)
