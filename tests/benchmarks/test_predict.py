"""The benchmark of prediction times functions that exist."""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import predict


@pytest.mark.parametrize("name", [name for names in predict.STAGES.values() for name in names])
def test_timed_functions_exist(name):
    assert callable(pkgutil.resolve_name(name))
