"""Features in which distances mean something."""

from __future__ import annotations

import numpy as np
import pytest

from ssimh import SiteSpectrum, site_difference
from ssimh.site_benchmark.features import average_spectrum, extract_features
from tests.facts import raises_naming
from tests.ssimh.necks import neck
from tests.ssimh.uptakes import pet_site


def test_distances_of_fields_are_the_plain_differences_of_their_sites():
    one, other = (SiteSpectrum.fit([neck(3, factor=factor)]) for factor in (1.0, 1.05))
    values = extract_features("field", [one, other]).values
    expected = site_difference(one, other, shrink=False).raw_hu
    assert np.linalg.norm(values[0] - values[1]) == pytest.approx(expected, rel=1e-6)


def test_distances_of_spectra_are_root_mean_squares_of_logarithms():
    rows = [pet_site(8.0, count=1), pet_site(8.0, count=1)]
    louder = rows[1].subjects.copy()
    louder["power_mm3"] *= 2
    found = extract_features("spectrum", [rows[0], SiteSpectrum(louder, modality="PT")])
    assert np.linalg.norm(found.values[0] - found.values[1]) == pytest.approx(np.log(2))
    assert found.measured.all()


def test_frequencies_that_a_scan_lacks_are_left_out_of_all():
    coarse = pet_site(8.0, count=1).subjects.copy()
    coarse["power_mm3"][:, 6:] = 0
    rows = [pet_site(8.0, count=1), SiteSpectrum(coarse, modality="PT")]
    assert extract_features("spectrum", rows).values.shape == (2, 24)
    k, _ = average_spectrum("spectrum", rows[0] + rows[1])
    np.testing.assert_allclose(k, np.arange(4, 10) / 100)


def test_a_grain_that_was_not_measured_is_no_feature():
    found = extract_features("grain", [SiteSpectrum.fit([neck(0)])] * 2)
    assert not found.measured.any()
    assert average_spectrum("grain", SiteSpectrum.fit([neck(0)]))[0].size == 0


def test_an_unknown_part_is_refused():
    with raises_naming(ValueError, "dose", "grain"):
        extract_features("dose", [])
