"""Scans within a number of bytes: nothing is lost that need not be, and scans of one grid stay on one grid."""

import numpy as np
import pytest

from ssimh.viewer.fit_size import ViewerError, fit_scans
from ssimh.viewer.frame import find_frame, place
from ssimh.viewer.records import ScanLayer
from tests.ssimh.viewer.scans import image_of


def layers(*, rough_below=None):
    """Two noisy scans with air at one side, and a small one on another grid."""
    rng = np.random.default_rng(0)
    values = rng.normal(40, 10, (12, 48, 48))
    values[:, :, 24:] -= 1040
    images = [image_of((values + shift).astype(np.int16), spacing=(1.0, 1.0, 3.0)) for shift in (0, 7)]
    small = image_of(rng.normal(2, 0.1, (9, 12, 12)).astype(np.float32), spacing=(4.0, 4.0, 4.0))
    made = [
        ScanLayer(key, key, "HU", image, (0, 1), rough_below=rough_below)
        for key, image in zip("ab", images, strict=True)
    ]
    return [*made, ScanLayer("c", "c", "SUV", small, (0, 1), step=0.01)]


def fit(limit_bytes, **options):
    made = layers(**options)
    frame = find_frame(made[0].image)
    return fit_scans(made, {layer.key: place(layer.image, frame) for layer in made}, limit_bytes)


def size(found):
    return sum(len(scan.encoded.text) for scan in found.values())


def test_what_fits_is_left_as_it_is():
    found = fit(200_000, rough_below=(-900.0, 50.0))
    assert not any(scan.is_averaged or scan.is_rough for scan in found.values())
    assert [scan.encoded.step for scan in found.values()] == [0.01, 1, 1]


def test_air_gets_rough_first_then_steps_larger_then_voxels():
    whole = size(fit(200_000))
    rough = fit(int(0.8 * whole), rough_below=(-900.0, 50.0))
    assert [rough[key].is_rough for key in "abc"] == [True, True, False]
    assert [rough[key].encoded.step for key in "ab"] == [1, 1]
    air = rough["a"].placed.values[:, :, 24:]
    assert rough["a"].is_averaged is False
    assert air.std() > 5  # what was placed is not changed, only what was encoded
    coarse = fit(int(0.9 * whole))
    assert [coarse[key].encoded.step for key in "ab"] == [2, 2]
    assert not coarse["a"].is_averaged
    small = fit(int(0.4 * whole))
    assert size(small) <= 0.4 * whole
    assert small["a"].is_averaged
    assert small["a"].placed.grid == small["b"].placed.grid
    assert 1 < small["a"].placed.grid.spacing_mm[0] < 3
    assert not small["c"].is_averaged


def test_what_does_not_fit_at_all_is_refused():
    with pytest.raises(ViewerError, match="does not fit"):
        fit(300)
