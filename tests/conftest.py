"""What all tests share: their order, where the real scans are, and how hypothesis runs."""

from __future__ import annotations

import importlib.util
import locale
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Without the extra "hnseg" (`make test-core`) there are the fixtures of ssimh alone.
HNSEG = ["tests.browser", "tests.hnseg.fixtures", "tests.hnseg.phantoms", "tests.hnseg.workdirs", "tests.wheel"]
pytest_plugins = HNSEG if importlib.util.find_spec("pydantic") else []

# Examples are derived from the test itself, so that a failure is the same on every machine; no deadline, since the
# first call of a function may import torch.
settings.register_profile(
    "project", deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: where one of them begins last, one process works and the others wait.

    Those of the examples come before all others, since they use no trained run: one process would wait for it while the
    other trains.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (not slow[item.path] or item.path.parent.name != "examples", -slow[item.path]))


@pytest.fixture(scope="session")
def realdata_dir() -> Path:
    """Folder of the shared real scans; the test is skipped where there is none."""
    stated = os.environ.get("SSIMH_REALDATA")
    folder = Path(stated) if stated else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real scans: neither SSIMH_REALDATA nor ../shared/data is a folder")
    return folder


@pytest.fixture(autouse=True)
def _same_locale() -> Iterator[None]:
    """The locale outlives a test: GDCM leaves "C" behind when it writes DICOM, with which text files are ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)
