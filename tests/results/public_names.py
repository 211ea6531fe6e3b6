"""The public names whose results are promised: of both packages, and of the modules of hnseg that compute."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType

PACKAGES = ("ssimh", "ssimh.torchio", "hnseg")
# Classes of which each public method is a name of its own.
BY_METHOD = ("ssimh.ReferenceSpectrum", "ssimh.SiteSpectrum")
STORAGE = {"from_dicts", "to_dicts", "load", "save", "check_comparable"}  # methods that keep values as they are
MODULES = (
    *(f"hnseg.evaluation.{name}" for name in ("case_scores", "cohort_scores", "overlap", "surface_distance")),
    *(f"hnseg.images.{name}" for name in ("components", "registration", "resample")),
    *("hnseg.inference.postprocess", "hnseg.inference.tiling"),
    *("hnseg.preprocessing.crop.find_box", "hnseg.preprocessing.normalize", "hnseg.suv.conversion"),
)


def iter_package(package: ModuleType) -> Iterator[str]:
    """Names of a package's ``__all__``, and of the methods of the classes in :data:`BY_METHOD`."""
    for name in package.__all__:
        full = f"{package.__name__}.{name}"
        if name == "__version__":
            continue
        if full not in BY_METHOD:
            yield full
            continue
        for method, value in vars(getattr(package, name)).items():
            is_method = isinstance(value, classmethod | staticmethod) or inspect.isfunction(value)
            if is_method and not method.startswith("_") and method not in STORAGE:
                yield f"{full}.{method}"


def iter_module(name: str) -> Iterator[str]:
    """Public functions that a module defines."""
    module = importlib.import_module(name)
    for function, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == name and not function.startswith("_"):
            yield f"{name}.{function}"


def find_public_names() -> set[str]:
    """Every name that is locked or left out with a reason."""
    found = {full for package in PACKAGES for full in iter_package(importlib.import_module(package))}
    return found | {full for module in MODULES for full in iter_module(module)}
