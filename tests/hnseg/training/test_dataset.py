"""Patches: a function of seed, fold, epoch and position, cut from their case, padded beyond it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hnseg.preprocessing.normalize import normalize_ct, normalize_pet, pad_values
from hnseg.preprocessing.prepared_case import open_case, write_case
from hnseg.settings.augment import AugmentConfig
from hnseg.settings.prepare import PrepareConfig
from hnseg.settings.train import TrainConfig
from hnseg.training.dataset import CACHE_BYTES, EpochSampler, PatchDataset, fits_in_cache
from tests.hnseg.case_records import make_case_record

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
        record = make_case_record(name, label.shape)
        write_case(tmp_path / name, {"final": image}, label, record, lambda path: path.write_bytes(b""))
    return [open_case(tmp_path / name) for name in ("A-001", "A-002")]


def patches(cases, config, *, fold=0, augment=True, prepare=PrepareConfig()):  # noqa: B008
    return PatchDataset(cases, config, 5, fold, augment=augment, pad_values=pad_values(prepare))


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


def test_a_patch_depends_on_seed_fold_epoch_and_position_alone(cases):
    first, second = patches(cases, TINY), patches(cases, TINY)
    backwards = [second[3, i] for i in reversed(range(4))][::-1]
    assert all(same(first[3, i], backwards[i]) for i in range(4))
    assert not all(same(first[3, i], second[4, i]) for i in range(4))
    other_fold = patches(cases, TINY, fold=1)
    assert not all(same(first[3, i], other_fold[3, i]) for i in range(4))


def test_loading_processes_live_through_all_epochs_and_give_the_same_patches(cases):
    dataset = patches(cases, TINY)
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
    dataset = patches(cases, TINY)
    assert len(dataset) == 4
    assert sorted(int(dataset[0, i]["case"]) for i in range(4)) == [0, 0, 1, 1]
    with pytest.raises(IndexError):
        dataset[0, 4]


def test_a_patch_is_cut_from_its_case(cases):
    still = TINY.model_copy(update={"augment": STILL})
    sample = patches(cases, still)[0, 0]
    assert sample["image"].dtype == sample["label"].dtype == torch.float32
    stored = patches(cases, still, augment=False)[0, 0]
    assert (stored["image"].dtype, stored["label"].dtype) == (torch.float16, torch.uint8)
    assert all(torch.equal(stored[key].float(), sample[key]) for key in ("image", "label"))
    assert sample["image"].shape == (2, 12, 16, 16)
    assert sample["label"].shape == (1, 12, 16, 16)
    whole = cases[int(sample["case"])].image[:].astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (2, 12, 16, 16))[0]
    assert (windows == sample["image"].numpy()).all(axis=(-4, -3, -2, -1)).sum() == 1


def test_a_patch_longer_than_the_volume_is_padded(cases):
    long = TINY.model_copy(update={"augment": STILL, "patch_vox": (24, 24, 24)})
    sample = patches(cases, long)[0, 0]
    assert sample["image"].shape == (2, 24, 24, 24)
    assert (sample["image"][:, :2] == 0.5).all()
    assert (sample["image"][:, 22:] == 0.5).all()


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("sigmoid", [True, False])
def test_beyond_the_crop_lies_air_and_no_uptake(cases, clip, sigmoid):
    """The value that the normalization gives to air, to the mean uptake (z-score) and to SUV 0, in the stored type."""
    long = TINY.model_copy(update={"augment": STILL, "patch_vox": (24, 24, 24)})
    config = PrepareConfig(clip_ct_window=clip, sigmoid=sigmoid)
    image = patches(cases, long, augment=False, prepare=config)[0, 0]["image"]
    (air,) = normalize_ct(np.array([-1024.0]), (-250.0, 250.0), clip=clip, sigmoid=sigmoid)
    assert (air < normalize_ct(np.array([-250.0]), (-250.0, 250.0), sigmoid=sigmoid)) != clip
    nothing = normalize_pet(np.array([0.0, 1.0]), scale="suv", sigmoid=sigmoid)[0]
    mean = normalize_pet(np.array([1.0, 2.0, 3.0]), sigmoid=sigmoid)[1]
    assert np.float16(nothing) == np.float16(mean)
    assert (image[0, :2] == float(np.float16(air))).all()
    assert (image[1, :2] == float(np.float16(nothing))).all()
