"""RandSpectrumSwap beyond the common contract: what is drawn, and from where."""

import numpy as np
import pytest
import torch

from ssimh import RandSpectrumSwap, swap_spectrum
from tests.facts import raises_naming
from tests.ssimh.tolerances import as_float64, assert_close
from tests.ssimh.transforms.transform_cases import donor, donor_spectrum, image


def test_the_draw_is_what_is_done():
    transform = RandSpectrumSwap([donor(), image(seed=5)], prob=1.0).set_random_state(1)
    for seed in range(6):
        given = image(seed=seed)
        result = transform(given)
        number, threshold, strength = transform._draw
        reference = as_float64((donor(), image(seed=5))[number])
        expected = swap_spectrum(as_float64(given), reference, threshold=threshold, axes=(-3, -2), strength=strength)
        assert_close(result, expected, "float32")


def test_draws_cover_bank_and_ranges():
    transform = RandSpectrumSwap(
        [donor()] * 3, prob=0.3, threshold_range=(1, 3), strength_range=(0.2, 0.6)
    ).set_random_state(0)
    draws, applied = [], []
    for _ in range(400):
        transform.randomize()
        draws.append(transform._draw)
        applied.append(transform._do_transform)
    donors, thresholds, strengths = zip(*draws, strict=True)
    assert set(donors) == {0, 1, 2}
    assert set(thresholds) == {1, 2, 3}
    assert 0.2 <= min(strengths) < 0.22
    assert 0.58 < max(strengths) <= 0.6
    assert np.mean(applied) == pytest.approx(0.3, abs=0.07)


def test_fixed_numbers_are_ranges_of_one():
    transform = RandSpectrumSwap([donor_spectrum()], prob=1.0, threshold_range=2, strength_range=1.0)
    expected = swap_spectrum(as_float64(image()), as_float64(donor()), threshold=2, axes=(-3, -2))
    assert_close(transform(image()), expected, "float32")


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"references": []}, ["references", []]),
        ({"references": "reference.npz"}, ["references", "reference.npz"]),
        ({"threshold_range": (3, 1)}, ["threshold_range", (3, 1)]),
        ({"strength_range": (0.5, 1.5)}, ["1.5"]),
        ({"prob": 1.5}, ["prob", "0 … 1", 1.5]),
        ({"mode": "cube"}, ["mode", "'cube'"]),
    ],
)
def test_bad_settings(settings, facts):
    with raises_naming(ValueError, *facts):
        RandSpectrumSwap(**{"references": [donor()], **settings})


def test_a_bank_that_does_not_reach_the_threshold_is_refused():
    with raises_naming(ValueError, "threshold 3", "threshold 5"):
        RandSpectrumSwap([donor_spectrum()], prob=1.0, threshold_range=5)(torch.zeros(1, 14, 12, 6))
