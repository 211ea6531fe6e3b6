"""Images for the tests of ssimh."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240917)


@pytest.fixture
def scan(rng: np.random.Generator) -> NDArray[np.float64]:
    """A (z, y, x) volume with CT-like values."""
    return rng.normal(0.0, 300.0, (5, 12, 17))


@pytest.fixture
def donor(rng: np.random.Generator) -> NDArray[np.float64]:
    """Another one on the same grid."""
    return rng.normal(40.0, 200.0, (5, 12, 17))
