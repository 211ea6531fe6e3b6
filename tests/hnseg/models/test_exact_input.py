"""The network's input: exact under mixed precision, and otherwise the network as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from monai.networks.nets import SegResNetDS
from torch.testing import assert_close

from hnseg.models.exact_input import ExactConv3d, RoundingInstanceNorm3d
from hnseg.models.network import make_network
from hnseg.settings.train import TrainConfig

TINY = TrainConfig(filters=4, blocks_down=(1, 1, 1), heads=2, patch_vox=(16, 16, 12))


def made():
    torch.manual_seed(0)
    return make_network(TINY).eval()


def plain():
    """MONAI's network, made as :func:`make_network` makes it."""
    torch.manual_seed(0)
    network = SegResNetDS(
        spatial_dims=3,
        init_filters=4,
        in_channels=2,
        out_channels=3,
        norm="INSTANCE",
        blocks_down=(1, 1, 1),
        dsdepth=2,
    )
    return network.to(memory_format=torch.channels_last_3d).eval()


def image():
    generator = torch.Generator().manual_seed(1)
    # One HU: the sigmoid of the CT window's 0 HU and of 1 HU differ by 0.00047, an eighth of a step of bfloat16.
    ct = 0.6225 + 0.00047 * torch.randint(0, 3, (1, 1, 12, 16, 16), generator=generator)
    pet = torch.rand(1, 1, 12, 16, 16, generator=generator)
    return torch.cat([ct, pet], dim=1).contiguous(memory_format=torch.channels_last_3d)


def test_in_float32_it_is_monais_network_to_rounding():
    mine, theirs = made(), plain()
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True))
    assert_close(mine(image()), theirs(image()), rtol=1e-4, atol=1e-5)
    theirs.load_state_dict(mine.state_dict())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_input_is_exact_and_the_rest_in_half_precision(dtype):
    network, seen = made(), {}

    def keep(name):
        return lambda module, inputs, output: seen.__setitem__(name, (inputs[0], output))

    block = network.encoder.layers[0]["blocks"][0]
    for name, module in {"first": network.encoder.conv_init, "norm": block.norm1, "conv": block.conv1}.items():
        module.register_forward_hook(keep(name))
    with torch.no_grad():
        exact = network.encoder.conv_init(image())
        with torch.autocast("cpu", dtype=dtype):
            logits = network(image())
            assert torch.is_autocast_enabled("cpu")
    assert torch.equal(seen["first"][1], exact)
    assert seen["norm"][0].dtype == torch.float32
    assert seen["norm"][1].dtype == seen["conv"][1].dtype == logits.dtype == dtype


def test_a_difference_of_one_hu_reaches_the_first_features():
    network, ct = made(), torch.full((1, 2, 12, 16, 16), 0.6225)
    other = ct.clone()
    other[0, 0] += 0.00047
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal(network.encoder.conv_init(ct), network.encoder.conv_init(other))
        assert torch.equal(plain().encoder.conv_init(ct), plain().encoder.conv_init(other))


def test_it_trains_and_is_copied_as_any_other_layer():
    network = made().train()
    twin = copy.deepcopy(network)
    assert isinstance(twin.encoder.conv_init, ExactConv3d)
    assert isinstance(twin.encoder.layers[0]["blocks"][0].norm1, RoundingInstanceNorm3d)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heads = network(image())
    sum(head.float().square().mean() for head in heads).backward()
    gradient = network.encoder.conv_init.weight.grad
    assert gradient.dtype == torch.float32
    assert gradient.abs().sum() > 0
    assert twin.encoder.conv_init.weight.grad is None


def test_it_follows_weights_of_another_precision():
    network = made().half()
    assert network.encoder.conv_init(image()).dtype == torch.float16


def test_it_is_made_without_memory_and_filled_later():
    with torch.device("meta"):
        network = make_network(TINY)
    network.load_state_dict(made().state_dict(), assign=True)
    assert torch.equal(network.eval()(image()), made()(image()))


@pytest.mark.parametrize("shape", [(1, 2, 12, 7, 9), (1, 2, 7, 6, 5), (2, 2, 6, 5, 4), (1, 2, 2, 1, 1)])
def test_slabs_are_the_plain_convolution_forward_and_backward(shape):
    torch.manual_seed(0)
    layer = ExactConv3d(2, 5, 3, padding=1, bias=False)
    plain = torch.nn.Conv3d(2, 5, 3, padding=1, bias=False)
    plain.load_state_dict(layer.state_dict())
    mine = torch.randn(shape, requires_grad=True)
    theirs = mine.detach().clone().requires_grad_()
    weights = torch.randn(plain(theirs).shape)
    (layer(mine) * weights).sum().backward()
    (plain(theirs) * weights).sum().backward()
    assert_close(layer(mine), plain(theirs), rtol=1e-4, atol=1e-5)
    assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    assert_close(layer.weight.grad, plain.weight.grad, rtol=1e-4, atol=1e-4)


def test_a_single_image_stays_in_channels_last_order():
    made_of = ExactConv3d(2, 5, 3, padding=1, bias=False)(torch.randn(1, 2, 8, 6, 4))
    assert made_of.is_contiguous(memory_format=torch.channels_last_3d)
