import numpy as np
import pytest

from ssimh import site_separability
from tests.facts import raises_naming


def test_sites_far_apart_are_told_without_error(rng):
    features = rng.normal(0, 1, (60, 4)) + np.repeat([[0.0], [20.0], [40.0]], 20, axis=0)
    result = site_separability(features, np.repeat(["A", "B", "C"], 20))
    assert result.knn_accuracy == 1.0
    assert result.chance == pytest.approx(1 / 3)
    assert result.mmd > 0.3
    assert set(result.mmd_pairs) == {"A | B", "A | C", "B | C"}
    assert (result.n_subjects, result.n_sites) == (60, 3)


def test_equal_sites_come_out_at_chance_on_average(rng):
    results = [site_separability(rng.normal(size=(60, 3)), [0] * 30 + [1] * 30, seed=seed) for seed in range(20)]
    assert np.mean([result.knn_accuracy for result in results]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([result.mmd for result in results]) == pytest.approx(0.0, abs=0.01)


def test_unequal_sizes_do_not_make_a_majority_look_clever(rng):
    result = site_separability(rng.normal(size=(200, 3)), ["big"] * 190 + ["small"] * 10)
    assert result.knn_accuracy < 0.65


def test_scale_of_a_feature_does_not_matter(rng):
    features, sites = rng.normal(size=(40, 3)), [0, 1] * 20
    scaled = features * [1.0, 1e6, 1e-6] + [0, 5, 0]
    first, second = site_separability(features, sites), site_separability(scaled, sites)
    assert first.knn_accuracy == second.knn_accuracy
    assert first.mmd == pytest.approx(second.mmd)


def test_constant_features_separate_nothing():
    result = site_separability(np.ones((20, 2)), [0, 1] * 10)
    assert result.mmd == pytest.approx(0.0)


def test_the_seed_decides(rng):
    features, sites = rng.normal(size=(40, 2)), [0, 1] * 20
    accuracies = [site_separability(features, sites, seed=seed).knn_accuracy for seed in (*range(8), *range(8))]
    assert accuracies[:8] == accuracies[8:]
    assert len(set(accuracies[:8])) > 1  # other folds
    assert site_separability(features, sites, seed=1) == site_separability(features, sites, seed=1)


@pytest.mark.parametrize(
    ("features", "sites", "settings", "facts"),
    [
        (np.zeros((4, 2)), [0, 0, 1], {}, [(4, 2), 3]),
        (np.zeros(4), [0, 0, 1, 1], {}, [(4,)]),
        (np.full((4, 2), np.nan), [0, 0, 1, 1], {}, ["8 NaN"]),
        (np.zeros((4, 2)), [7] * 4, {}, [[7]]),
        (np.zeros((13, 2)), [0] * 10 + [1] * 3, {}, ["folds=5", "2 … 3", "(1)"]),
        (np.zeros((8, 2)), [0, 1] * 4, {"folds": 2}, ["n_neighbors=5", "1 … 4"]),
    ],
)
def test_bad_input(features, sites, settings, facts):
    with raises_naming(ValueError, *facts):
        site_separability(features, sites, **settings)
