"""Plugin of pytest: a test file that imports a package which is not installed is skipped, with the package as reason.

For environments without the extras (``make test-core``). Only packages that some extra brings count: anything else that
cannot be imported is an error, as are our own modules.
"""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

OPTIONAL = frozenset(
    {
        *(
            "torch",
            "monai",
            "torchio",
            "SimpleITK",
            "matplotlib",
            "rich",
            "typer",
            "click",
            "PIL",
            "skimage",
            "nibabel",
        ),
        *("pydantic", "ruamel", "zarr", "joblib", "jinja2", "lightning_fabric", "pydicom", "highdicom", "contourpy"),
        *(
            "playwright",
            "onnx",
            "onnxruntime",
            "distributed",
            "hatchling",
            "fire",
            "jsonschema",
            "gdcm",
            "pysuv",
            "yaml",
        ),
    }
)


def find_missing(text: str) -> str | None:
    """The optional package whose absence a traceback is about; None for another cause."""
    names = re.findall(r"No module named '(\w+)", text)
    return names[0] if names and set(names) <= OPTIONAL else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A report of a file that could not be imported becomes that of a skipped one."""
    report = yield
    missing = find_missing(str(report.longrepr)) if report.outcome == "failed" else None
    if missing:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: {missing} is not installed")
    return report
