"""What a mask is, for every function that takes one: boolean or 0 and 1, of the image's shape, not empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssimh import SiteSpectrum, align_spectrum, compare, match_histogram, swap_spectrum
from tests.facts import names
from tests.ssimh.necks import SHAPE, neck

SCAN, DONOR = neck(0, factor=1.05), neck(1)
BODY = SCAN > -500
SITES = [SiteSpectrum.fit([image]) for image in (SCAN, DONOR)]


def fit_site(mask):
    return np.array(list(SiteSpectrum.fit([SCAN], masks=mask if mask is None else [mask]).tissue_shares.values()))


FUNCTIONS = {
    "swap_spectrum": lambda mask: swap_spectrum(SCAN, DONOR, mask=mask),
    "match_histogram": lambda mask: match_histogram(SCAN, DONOR, mask=mask),
    "match_histogram, reference": lambda mask: match_histogram(SCAN, DONOR, reference_mask=mask),
    "align_spectrum": lambda mask: align_spectrum(SCAN, *SITES, mask=mask),
    "SiteSpectrum.fit": fit_site,
    "compare": lambda mask: np.array(compare(SCAN, DONOR, mask=mask).soft_tissue_mean_abs_delta),
}
every = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@every
def test_integers_of_0_and_1_are_booleans(function):
    expected = function(BODY)
    for mask in (BODY.astype(np.uint8), BODY.astype(np.int64), torch.from_numpy(BODY).short()):
        np.testing.assert_array_equal(function(mask), expected)


@every
@pytest.mark.parametrize(
    ("mask", "error", "facts"),
    [
        (BODY.astype(np.float32), TypeError, ["mask", "float32"]),
        (torch.from_numpy(BODY).float(), TypeError, ["mask", "float32"]),
        (BODY.tolist(), TypeError, ["mask", "list"]),
        (np.ma.masked_array(BODY, ~BODY), TypeError, ["mask", "masked array"]),
        (BODY * 2, ValueError, ["mask", "int64"]),
        (BODY[:, 1:], ValueError, ["mask", (20, 39, 44), SHAPE]),
        (np.zeros(SHAPE, bool), ValueError, ["mask", SHAPE]),
    ],
    ids=["floats", "tensor of floats", "list", "masked array", "not 0 and 1", "shape", "empty"],
)
def test_everything_else_is_refused(function, mask, error, facts):
    with pytest.raises(error) as caught:
        function(mask)
    text = str(caught.value).replace("reference_mask", "mask")
    assert all(names(text, fact) for fact in facts), text
