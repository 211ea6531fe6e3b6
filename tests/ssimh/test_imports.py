"""What importing the library may load, checked in fresh interpreters."""

import subprocess
import sys

import pytest

import ssimh

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.split(".")[0])
sys.meta_path.insert(0, Block())
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def loaded(code):
    probe = f"import sys\n{code}\nprint(*sorted(name for name in sys.modules if '.' not in name))"
    result = run(probe)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


HEAVY = {"torch", "monai", "SimpleITK", "skimage", "matplotlib", "typer", "rich", "pandas", "sklearn"}


@pytest.mark.parametrize(
    "code",
    [
        "import ssimh",
        "import ssimh; dir(ssimh)",
        "import numpy as np, ssimh; ssimh.swap_spectrum(np.ones((4, 8, 8)), np.zeros((4, 8, 8)))",
    ],
)
def test_the_core_loads_numpy_and_scipy_only(code):
    assert not loaded(code) & HEAVY


def test_this_test_can_fail():
    assert "monai" in loaded("from ssimh import SpectrumSwap")


@pytest.mark.parametrize("blocked", [["monai"], ["torch", "monai"]])
def test_without_monai_the_error_names_the_extra(blocked):
    result = run(BLOCK.format(blocked=blocked) + "from ssimh import SpectrumSwap")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert 'pip install "ssimh[monai]"' in last


def test_without_torch_numpy_works():
    swap = "ssimh.swap_spectrum(np.ones((8, 8)), np.zeros((8, 8)), threshold=1)"
    code = f"import numpy as np, ssimh; print({swap}.max().round(6))"
    result = run(BLOCK.format(blocked=["torch", "monai"]) + code)
    assert result.stdout.strip() in ("0.0", "-0.0"), result.stderr


def test_histogram_matching_works_without_scikit_image():
    code = (
        "import numpy as np, ssimh; x = np.arange(64.0).reshape(1, 8, 8); "
        "print(float(ssimh.HistogramMatch(x + 9)(x).max().round()))"
    )
    result = run(BLOCK.format(blocked=["skimage", "SimpleITK"]) + code)
    assert result.stdout.strip() == "72.0", result.stderr


def test_public_names_are_sorted_and_exist():
    assert ssimh.__all__ == sorted(ssimh.__all__)
    assert set(ssimh.__all__) == {*ssimh._HOME, "__version__"}
    for name in ssimh.__all__:
        assert getattr(ssimh, name) is not None
    assert set(ssimh.__all__) <= set(dir(ssimh))


def test_unknown_names_raise_attribute_errors():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ssimh.nonsense
