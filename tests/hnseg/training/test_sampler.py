"""Patch centers: the stated probabilities, absent classes, and patches that stay inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnseg.preprocessing.prepared_case import HOT_SHARE, sampling_index
from hnseg.settings.config import Config
from hnseg.settings.train import TrainConfig
from hnseg.training.sampler import PatchSampler, patch_start

DEFAULT = TrainConfig()
SHAPE = (20, 30, 40)
EMPTY = np.empty(0, np.int64)
GTVP = np.flatnonzero(np.arange(24000) % 97 == 0)
GTVN = np.flatnonzero(np.arange(24000) % 101 == 3)


def changed(**settings):
    return DEFAULT.model_copy(update=settings)


def positions(index, lesion_ids=None, hot_voxels=EMPTY):
    ones = {value: np.ones(found.size, np.int32) for value, found in index.items()}
    return PatchSampler(SHAPE, index, ones if lesion_ids is None else lesion_ids, hot_voxels)


def frequencies(index, config=DEFAULT, draws=4000):
    rng, where = np.random.default_rng(0), positions(index)
    values = [where.choose_center(config, rng)[0] for _ in range(draws)]
    return np.bincount(values, minlength=3) / draws


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ({1: GTVP, 2: GTVN}, (0.10, 0.45, 0.45)),
        ({1: GTVP, 2: EMPTY}, (0.1 / 0.55, 0.45 / 0.55, 0.0)),
        ({1: EMPTY, 2: GTVN}, (0.1 / 0.55, 0.0, 0.45 / 0.55)),
        ({1: EMPTY, 2: EMPTY}, (1.0, 0.0, 0.0)),
    ],
)
def test_classes_come_with_their_probabilities(index, expected):
    # 4000 draws: the standard error is at most 0.008
    np.testing.assert_allclose(frequencies(index), expected, atol=0.03)


def test_without_lesions_and_without_background_weight_there_is_still_a_patch():
    np.testing.assert_array_equal(
        frequencies({1: EMPTY, 2: EMPTY}, changed(class_weights=(0, 0.5, 0.5)), 10), [1, 0, 0]
    )


def test_a_center_is_a_voxel_of_its_class():
    rng = np.random.default_rng(1)
    for _ in range(200):
        value, center = positions({1: GTVP, 2: GTVN}).choose_center(DEFAULT, rng)
        flat = np.ravel_multi_index(center, SHAPE)
        assert value == 0 or flat in {1: GTVP, 2: GTVN}[value]


def test_every_lesion_comes_as_often_as_any_other():
    """A node of 10 voxels beside one of 1,000."""
    index, lesion_ids = np.arange(1010), np.repeat([1, 2], [10, 1000]).astype(np.int32)
    where = positions({1: EMPTY, 2: index}, {1: np.empty(0, np.int32), 2: lesion_ids})
    for balance, expected in (("voxel", 10 / 1010), ("lesion", 0.5)):
        config, rng = changed(class_weights=(0.0, 0.0, 1.0), lesion_balance=balance), np.random.default_rng(2)
        small = [np.ravel_multi_index(where.choose_center(config, rng)[1], SHAPE) < 10 for _ in range(1000)]
        assert abs(np.mean(small) - expected) < 0.05


def test_hard_negatives_are_hot_and_no_lesion():
    where, hot_voxels = positions({1: EMPTY, 2: EMPTY}, hot_voxels=np.array([5, 77])), {5, 77}
    for share in (0.0, 0.5, 1.0):
        config, rng = changed(hard_negatives=share), np.random.default_rng(3)
        found = [np.ravel_multi_index(where.choose_center(config, rng)[1], SHAPE) in hot_voxels for _ in range(600)]
        assert abs(np.mean(found) - share) < 0.07


def test_every_background_patch_of_the_paper_is_a_hard_negative():
    paper, rng = Config.from_preset("paper").train, np.random.default_rng(4)
    label, pet = np.zeros(SHAPE, np.uint8), rng.gamma(2, size=SHAPE).astype(np.float32)
    label[5:9, 10:15, 10:15] = 1
    pet[label == 1] += 20
    where = positions({1: np.flatnonzero(label == 1), 2: EMPTY}, hot_voxels=sampling_index(label, pet)["hot_index"])
    drawn = [where.choose_center(paper, rng) for _ in range(3000)]
    background = np.array([center for value, center in drawn if value == 0])
    assert len(background) > 300
    assert not label[tuple(background.T)].any()
    assert pet[tuple(background.T)].min() >= np.quantile(pet[label == 0], 1 - HOT_SHARE)


def test_a_case_that_is_all_lesion_has_patches_nevertheless():
    where = positions(
        {1: EMPTY, 2: EMPTY}, hot_voxels=sampling_index(np.ones((4, 4, 4), np.uint8), np.ones((4, 4, 4)))["hot_index"]
    )
    assert where.hot_voxels.size == 0
    assert where.choose_center(changed(hard_negatives=1.0), np.random.default_rng(0))[0] == 0


def test_the_stored_index_names_lesions_and_hot_background():
    label, pet = np.zeros((6, 10, 10), np.uint8), np.full((6, 10, 10), 0.1, np.float32)
    label[1, 1, 1:4] = 2
    label[4, 7:9, 7] = 2
    pet[label == 2] = 0.99
    pet[3, 5, 4:7] = 0.9
    found = sampling_index(label, pet)
    assert found["gtvp_index"].size == 0
    assert found["gtvn_lesion"].tolist() == [1, 1, 1, 2, 2]
    np.testing.assert_array_equal(found["gtvn_index"], np.flatnonzero(label == 2))
    np.testing.assert_array_equal(found["hot_index"], np.flatnonzero(pet == np.float32(0.9)))


@given(st.data(), st.integers(1, 60), st.integers(1, 60))
def test_a_patch_stays_inside_or_surrounds_the_volume(data, patch, size):
    center = data.draw(st.integers(0, size - 1))
    start = patch_start((center,) * 3, (patch,) * 3, (size,) * 3)[0]
    if patch <= size:
        assert 0 <= start <= size - patch
        assert start <= center < start + patch
    else:
        assert start <= 0
        assert start + patch >= size
