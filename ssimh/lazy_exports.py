"""Public names of a package that load the module they live in when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(
    package: str, homes: Mapping[str, str], *, extra: str | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package's ``__init__.py``.

    Args:
        package: ``__name__`` of the package.
        homes: module that each public name lives in.
        extra: of the distribution, which brings what the package needs; an error names it where something is missing.
    """
    namespace = vars(sys.modules[package])

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            home = import_module(homes[name])
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if extra is None or missing in sys.stdlib_module_names or missing in ("ssimh", "hnseg"):
                raise
            raise ImportError(
                f'{package}.{name} needs {missing}, which is not installed: pip install "ssimh[{extra}]"', name=missing
            ) from error
        namespace[name] = getattr(home, name)
        return namespace[name]

    return load, lambda: sorted({*namespace, *homes})
