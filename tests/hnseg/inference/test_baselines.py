"""The two masks a network has to beat."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.inference.baselines import empty_baseline, threshold_baseline
from tests.facts import raises_naming


def pet_with(*runs, n=60):
    pet = np.zeros((1, 1, n), np.float32)
    for start, stop, suv in runs:
        pet[..., start:stop] = suv
    return pet


def test_largest_is_gtvp_the_next_four_are_nodes_and_the_rest_is_dropped():
    pet = pet_with((0, 4, 5), (5, 14, 5), (15, 18, 30), (20, 27, 5), (30, 35, 5), (40, 46, 5), (50, 52, 5))
    label = threshold_baseline(pet, brain=None, voxel_ml=0.1)[0, 0]
    assert [int(label[i]) for i in (0, 5, 15, 20, 30, 40, 50)] == [2, 1, 0, 2, 2, 2, 0]
    assert label.dtype == np.uint8
    assert threshold_baseline(pet, brain=None, voxel_ml=0.1, max_nodes=0).max() == 1


def test_the_brain_is_left_out_with_everything_that_hangs_on_it():
    pet = pet_with((0, 30, 9), (40, 45, 6))
    brain = np.zeros(pet.shape, bool)
    brain[..., 28:35] = True
    assert threshold_baseline(pet, brain=brain, voxel_ml=0.1)[0, 0, [0, 29, 40]].tolist() == [0, 0, 1]
    assert threshold_baseline(pet, brain=None, voxel_ml=0.1)[0, 0, [0, 29, 40]].tolist() == [1, 1, 2]


def test_the_threshold_is_strict_and_small_components_are_dropped():
    pet = pet_with((0, 5, 4.0), (10, 11, 8), (20, 22, 8))
    assert np.flatnonzero(threshold_baseline(pet, brain=None, voxel_ml=0.1)).tolist() == [20, 21]  # 0.2 ml stays


@pytest.mark.parametrize("pet", [np.zeros((2, 3, 4)), np.full((2, 3, 4), 4.0)])
def test_a_cold_scan_gives_an_empty_mask(pet):
    label = threshold_baseline(pet, brain=np.ones(pet.shape, bool), voxel_ml=1.0)
    assert label.shape == pet.shape
    assert not label.any()


def test_empty_baseline():
    assert empty_baseline((2, 3, 4)).shape == (2, 3, 4)
    assert not empty_baseline((2, 3, 4)).any()


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"brain": np.zeros((1, 1, 2), bool)}, ["brain", (1, 1, 3), (1, 1, 2)]),
        ({"voxel_ml": 0.0}, ["voxel_ml 0.0"]),
        ({"max_nodes": -1}, ["max_nodes -1"]),
        ({"min_ml": -0.1}, ["min_ml -0.1"]),
    ],
    ids=["brain", "voxel_ml", "max_nodes", "min_ml"],
)
def test_bad_input_is_raises_naming(options, facts):
    with raises_naming(ValueError, *facts):
        threshold_baseline(np.zeros((1, 1, 3)), **{"brain": None, "voxel_ml": 1.0, **options})
