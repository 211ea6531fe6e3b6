"""Instance normalization in channels-last order: torch's numbers, without its copies."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from hnseg.models.channels_last import ChannelsLastInstanceNorm3d
from hnseg.models.network import make_network
from hnseg.settings.train import TrainConfig


def layers():
    torch.manual_seed(0)
    mine, theirs = ChannelsLastInstanceNorm3d(3, affine=True), torch.nn.InstanceNorm3d(3, affine=True)
    with torch.no_grad():
        mine.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        mine.bias.copy_(torch.tensor([0.1, 0.0, -1.0]))
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("images", [1, 2])
def test_it_is_torchs_instance_normalization_forward_and_backward(images, training):
    mine, theirs = (layer.train(training) for layer in layers())
    left = (torch.randn(images, 3, 4, 5, 6) * 7 + 40).requires_grad_()
    right = left.detach().clone().requires_grad_()
    weights = torch.randn(left.shape)
    (mine(left) * weights).sum().backward()
    (theirs(right) * weights).sum().backward()
    assert_close(mine(left), theirs(right), rtol=1e-4, atol=1e-4)
    assert_close(left.grad, right.grad, rtol=1e-3, atol=1e-5)
    assert_close(mine.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-4)


def test_the_memory_order_stays():
    image = torch.randn(1, 3, 4, 5, 6).contiguous(memory_format=torch.channels_last_3d)
    mine, theirs = layers()
    assert mine(image).is_contiguous(memory_format=torch.channels_last_3d)
    assert not theirs(image).is_contiguous(memory_format=torch.channels_last_3d)


def test_every_normalization_of_the_network_is_one():
    network = make_network(TrainConfig(filters=4, blocks_down=(1, 1, 1), heads=2, patch_vox=(16, 16, 12)))
    norms = [module for module in network.modules() if isinstance(module, torch.nn.InstanceNorm3d)]
    assert len(norms) > 3
    assert all(isinstance(norm, ChannelsLastInstanceNorm3d) for norm in norms)
