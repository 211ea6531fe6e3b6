"""Difference in grain of two sites: sign, evidence, bands, and sites without grain."""

import numpy as np
import pytest

from ssimh.site.grain_difference import differ_in_grain
from ssimh.site.grain_spectrum import SHELLS, shells_per_mm


def subjects(count, sigma_mm=0.0, *, seed=0, rings=7, tilt=0.4):
    """Powers of people who differ in level and tilt, behind a Gaussian kernel."""
    rng, k = np.random.default_rng(seed), shells_per_mm()
    logs = 6 - 4 * np.pi**2 * sigma_mm**2 * k**2
    logs = logs + rng.normal(0, 0.3, (count, 1)) - np.abs(rng.normal(0, tilt, (count, 1))) * k / 0.4
    power = np.exp(logs)
    power[:, rings:] = 0
    return power


def test_the_difference_is_that_of_the_kernels_and_has_a_sign():
    found = differ_in_grain(subjects(8), subjects(8, 0.8, seed=1))
    back = differ_in_grain(subjects(8, 0.8, seed=1), subjects(8))
    k = np.array(found.frequencies_per_mm)
    expected = 4 * np.pi**2 * 0.8**2 * k**2
    assert np.all(np.abs(found.raw - expected) < 3 * np.array(found.error))
    np.testing.assert_allclose(found.applied, found.raw, atol=0.5)
    np.testing.assert_allclose(back.applied, -np.array(found.applied), atol=1e-9)
    assert max(found.filter(1.0, (1.0, 1.0)).log_gains) <= 0
    assert back.filter(1.0, (1.0, 1.0)).is_identity
    assert not back.is_alike
    np.testing.assert_allclose(
        2 * np.array(found.filter(0.5, (1.0, 1.0)).log_gains), found.filter(1.0, (1.0, 1.0)).log_gains
    )
    assert "smoother" in str(back)
    assert str(found.n_subjects[0]) == "8"


def test_nothing_is_applied_where_the_sites_are_alike():
    applied = [not differ_in_grain(subjects(5, seed=n), subjects(5, seed=n + 500)).is_alike for n in range(60)]
    assert np.mean(applied) <= 0.05
    same = subjects(5)
    assert differ_in_grain(same, same).filter(1.0, (1.0, 1.0)).is_identity
    assert "alike" in str(differ_in_grain(same, same))


def test_one_subject_tells_less_than_many():
    one, many = (differ_in_grain(subjects(n), subjects(n, 0.8, seed=1)) for n in (1, 8))
    assert one.error[-1] > 1.5 * many.error[-1]
    plain = differ_in_grain(subjects(1), subjects(1, seed=1), shrink=False)
    assert plain.applied == plain.raw


@pytest.mark.parametrize(("one", "other", "rings"), [(7, 16, 7), (3, 7, 3)])
def test_sites_of_another_band_are_compared_where_both_are_measured(one, other, rings):
    found = differ_in_grain(subjects(6, rings=one), subjects(6, 0.8, seed=1, rings=other))
    np.testing.assert_allclose(found.frequencies_per_mm, shells_per_mm()[:rings])
    # Above its last ring a filter keeps the last gain.
    transfer = found.filter(1.0, (0.5, 0.5)).transfer((1, 200))
    np.testing.assert_allclose(transfer[0, -50:], np.exp(found.filter(1.0, (0.5, 0.5)).log_gains[-1]))


def test_sites_without_grain_have_no_difference():
    nothing = np.zeros((3, SHELLS))
    assert differ_in_grain(nothing, subjects(3)) is None
    assert differ_in_grain(subjects(3, rings=2), subjects(3)) is None
    some = differ_in_grain(np.concatenate([nothing, subjects(3)]), subjects(4))
    assert some.n_subjects == (3, 4)


def test_a_noise_floor_of_zero_is_a_large_finite_difference():
    silent = np.where(np.arange(SHELLS) < 7, 1 / 12, 0.0) * np.ones((5, 1))
    found = differ_in_grain(subjects(5), silent)
    assert np.isfinite(found.raw).all()
    transfer = found.filter(1.0, (1.0, 1.0)).transfer((64, 64))
    assert 0.05 <= transfer.min() < 0.1
    assert transfer[0, 0] == 1
    assert differ_in_grain(silent, silent).is_alike
