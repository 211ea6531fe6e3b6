"""Patch centres: the stated probabilities, absent classes, and patches that stay inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnseg.sampling import choose_centre, patch_start

WEIGHTS = (0.10, 0.45, 0.45)
SHAPE = (20, 30, 40)
EMPTY = np.empty(0, np.int64)
GTVP = np.flatnonzero(np.arange(24000) % 97 == 0)
GTVN = np.flatnonzero(np.arange(24000) % 101 == 3)


def frequencies(index, weights=WEIGHTS, draws=4000):
    rng = np.random.default_rng(0)
    values = [choose_centre(index, weights, SHAPE, rng)[0] for _ in range(draws)]
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
    np.testing.assert_array_equal(frequencies({1: EMPTY, 2: EMPTY}, (0.0, 0.5, 0.5), 10), [1, 0, 0])


def test_a_centre_is_a_voxel_of_its_class():
    rng = np.random.default_rng(1)
    for _ in range(200):
        value, centre = choose_centre({1: GTVP, 2: GTVN}, WEIGHTS, SHAPE, rng)
        flat = np.ravel_multi_index(centre, SHAPE)
        assert value == 0 or flat in {1: GTVP, 2: GTVN}[value]


@given(st.data(), st.integers(1, 60), st.integers(1, 60))
def test_a_patch_stays_inside_or_surrounds_the_volume(data, patch, size):
    centre = data.draw(st.integers(0, size - 1))
    start = patch_start((centre,) * 3, (patch,) * 3, (size,) * 3)[0]
    if patch <= size:
        assert 0 <= start <= size - patch
        assert start <= centre < start + patch
    else:
        assert start <= 0
        assert start + patch >= size
