"""The built wheel holds what it should, and imports load no more than they need."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.interpreters import modules_loaded_by

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    code = f"from hatchling.build import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("ssimh-*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_wheel_holds_both_packages_with_their_data(wheel):
    template = "hnseg/pictures/templates/report.html.j2"
    for name in ("ssimh/py.typed", "hnseg/py.typed", template, "hnseg/phantom/__init__.py"):
        assert name in wheel
    sources = {str(path.relative_to(ROOT)) for package in ("ssimh", "hnseg") for path in (ROOT / package).rglob("*.py")}
    assert sources <= set(wheel)
    assert not [name for name in wheel if name.startswith(("tests", "docs", "examples", "benchmarks"))]


def test_this_test_can_fail():
    assert "torch" in modules_loaded_by("import torch")


def test_training_and_inference_import_without_simpleitk():
    block = "sys.modules['SimpleITK'] = None"  # any import of it raises ImportError
    modules = "hnseg.training.loop, hnseg.inference.ensemble, hnseg.inference.sliding_window"
    assert "torch" in modules_loaded_by(f"{block}; import {modules}, hnseg.preprocessing.prepared_case")
