"""The coarsest of some sites, by what alignment would apply."""

from __future__ import annotations

from ssimh import SiteSpectrum
from ssimh.site.coarsest_site import find_coarsest
from tests.ssimh.necks import neck
from tests.ssimh.uptakes import pet_site


def test_the_one_that_others_are_blurred_to_is_the_coarsest():
    sites = {"sharp": pet_site(5.0, count=9), "coarse": pet_site(12.0, count=7), "middle": pet_site(8.0, count=8)}
    assert find_coarsest(sites) == "coarse"


def test_of_alike_sites_it_is_the_larger_one_then_the_first():
    few, many = pet_site(8.0, count=3), pet_site(8.0, count=5)
    assert find_coarsest({"A": few, "B": many}) == "B"
    assert find_coarsest({"B": few, "A": few}) == "A"
    assert find_coarsest({}) is None


def test_ct_without_a_measured_grain_is_alike():
    one = SiteSpectrum.fit([neck(0)])
    assert find_coarsest({"A": one, "B": one + one}) == "B"
