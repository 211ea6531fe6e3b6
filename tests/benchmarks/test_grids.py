"""benchmarks/grids.py: the bound for twice as many slices."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ssimh import ReferenceSpectrum

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import grids


def reference(levels_hu: np.ndarray) -> ReferenceSpectrum:
    """Of slices of one value each."""
    return ReferenceSpectrum.from_image(np.broadcast_to(levels_hu[:, None, None], (len(levels_hu), 6, 8)))


def test_a_reference_that_is_linear_along_the_slices_has_no_bound():
    assert grids.slice_bound(reference(np.arange(12.0) * 30), points=2) == pytest.approx(0.0, abs=1e-9)


def test_the_bound_of_an_alternating_reference():
    # Between slices of ±20 HU the doubled ones are ±10 HU, twice each. Slices half a slice off lie in between, where
    # nothing but 0 is 10 HU from both signs; either image may take half of it. A long stack, so that the ends are far.
    assert grids.slice_bound(reference(20.0 * (-1) ** np.arange(60)), points=2) == pytest.approx(5.0, rel=0.05)
