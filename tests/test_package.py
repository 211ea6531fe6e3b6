"""The built wheel holds what it should, and imports load no more than they need."""

from __future__ import annotations

from pathlib import Path

from tests.interpreters import modules_loaded_by

ROOT = Path(__file__).parents[1]


FILES = {
    path.relative_to(ROOT)
    for package in ("ssimh", "hnseg")
    for path in (ROOT / package).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
}


def test_the_wheel_holds_both_packages_with_their_data(wheel):
    files = (path for path in wheel.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    names = {path.relative_to(wheel) for path in files}  # the examples that ran from it left compiled files
    assert {name for name in names if not name.parts[0].endswith(".dist-info")} == FILES
    for name in ("ssimh/py.typed", "hnseg/py.typed", "hnseg/pictures/templates/report.html.j2"):
        assert Path(name) in names
    (scripts,) = wheel.glob("*.dist-info/entry_points.txt")
    assert {"ssimh = ssimh.cli.main:main", "hnseg = hnseg.cli.main:main"} <= set(scripts.read_text().splitlines())
    (license_file,) = wheel.glob("*.dist-info/licenses/LICENSE")
    assert license_file.read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_this_test_can_fail():
    assert "torch" in modules_loaded_by("import torch")


def test_training_and_inference_import_without_simpleitk():
    block = "sys.modules['SimpleITK'] = None"  # any import of it raises ImportError
    modules = "hnseg.training.loop, hnseg.inference.ensemble, hnseg.inference.sliding_window"
    assert "torch" in modules_loaded_by(f"{block}; import {modules}, hnseg.preprocessing.prepared_case")
