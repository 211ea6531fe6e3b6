"""Phantoms that several files of tests read: each is generated once for all test processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from hnseg.phantom import DEFAULT_CENTERS, Case, Center, generate_case
from tests.hnseg.fixtures import build_once

SharedPhantom = Callable[..., Case]


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> SharedPhantom:
    """``phantom(center, index, trap=None)``: a case of 4 mm pixels and seed 11, as a copy of one's own."""

    def load(center: Center = DEFAULT_CENTERS[0], index: int = 1, *, trap: str | None = None) -> Case:
        def build(path: Path) -> None:
            path.write_bytes(pickle.dumps(generate_case(center, index, seed=11, pixel_mm=4.0, trap=trap)))

        path = build_once(tmp_path_factory, f"phantom-{center.name}-{index}-{trap}", build)
        case = pickle.loads(path.read_bytes())
        assert isinstance(case, Case)
        return case

    return load
