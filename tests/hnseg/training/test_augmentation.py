"""Augmentation: geometry moves images and label together, intensity changes CT alone, and nothing else is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hnseg.settings.augment import AugmentConfig
from hnseg.training.augmentation import Augmentation

STILL = AugmentConfig(affine_p=0, elastic_p=0, flip_p=0, ct_scale_p=0, ct_shift_p=0, ct_noise_p=0, ct_blur_p=0)


def test_geometry_moves_both_images_and_the_label_together():
    shape = (24, 24, 24)
    label = np.zeros((1, *shape), np.float32)
    label[0, 8:15, 6:14, 9:18] = 1
    image = np.repeat(label, 2, axis=0)
    moving = STILL.model_copy(update={"affine_p": 1.0, "elastic_p": 1.0, "flip_p": 0.5})
    out = Augmentation(moving, shape)({"image": torch.from_numpy(image), "label": torch.from_numpy(label)}, 4)
    assert not torch.equal(out["label"], torch.from_numpy(label))
    assert set(np.unique(out["label"])) == {0.0, 1.0}
    np.testing.assert_array_equal(out["image"][0], out["image"][1])
    # CT is interpolated linearly, the label by nearest neighbor: they agree wherever CT is clear-cut.
    clear = (out["image"][0] < 0.05) | (out["image"][0] > 0.95)
    assert clear.float().mean() > 0.8
    assert ((out["image"][0] > 0.5) == (out["label"][0] > 0.5))[clear].float().mean() > 0.995


def test_intensity_changes_touch_ct_alone():
    loud = STILL.model_copy(update={"ct_scale_p": 1.0, "ct_shift_p": 1.0, "ct_noise_p": 1.0, "ct_blur_p": 1.0})
    image, label = torch.rand(2, 8, 8, 8), torch.ones(1, 8, 8, 8)
    out = Augmentation(loud, (8, 8, 8))({"image": image.clone(), "label": label.clone()}, 0)
    assert set(out) == {"image", "label"}
    assert not torch.allclose(out["image"][0], image[0])
    assert torch.equal(out["image"][1], image[1])
    assert torch.equal(out["label"], label)


def test_without_changes_a_patch_stays_as_it_is():
    image, label = torch.rand(2, 8, 10, 12).half(), torch.randint(0, 3, (1, 8, 10, 12), dtype=torch.uint8)
    out = Augmentation(STILL, (8, 10, 12))({"image": image, "label": label}, 0)
    assert torch.equal(out["image"], image.float())
    assert torch.equal(out["label"], label.float())


@pytest.mark.parametrize("shape", [(48, 48, 48), (32, 40, 64)])
def test_elastic_displacement_is_as_large_as_asked_and_no_larger(shape):
    """Ramps along z, y and x, each moved by what its axis was displaced."""
    axes = torch.meshgrid(*(torch.arange(float(n)) for n in shape), indexing="ij")
    augment = Augmentation(STILL.model_copy(update={"elastic_p": 1.0, "elastic_vox": 2.0}), shape)
    largest = 0.0
    for seed in range(5):
        for first, second in ((0, 1), (2, 0)):
            ramps = torch.stack([axes[first], axes[second]])
            moved = augment({"image": ramps, "label": torch.zeros(1, *shape)}, seed)["image"] - ramps
            assert float(moved.abs().max()) < 2.001
            largest = max(largest, float(moved.abs().max()))
    assert largest > 1.5


def test_elastic_changes_come_as_often_as_asked():
    augment = Augmentation(STILL.model_copy(update={"elastic_p": 0.3}), (16, 16, 16))
    image, label = torch.rand(2, 16, 16, 16), torch.zeros(1, 16, 16, 16)
    changed = [not torch.equal(augment({"image": image, "label": label}, seed)["image"], image) for seed in range(200)]
    assert 0.2 < np.mean(changed) < 0.4


def test_knots_give_every_length_that_a_patch_can_have():
    """MONAI multiplies the number of knots by a ratio and rounds down; it has to arrive at the length itself."""
    for length in (2, 12, 48, 192, 214, 310, 370):
        augment = Augmentation(STILL.model_copy(update={"elastic_p": 1.0}), (4, 4, length))
        out = augment({"image": torch.rand(2, 4, 4, length), "label": torch.zeros(1, 4, 4, length)}, 0)
        assert out["image"].shape == (2, 4, 4, length)


def test_only_noise_draws_a_number_a_voxel_on_the_host(monkeypatch):
    """A GPU would wait for them: seconds for the three numbers a voxel of a displacement at full size."""
    drawn = []

    class Counting(np.random.RandomState):
        def uniform(self, low=0.0, high=1.0, size=None):
            drawn.append(1 if size is None else int(np.prod(size)))
            return super().uniform(low, high, size)

        def normal(self, loc=0.0, scale=1.0, size=None):
            drawn.append(1 if size is None else int(np.prod(size)))
            return super().normal(loc, scale, size)

    monkeypatch.setattr(np.random, "RandomState", Counting)
    shape = (32, 32, 32)
    often = AugmentConfig(affine_p=0.5, elastic_p=0.5, ct_noise_p=0.5)
    counts = {}
    for noise in (0.0, 1.0):
        augment = Augmentation(often.model_copy(update={"ct_noise_p": noise}), shape)
        drawn.clear()
        for seed in range(20):
            augment({"image": torch.rand(2, *shape), "label": torch.zeros(1, *shape)}, seed)
        counts[noise] = sum(drawn) / 20
    assert 10 < counts[0.0] < 200
    assert 32**3 <= counts[1.0] < 32**3 + 200


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_patch_on_a_gpu_is_changed_there_as_on_the_cpu():
    busy = AugmentConfig(affine_p=0.5, elastic_p=0.5, ct_noise_p=0.5, ct_blur_p=0.5)
    image, label = torch.rand(2, 24, 32, 32), torch.randint(0, 3, (1, 24, 32, 32), dtype=torch.uint8)
    here, there = Augmentation(busy, (24, 32, 32)), Augmentation(busy, (24, 32, 32), "cuda")
    for seed in range(10):
        expected = here({"image": image, "label": label}, seed)
        found = there({"image": image.cuda(), "label": label.cuda()}, seed)
        assert {tensor.device.type for tensor in found.values()} == {"cuda"}
        torch.testing.assert_close(found["image"].cpu(), expected["image"], atol=1e-3, rtol=0)
        assert (found["label"].cpu() == expected["label"]).float().mean() > 0.999
