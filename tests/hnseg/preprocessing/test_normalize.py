"""Normalization by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.preprocessing.normalize import normalize_ct, normalize_pet, pad_values
from hnseg.settings.prepare import PrepareConfig
from tests.facts import raises_naming


def test_ct_window_then_sigmoid():
    got = normalize_ct(np.array([-2000.0, -250.0, 0.0, 250.0, 3000.0]), (-250.0, 250.0))
    sigmoid = [1 / (1 + np.exp(-v)) for v in (0, 0, 0.5, 1, 1)]
    np.testing.assert_allclose(got, sigmoid, rtol=1e-6)
    assert got.dtype == np.float32


@pytest.mark.parametrize("sigmoid", [True, False])
def test_without_a_clip_what_lies_outside_the_window_keeps_its_order(sigmoid):
    hu = np.array([-1024.0, -250.0, 250.0, 3071.0])
    got = normalize_ct(hu, (-250.0, 250.0), clip=False, sigmoid=sigmoid)
    linear = (hu + 250) / 500
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-linear)) if sigmoid else linear, rtol=1e-6)
    inside = slice(1, 3)
    np.testing.assert_array_equal(got[inside], normalize_ct(hu[inside], (-250.0, 250.0), sigmoid=sigmoid))


def test_beyond_the_crop_lies_the_low_end_of_the_valid_range():
    """Not that of the window, which may begin below it."""
    assert pad_values(PrepareConfig(valid_hu=(-200, 300), sigmoid=False)) == (pytest.approx(0.1), 0.0)


def test_pet_z_score_then_sigmoid():
    pet = np.array([0.0, 1.0, 2.0, 9.0])
    z = (pet - 3.0) / np.sqrt((9 + 4 + 1 + 36) / 4)
    np.testing.assert_allclose(normalize_pet(pet), 1 / (1 + np.exp(-z)), rtol=1e-6)


def test_pet_normalization_ignores_the_unit():
    pet = np.random.default_rng(0).gamma(2.0, 1.0, (8, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(normalize_pet(pet), normalize_pet(pet * 4000), rtol=1e-5)


def test_refusals():
    with raises_naming(ValueError, "PET", 2):
        normalize_pet(np.full((3, 3), 2.0))
    with raises_naming(ValueError, "CT", (100.0, 100.0), "HU"):
        normalize_ct(np.zeros(3), (100.0, 100.0))


def test_each_step_can_be_left_out():
    ct = np.array([-2000.0, 0.0, 3000.0], np.float32)
    np.testing.assert_allclose(normalize_ct(ct, (-250.0, 250.0), sigmoid=False), [0.0, 0.5, 1.0])
    pet = np.array([0.0, 1.0, 2.0, 9.0], np.float32)
    np.testing.assert_array_equal(normalize_pet(pet, scale="suv", sigmoid=False), pet)
    z = normalize_pet(pet, sigmoid=False)
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-6)
    assert (ct[0], pet[-1]) == (-2000.0, 9.0)  # the input is left alone
