"""Example scripts as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"
GRAND_CHALLENGE = EXAMPLES / "grand_challenge" / "inference.py"
HECKTOR_TASK1 = EXAMPLES / "hecktor_task1.py"


def load_script(path: Path) -> ModuleType:
    """The module that a script is, without running its ``main``."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
