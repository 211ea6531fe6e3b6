"""The files of references and sites: an ``.npz`` with a JSON header and one array, readable without pickle."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ssimh.files.atomic import atomic_write
from ssimh.files.json_object import JsonObject

LARGEST_HEADER_BYTES = 2**24
LARGEST_ARRAY_BYTES = 2**28  # every coefficient of 310 x 200 x 200 voxels takes a third of this
# What NumPy, zipfile and json raise on damaged or foreign files; TypeError is a plain .npy array, no context manager.
_UNREADABLE = (
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    EOFError,
    OSError,
    TypeError,
    IndexError,
)


@dataclass(frozen=True)
class FileKind:
    """What a file is and which versions of it this library writes and reads.

    Args:
        format: name in the header.
        version: number in the header of the files that are written.
        array: name of the array in the archive.
        earlier: name of the array in each earlier version; files of any other version are refused.
    """

    format: str
    version: int
    array: str
    earlier: Mapping[int, str] = field(default_factory=dict)

    @property
    def arrays(self) -> Mapping[int, str]:
        """Name of the array in each version that is read."""
        return {**self.earlier, self.version: self.array}


REFERENCE = FileKind("ssimh-reference", 1, "coefficients")
SITE = FileKind("ssimh-site", 4, "subjects", earlier={1: "coefficients", 2: "subjects", 3: "subjects"})


class ReferenceFileError(ValueError):
    """A file that is not a reference, is damaged, or is of an unknown version."""


def write(path: str | os.PathLike[str], kind: FileKind, header: Mapping[str, object], array: NDArray[Any]) -> None:
    """Write header and array; the file appears whole or not at all."""
    text = json.dumps({"format": kind.format, "version": kind.version, **header}, sort_keys=True)
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        arrays: dict[str, NDArray[Any]] = {"header": np.frombuffer(text.encode(), dtype=np.uint8), kind.array: array}
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # NumPy's stubs miss the keyword arrays


def read(path: str | os.PathLike[str], kind: FileKind) -> tuple[JsonObject, NDArray[Any]]:
    """Header (without format) and array of a file of this kind, in any version that is read.

    Raises:
        FileNotFoundError: no such file.
        ReferenceFileError: anything but a file of this kind in a known version.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no reference file at {path}.")
    if not zipfile.is_zipfile(path):
        raise ReferenceFileError(
            f"{path} is not a readable reference (no .npz file, or a truncated one); ReferenceSpectrum.save, "
            "SiteSpectrum.save and `ssimh fit` write references, which they make of images."
        )
    try:
        # Opened here and not by NumPy, which leaves the file open when the archive turns out to be damaged.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            _check_sizes(archive.zip)
            header = json.loads(archive["header"].tobytes().decode())
            stated = (header.pop("format", None), header.get("version")) if isinstance(header, dict) else (None, None)
            name = kind.arrays.get(stated[1]) if stated[0] == kind.format else None  # type: ignore[arg-type]  # any JSON
            array = None if name is None else archive[name]
    except _UNREADABLE as error:
        raise ReferenceFileError(
            f"{path} is not a readable reference ({type(error).__name__}: {error}); "
            "it must have been written by ReferenceSpectrum.save, SiteSpectrum.save or `ssimh`."
        ) from error
    if stated[0] != kind.format:
        raise ReferenceFileError(f"{path} is not a reference: its header does not state the format {kind.format!r}.")
    if array is None:
        raise ReferenceFileError(
            f"{path} has the format {kind.format!r} in version {stated[1]}; this library reads version "
            f"{', '.join(map(str, kind.arrays))}. A newer ssimh wrote it, or it is damaged."
        )
    return header, array


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Refuse members that would unpack to more than a reference can hold; a few kilobytes can be gigabytes of zeros.

    Raises:
        ValueError: a member is too large.
    """
    for member in archive.infolist():
        largest = LARGEST_HEADER_BYTES if member.filename == "header.npy" else LARGEST_ARRAY_BYTES
        if member.file_size > largest:
            raise ValueError(f"{member.filename} would take {member.file_size} bytes, at most {largest} are allowed")


class StoredSpectrum(ABC):
    """Something small that lives in a file with the hash of its own content; equal where the hashes are."""

    file_kind: ClassVar[FileKind]

    @abstractmethod
    def header(self) -> Mapping[str, object]:
        """Everything but the array, as plain JSON values."""

    @property
    @abstractmethod
    def content_hash(self) -> str:
        """SHA-256 over header and array, ``"sha256:…"``: the same on every machine."""

    @classmethod
    @abstractmethod
    def _from_file(cls, header: JsonObject, array: NDArray[Any]) -> Self:
        """What header and array describe."""

    @classmethod
    def _from_earlier(cls, version: int, header: JsonObject, array: NDArray[Any]) -> tuple[Self, str]:
        """What a file of an earlier version describes, and the hash of its content as that version computed it."""
        raise ValueError(f"version {version} is not read")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file: a JSON header and one array, nothing pickled.

        The file appears whole or not at all; it is read with :meth:`load`, or with NumPy alone.

        Raises:
            FileNotFoundError: the folder does not exist.
        """
        header = {**self.header(), "content_hash": self.content_hash}
        write(path, self.file_kind, header, getattr(self, self.file_kind.array))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file written by :meth:`save`, of this version of ssimh or any earlier one.

        Raises:
            FileNotFoundError: no such file.
            ReferenceFileError: a file of another kind or version, damaged, or with content that does not fit together.
        """
        header, array = read(path, cls.file_kind)
        version, stated = header.pop("version"), header.pop("content_hash", None)
        try:
            if version == cls.file_kind.version:
                found = cls._from_file(header, array)
                content_hash = found.content_hash
            else:
                found, content_hash = cls._from_earlier(version, header, array)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            kind = cls.file_kind.format
            raise ReferenceFileError(f"{path}: the content does not describe a {kind}: {error}") from error
        if content_hash != stated:
            raise ReferenceFileError(f"{path} is damaged: its content does not have the hash that its header states.")
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)
