"""Fresh interpreters: what code loads, what it does where a module is missing, and the public names of a package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from types import ModuleType

import pytest

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.split(".")[0])
sys.meta_path.insert(0, Block())
"""


def block(modules: Iterable[str]) -> str:
    """Code after which some modules, and what they hold, cannot be imported."""
    return BLOCK.format(modules=set(modules))


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Code in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


def modules_loaded_by(code: str) -> set[str]:
    """Top-level modules in memory after some code."""
    result = run(f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))")
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def check_public_names(package: ModuleType) -> None:
    """The public names of a package are sorted and exist, and others raise an ``AttributeError``."""
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) == {*package._HOME, "__version__"}
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense
