"""The parts of training: patches, augmentation, network, loss, schedule, checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hnseg.config import AugmentConfig, TrainConfig
from hnseg.errors import WorkDirError
from hnseg.models.checkpoint import load_checkpoint, save_checkpoint
from hnseg.models.network import make_network
from hnseg.preprocessing.prepared_case import open_case, write_case
from hnseg.training.augmentation import Augmentation
from hnseg.training.dataset import CACHE_BYTES, EpochSampler, PatchDataset, fits_in_cache
from hnseg.training.learning_rate import learning_rate
from hnseg.training.losses import SummedDiceCELoss

TINY = TrainConfig(
    filters=4, blocks_down=(1, 1, 1), heads=2, patch_vox=(16, 16, 12), epochs=2, workers=0, patches_per_case=2
)
STILL = AugmentConfig(affine_p=0, elastic_p=0, flip_p=0, ct_scale_p=0, ct_shift_p=0, ct_noise_p=0, ct_blur_p=0)


@pytest.fixture
def cases(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("A-001", "A-002"):
        image = rng.random((2, 20, 24, 22)).astype(np.float16)
        label = np.zeros((20, 24, 22), np.uint8)
        label[5:9, 6:10, 7:12] = 1
        if name == "A-001":
            label[12:14, 15:18, 3:6] = 2
        write_case(tmp_path / name, {"final": image}, label, {"id": name}, lambda path: path.write_bytes(b""))
    return [open_case(tmp_path / name) for name in ("A-001", "A-002")]


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


def test_a_patch_depends_on_seed_fold_epoch_and_position_alone(cases):
    first, second = PatchDataset(cases, TINY, 5, 0), PatchDataset(cases, TINY, 5, 0)
    backwards = [second[3, i] for i in reversed(range(4))][::-1]
    assert all(same(first[3, i], backwards[i]) for i in range(4))
    assert not all(same(first[3, i], second[4, i]) for i in range(4))
    other_fold = PatchDataset(cases, TINY, 5, 1)
    assert not all(same(first[3, i], other_fold[3, i]) for i in range(4))


def test_loading_processes_live_through_all_epochs_and_give_the_same_patches(cases):
    dataset = PatchDataset(cases, TINY, 5, 0)
    sampler = EpochSampler([0, 1, 2, 3])
    loader = DataLoader(dataset, 1, sampler=sampler, num_workers=2, persistent_workers=True)
    processes = set()
    for epoch in (0, 1, 7):
        sampler.epoch = epoch
        batches = list(loader)
        processes |= {worker.pid for worker in loader._iterator._workers}
        assert all(torch.equal(batches[i]["image"][0], dataset[epoch, i]["image"]) for i in range(4))
    assert len(processes) == 2


def test_every_loading_process_counts_in_what_stays_decoded():
    assert fits_in_cache(CACHE_BYTES, 0)
    assert fits_in_cache(CACHE_BYTES // 4, 4)
    assert not fits_in_cache(CACHE_BYTES // 3, 4)


def test_every_case_comes_as_often_as_asked(cases):
    dataset = PatchDataset(cases, TINY, 0, 0)
    assert len(dataset) == 4
    assert sorted(int(dataset[0, i]["case"]) for i in range(4)) == [0, 0, 1, 1]
    with pytest.raises(IndexError):
        dataset[0, 4]


def test_a_patch_is_cut_from_its_case(cases):
    still = TINY.model_copy(update={"augment": STILL})
    sample = PatchDataset(cases, still, 0, 0)[0, 0]
    assert sample["image"].dtype == sample["label"].dtype == torch.float32
    stored = PatchDataset(cases, still, 0, 0, augment=False)[0, 0]
    assert (stored["image"].dtype, stored["label"].dtype) == (torch.float16, torch.uint8)
    assert all(torch.equal(stored[key].float(), sample[key]) for key in ("image", "label"))
    assert sample["image"].shape == (2, 12, 16, 16)
    assert sample["label"].shape == (1, 12, 16, 16)
    whole = cases[int(sample["case"])].image[:].astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (2, 12, 16, 16))[0]
    assert (windows == sample["image"].numpy()).all(axis=(-4, -3, -2, -1)).sum() == 1


def test_a_patch_longer_than_the_volume_is_padded(cases):
    long = TINY.model_copy(update={"augment": STILL, "patch_vox": (24, 24, 24)})
    sample = PatchDataset(cases, long, 0, 0)[0, 0]
    assert sample["image"].shape == (2, 24, 24, 24)
    assert (sample["image"][:, :2] == 0.5).all()
    assert (sample["image"][:, 22:] == 0.5).all()


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


def test_network_has_the_heads_asked_for():
    network = make_network(TINY)
    x = torch.rand(1, 2, 12, 16, 16)
    heads = network.train()(x)
    assert [tuple(head.shape) for head in heads] == [(1, 3, 12, 16, 16), (1, 3, 6, 8, 8)]
    assert network.eval()(x).shape == (1, 3, 12, 16, 16)


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


def test_schedule_rises_then_falls():
    config = TINY.model_copy(update={"epochs": 10, "warmup_epochs": 1, "learning_rate": 1.0})
    rates = [learning_rate(config, step, 10) for step in range(100)]
    assert rates[9] == rates[10] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[0] <= 0.1
    assert 0 <= rates[-1] < 0.001
    assert learning_rate(config.model_copy(update={"warmup_epochs": 0}), 0, 10) == 1.0
    poly = [learning_rate(config.model_copy(update={"schedule": "poly"}), step, 10) for step in range(10, 100)]
    assert poly == sorted(poly, reverse=True)
    assert poly[45] == pytest.approx(0.5**0.9)


def test_checkpoint_round_trip_and_damage(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": {"w": torch.arange(1000.0)}, "history": [{"loss": 1.5, "val": None}]})
    assert torch.equal(load_checkpoint(path)["network"]["w"], torch.arange(1000.0))
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WorkDirError, match=r"last\.pt is not a readable checkpoint"):
        load_checkpoint(path)
    torch.save({"network": {}}, path)
    with pytest.raises(WorkDirError, match="not a checkpoint of format 1"):
        load_checkpoint(path)
    with pytest.raises(WorkDirError, match="is missing"):
        load_checkpoint(tmp_path / "other.pt")


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("code ran",)

    path = tmp_path / "trap.pt"
    torch.save({"format": 1, "trap": Trap()}, path)
    with pytest.raises(WorkDirError, match="not a readable checkpoint"):
        load_checkpoint(path)
