"""One tolerance table for all comparisons: dtype → (relative, absolute), the latter for values of some 1000 HU."""

from __future__ import annotations

from typing import Any

import numpy as np

TOLERANCE = {
    "float64": (1e-12, 1e-9),
    "float32": (1e-6, 1e-3),
    # A float16 has 11 bits and a bfloat16 8: half a step at 1000 is 0.25 and 2.
    "float16": (1e-3, 0.5),
    "bfloat16": (8e-3, 4.0),
}


def assert_close(actual: Any, expected: Any, dtype: Any) -> None:
    """Compare within the tolerance of ``dtype``, given as NumPy's or torch's, whatever the container."""
    name = str(dtype).removeprefix("torch.")
    relative, absolute = TOLERANCE[name]
    np.testing.assert_allclose(as_float64(actual), as_float64(expected), rtol=relative, atol=absolute)


def as_float64(value: Any) -> Any:
    """Host float64 copy of an array or tensor."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)
