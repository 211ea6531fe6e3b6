"""The file of a reference: an ``.npz`` with a JSON header, readable without pickle."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssimh.files.atomic import atomic_write

FORMAT = "ssimh-reference"
VERSION = 1
# What NumPy, zipfile and json raise on damaged or foreign files; TypeError is a plain .npy array, no context manager.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError, TypeError, IndexError)


class ReferenceFileError(ValueError):
    """A file that is not a reference, is damaged, or is of an unknown version."""


def write(path: str | os.PathLike[str], header: dict[str, Any], coefficients: NDArray[Any], kind: str = FORMAT) -> None:
    """Write header and coefficients; the file appears whole or not at all."""
    text = json.dumps({"format": kind, "version": VERSION, **header}, sort_keys=True)
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, header=np.frombuffer(text.encode(), dtype=np.uint8), coefficients=coefficients)


def read(path: str | os.PathLike[str], kind: str = FORMAT) -> tuple[dict[str, Any], NDArray[Any]]:
    """Header (without format and version) and coefficients of a file of this kind.

    Raises:
        FileNotFoundError: no such file.
        ReferenceFileError: anything but a reference of a known version.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no reference file at {path}.")
    try:
        # Opened here and not by NumPy, which leaves the file open when the archive turns out to be damaged.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes().decode())
            coefficients = archive["coefficients"]
    except _UNREADABLE as error:
        raise ReferenceFileError(
            f"{path} is not a readable reference ({type(error).__name__}: {error}); "
            "it must have been written by ReferenceSpectrum.save, SiteSpectrum.save or `ssimh fit`."
        ) from error
    if not isinstance(header, dict) or header.pop("format", None) != kind:
        raise ReferenceFileError(f"{path} is not a reference: its header does not state the format {kind!r}.")
    version = header.pop("version", None)
    if version != VERSION:
        raise ReferenceFileError(f"{path} is a reference of version {version}; this library reads version {VERSION}.")
    if coefficients.dtype.kind != "f":
        raise ReferenceFileError(f"{path}: coefficients have dtype {coefficients.dtype}, they must be floating.")
    return header, coefficients
