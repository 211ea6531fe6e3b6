"""Provenance of a result: versions, machine, time."""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("ssimh", "numpy", "scipy", "torch", "monai", "SimpleITK", "zarr")


def versions() -> dict[str, str]:
    """Versions of the packages that change numbers; ``absent`` where one is not installed."""
    return dict(_find_versions())


@functools.cache
def _find_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def provenance() -> dict[str, object]:
    """Versions, machine and time (UTC), JSON-ready."""
    return {
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores",
        "started_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
