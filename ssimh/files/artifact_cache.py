"""Kept results, and the one answer to whether they are up to date.

A result has a record, a JSON file written last, which names everything that the result was made from (``made_from``)
and the SHA-256 of each of its files (``outputs``). The result is current if the record's ``made_from`` equals what it
would be made from now and its files are the recorded ones. A record that is missing, damaged or of another shape makes
the result not current; it is never an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from ssimh.files.atomic import atomic_write
from ssimh.files.json_object import JsonObject

RECORD = "record"  # the difference of a result whose record is missing, damaged or unfinished


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileRecord(TypedDict):
    """A file in a recorded key: ``modified_ns`` is its date, ``sha256`` the hash of its bytes."""

    name: str
    bytes: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True)
class InputFile:
    """A file as part of a key: the same file as a recorded one if size and date agree, or else if its content does.

    Attributes:
        path: the file.
        may_be_absent: a file that does not exist counts as unchanged. For readers of a result, on a machine that has
            the result and not the files it was made from.
    """

    path: Path
    may_be_absent: bool = False

    def as_record(self) -> FileRecord | None:
        """Name, bytes, date and SHA-256; None where there is no such file."""
        if not self.path.is_file():
            return None
        status = self.path.stat()
        return {
            "name": self.path.name,
            "bytes": status.st_size,
            "modified_ns": status.st_mtime_ns,
            "sha256": hash_file(self.path),
        }

    def matches(self, known: object) -> bool:
        """Whether a recorded file is this one; the file is read only where its date differs and its size does not."""
        if not self.path.is_file():
            return known is None or self.may_be_absent
        if not isinstance(known, Mapping):
            return False
        status = self.path.stat()
        if known.get("bytes") != status.st_size:
            return False
        return known.get("modified_ns") == status.st_mtime_ns or known.get("sha256") == hash_file(self.path)


def find_differences(known: object, key: Mapping[str, Any]) -> tuple[str, ...]:
    """Parts in which a recorded key differs from the key of now.

    Args:
        known: ``made_from`` of a record, as read from JSON.
        key: what the result would be made from now: JSON values, nested mappings, and :class:`InputFile`.

    Returns:
        Dotted names of the parts that differ, are missing or are too many, sorted; ``("record",)`` where ``known`` is
        no mapping.

    >>> find_differences({"case": "A-1", "settings": {"tau": 3}}, {"case": "A-2", "settings": {"tau": 3}})
    ('case',)
    >>> find_differences({"case": "A-1", "settings": {"tau": 5}}, {"case": "A-1", "settings": {"tau": 3}})
    ('settings.tau',)
    """
    if not isinstance(known, Mapping):
        return (RECORD,)
    return tuple(sorted(_differences(known, key, "")))


def _differences(known: Mapping[str, Any], key: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name in known.keys() | key.keys():
        path = f"{prefix}{name}"
        if name not in known or name not in key:
            yield path
            continue
        recorded, wanted = known[name], key[name]
        if isinstance(wanted, InputFile):
            if not wanted.matches(recorded):
                yield path
        elif isinstance(wanted, Mapping) and isinstance(recorded, Mapping):
            yield from _differences(recorded, wanted, f"{path}.")
        elif recorded != _to_json(wanted):
            yield path


def _to_json(value: Any) -> Any:
    """A key or a part of it as JSON gives it back."""
    if isinstance(value, InputFile):
        return value.as_record()
    if isinstance(value, Mapping):
        return {str(name): _to_json(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(part) for part in value]
    return value


def content_of(made_from: object) -> Any:
    """A recorded key with the SHA-256 in the place of each file: without names, sizes and dates.

    >>> content_of({"files": {"ct": {"name": "a.nii", "bytes": 3, "modified_ns": 1, "sha256": "12ab"}}, "tau": 3})
    {'files': {'ct': '12ab'}, 'tau': 3}
    """
    if isinstance(made_from, Mapping):
        if "sha256" in made_from:
            return made_from["sha256"]
        return {name: content_of(part) for name, part in made_from.items()}
    return [content_of(part) for part in made_from] if isinstance(made_from, list) else made_from


def read_record(path: Path) -> JsonObject | None:
    """A result's record; None where it is missing, damaged, or not what :class:`ArtifactCache` writes."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("made_from"), dict):
        return None
    return content if isinstance(content.get("outputs"), (dict, type(None))) else None


@dataclass(frozen=True)
class ArtifactCache:
    """A result that is kept, and made again when what it was made from has changed.

    Attributes:
        record: JSON file that says what the result was made from.
        key: what it would be made from now: case ID, :class:`InputFile`, settings, version of the computation, as
            JSON values in nested mappings.
        outputs: files or folders of the result by name; files are recorded with their SHA-256.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> cache = ArtifactCache(home / "sum.json", {"terms": [1, 2]}, {"sum": home / "sum.txt"})
    >>> def make():
    ...     _ = (home / "sum.txt").write_text("3")
    ...     return {"digits": 1}
    >>> cache.find_differences(), cache.get(make)["digits"], cache.find_differences()
    (('record',), 1, ())
    >>> ArtifactCache(home / "sum.json", {"terms": [1, 4]}, cache.outputs).find_differences()
    ('terms',)
    """

    record: Path
    key: Mapping[str, Any]
    outputs: Mapping[str, Path] = field(default_factory=dict)

    def find_differences(self) -> tuple[str, ...]:
        """Why the result is not current: ``record``, parts of the key, ``outputs.NAME``; empty where it is."""
        known = read_record(self.record)
        if known is None or known["outputs"] is None:
            return (RECORD,)
        found = find_differences(known["made_from"], self.key)
        if found:
            return found
        names = known["outputs"].keys() | self.outputs.keys()
        return tuple(f"outputs.{name}" for name in sorted(names) if not self._is_recorded(name, known["outputs"]))

    def is_current(self) -> bool:
        """Whether the result was made from the key of now and its files are the recorded ones."""
        return not self.find_differences()

    def edited_outputs(self) -> tuple[Path, ...]:
        """Files that exist and are not those of an intact record: somebody has changed them since."""
        known = read_record(self.record)
        if known is None or known["outputs"] is None:
            return ()
        there = {name: path for name, path in self.outputs.items() if path.exists() and name in known["outputs"]}
        return tuple(path for name, path in there.items() if not self._is_recorded(name, known["outputs"]))

    def get(self, make: Callable[[], Mapping[str, Any]]) -> JsonObject:
        """The record of the current result, which ``make`` makes where it has to.

        Args:
            make: writes the outputs and returns what else belongs into the record.
        """
        known = read_record(self.record)
        if known is not None and self.is_current():
            return known
        if self.outputs and self.record.exists():
            self.begin()
        return self.save(make())

    def begin(self) -> None:
        """Mark the result as unfinished, so that a killed process does not leave new files under an old record."""
        self._write({"made_from": _to_json(self.key), "outputs": None})

    def save(self, details: Mapping[str, Any]) -> JsonObject:
        """Write the record of a finished result, and return it."""
        content = self.as_record(details)
        self._write(content)
        return content

    def as_record(self, details: Mapping[str, Any]) -> JsonObject:
        """What the record holds: the details, ``made_from`` and ``outputs``.

        Raises:
            ValueError: the details use one of these two names.
        """
        taken = {"made_from", "outputs"} & details.keys()
        if taken:
            raise ValueError(f"{', '.join(sorted(taken))}: these names of a record are not for details")
        hashes = {name: hash_file(path) if path.is_file() else None for name, path in self.outputs.items()}
        return {**details, "made_from": _to_json(self.key), "outputs": hashes}

    def _is_recorded(self, name: str, recorded: Mapping[str, Any]) -> bool:
        path = self.outputs.get(name)
        if path is None or name not in recorded or not path.exists():
            return False
        return recorded[name] is None or (path.is_file() and hash_file(path) == recorded[name])

    def _write(self, content: Mapping[str, Any]) -> None:
        self.record.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.record) as temporary:
            temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
