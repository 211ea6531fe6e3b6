"""Windows blended over a crop: MONAI's result where MONAI gives one, margins that repeat the image, flips."""

from __future__ import annotations

import itertools

import pytest
import torch
from monai.inferers import sliding_window_inference

from hnseg.inference.sliding_window import SlidingWindowAccumulator, choose_tiling, predict_logits
from hnseg.inference.tiling import tile
from hnseg.models.device import open_device
from hnseg.models.network import make_network
from hnseg.settings.predict import PredictConfig
from hnseg.settings.train import TrainConfig
from tests.facts import raises_naming

TRAIN = TrainConfig(filters=4, blocks_down=(1, 1, 1), heads=2, patch_vox=(16, 16, 16))
SHAPE = (36, 20, 24)


@pytest.fixture(scope="module")
def fabric():
    return open_device("cpu", "32-true")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return make_network(TRAIN).eval()


class Pointwise(torch.nn.Module):
    """Logits that depend on one voxel: whatever the windows, the result is known."""

    def forward(self, image):
        return torch.cat([image, image.sum(dim=1, keepdim=True)], dim=1)


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.625])
def test_blending_is_monais(network, fabric, overlap):
    image = torch.rand(2, *SHAPE)
    with torch.inference_mode():
        theirs = sliding_window_inference(image[None], (16, 16, 16), 1, network, overlap=overlap, mode="gaussian")[0]
    ours = predict_logits(network, image, TRAIN, PredictConfig(overlap=overlap), fabric)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [(16, 16, 16), (40, 20, 24), (40, 24, 32), (16, 32, 16)])
@pytest.mark.parametrize("flips", ["", "x", "yz", "xyz"])
def test_weights_sum_to_one_everywhere(fabric, window, flips):
    image = torch.rand(2, *SHAPE)
    blend = SlidingWindowAccumulator(tile(SHAPE, window, overlap=0.5), fabric.device)
    blend.add(Pointwise(), image, fabric, flips=flips)
    blend.add(Pointwise(), image, fabric, flips=flips)
    torch.testing.assert_close(blend.mean(), Pointwise()(image[None])[0])


def test_a_margin_repeats_the_border_and_not_zeros(network, fabric):
    image = torch.rand(2, 16, 14, 16)
    blend = SlidingWindowAccumulator(tile((16, 14, 16), (16, 16, 16), overlap=0.5), fabric.device)
    blend.add(network, image, fabric)
    padded = torch.cat([image[:, :, :1], image, image[:, :, -1:]], dim=2)
    with torch.inference_mode():
        expected = network(padded[None])[0][:, :, 1:-1]
    torch.testing.assert_close(blend.mean(), expected, atol=1e-5, rtol=1e-5)


def test_flips_are_the_mean_over_all_of_them(network, fabric):
    image = torch.rand(2, 16, 16, 16)
    predict = PredictConfig(flips="xy")
    together = predict_logits(network, image, TRAIN, predict, fabric)
    with torch.inference_mode():
        turned = [
            network(image.flip(axes)[None])[0].flip(axes)
            for n in range(3)
            for axes in itertools.combinations((3, 2), n)
        ]
    torch.testing.assert_close(together, torch.stack(turned).mean(0), atol=1e-5, rtol=1e-5)


def test_flips_name_axes():
    with pytest.raises(ValueError, match="flips"):
        PredictConfig(flips="yx")


def test_half_precision_fits_larger_windows(fabric):
    predict, shape = PredictConfig(window="auto"), (96, 24, 24)
    tight = {"memory_bytes": 165 * 24**3}  # between a window of 24 x 24 x 24 in half and in full precision
    full = choose_tiling(shape, TRAIN, predict, fabric, **tight)
    half = choose_tiling(shape, TRAIN, predict, open_device("cpu", "bf16-mixed"), **tight)
    assert half.window == choose_tiling(shape, TRAIN, predict, fabric, memory_bytes=1e9).window == (24, 24, 24)
    assert full.cost > half.cost
    assert choose_tiling(shape, TRAIN, predict, fabric, memory_bytes=0).window == (16, 16, 16)
    assert choose_tiling(shape, TRAIN, PredictConfig(), fabric).window == (16, 16, 16)


def test_an_image_of_another_shape_is_refused(network, fabric):
    blend = SlidingWindowAccumulator(tile(SHAPE, (16, 16, 16), overlap=0.5), fabric.device)
    with raises_naming(ValueError, (2, *SHAPE), (2, 8, 8, 8)):
        blend.add(network, torch.rand(2, 8, 8, 8), fabric)
    with raises_naming(ValueError, "network"):
        blend.mean()
    blend.add(network, torch.rand(2, *SHAPE), fabric)
    blend.mean()  # the network alone was missing
