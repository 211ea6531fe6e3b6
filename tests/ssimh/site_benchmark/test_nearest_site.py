"""The nearest mean of a site, with the scan left out of its own."""

from __future__ import annotations

import numpy as np
import pytest

from ssimh.site_benchmark.features import Features
from ssimh.site_benchmark.nearest_site import classify


def features(values, measured=None):
    values = np.asarray(values, dtype=float)
    return Features(values, np.ones(len(values), bool) if measured is None else np.asarray(measured, bool))


def test_the_own_mean_is_taken_without_the_scan():
    """With it, the scan at 4 would be nearest to its own site (mean 2); without it (mean 1) it is not."""
    found = classify(features([[0.0], [2.0], [4.0], [6.5], [6.5]]), ["a", "a", "a", "b", "b"])
    assert found.guesses == ("a", "a", "b", "b", "b")
    assert (found.correct, found.judged) == (4, 5)
    assert found.accuracy == pytest.approx((2 / 3 + 1) / 2)  # the mean over the sites


def test_sites_that_are_alike_are_named_no_better_than_with_shuffled_names():
    rng = np.random.default_rng(0)
    sites = [f"site {number % 4}" for number in range(24)]
    alike = [classify(features(rng.normal(size=(24, 3))), sites) for _ in range(12)]
    assert abs(np.mean([found.accuracy - found.chance for found in alike])) < 0.06
    assert sum(found.accuracy > found.chance_high for found in alike) <= 2
    places = 9 * np.eye(4)[np.arange(24) % 4][:, :3]
    assert classify(features(rng.normal(size=(24, 3)) + places), sites).accuracy == 1


def test_scans_that_were_not_measured_and_lone_ones_are_not_judged():
    found = classify(features([[0.0], [0.1], [5.0], [5.1], [0.0], [9.0]], [1, 1, 1, 1, 0, 1]), [*"aabbac"])
    assert found.guesses == ("a", "a", "b", "b", None, None)
    assert found.judged == 4


@pytest.mark.parametrize(
    ("values", "sites", "measured"),
    [
        ([[0.0], [1.0], [2.0]], [*"abc"], None),
        ([[0.0], [1.0], [2.0]], [*"aab"], None),
        (np.zeros((4, 0)), [*"aabb"], None),
        ([[0.0]] * 4, [*"aabb"], [False] * 4),
    ],
)
def test_where_nothing_can_be_left_out_nothing_is_judged(values, sites, measured):
    found = classify(features(values, measured), sites)
    assert (found.accuracy, found.chance, found.judged) == (None, None, 0)
    assert found.guesses == (None,) * len(sites)


def test_the_same_seed_gives_the_same_answer():
    values = np.random.default_rng(1).normal(size=(20, 2))
    sites = [*"ab"] * 10
    assert classify(features(values), sites) == classify(features(values), sites)
