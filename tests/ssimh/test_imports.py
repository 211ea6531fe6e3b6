"""What importing the library may load, checked in fresh interpreters."""

import pytest

import ssimh
from tests.interpreters import block, check_public_names, modules_loaded_by, run

HEAVY = {"torch", "monai", "torchio", "SimpleITK", "skimage", "matplotlib", "typer", "rich", "pandas", "sklearn"}


@pytest.mark.parametrize(
    "code",
    [
        "import ssimh",
        "import ssimh; dir(ssimh)",
        "import numpy as np, ssimh; ssimh.swap_spectrum(np.ones((4, 8, 8)), np.zeros((4, 8, 8)))",
    ],
)
def test_the_core_loads_numpy_and_scipy_only(code):
    assert not modules_loaded_by(code) & HEAVY


def test_this_test_can_fail():
    pytest.importorskip("torch")
    assert "torch" in modules_loaded_by("import torch, ssimh")


@pytest.mark.parametrize("blocked", [["monai"], ["torch", "monai"]])
def test_without_monai_the_error_names_the_extra(blocked):
    result = run(block(blocked) + "from ssimh import SpectrumSwap")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert 'pip install "ssimh[monai]"' in last


@pytest.mark.parametrize("blocked", [["torchio"], ["torch", "torchio"]])
def test_without_torchio_the_error_names_the_extra(blocked):
    result = run(block(blocked) + "import ssimh.torchio")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert 'pip install "ssimh[torchio]"' in last


def test_the_torchio_transforms_need_no_monai():
    pytest.importorskip("torchio")
    assert run(block(["monai"]) + "import ssimh.torchio").returncode == 0


def test_without_torch_numpy_works():
    swap = "ssimh.swap_spectrum(np.ones((8, 8)), np.zeros((8, 8)), threshold=1)"
    code = f"import numpy as np, ssimh; print({swap}.max().round(6))"
    result = run(block(["torch", "monai"]) + code)
    assert result.stdout.strip() in ("0.0", "-0.0"), result.stderr


def test_histogram_matching_works_without_scikit_image_and_only_the_reader_needs_simpleitk():
    pytest.importorskip("monai")
    code = (
        "import numpy as np, ssimh; x = np.arange(64.0).reshape(1, 8, 8); "
        "print(float(ssimh.HistogramMatch(x + 9)(x).max().round())); ssimh.StrictReader"
    )
    result = run(block(["skimage", "SimpleITK"]) + code)
    assert result.stdout.strip() == "72.0", result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert 'pip install "ssimh[cli]"' in last


def test_public_names_are_sorted_and_exist():
    pytest.importorskip("monai")
    check_public_names(ssimh)
