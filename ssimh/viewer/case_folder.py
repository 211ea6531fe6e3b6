"""The viewer beside a page: a folder with one file for each case, which the browser loads when it is asked for."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ssimh.files.artifact_cache import ArtifactCache, InputFile
from ssimh.files.atomic import atomic_write
from ssimh.files.json_object import JsonObject
from ssimh.viewer.fit_size import ViewerError
from ssimh.viewer.pack_case import pack_case
from ssimh.viewer.page import CaseFile, format_case_file, format_page
from ssimh.viewer.records import ViewerCase

INDEX = "index.html"
FORMAT = 1  # of the case files; another number makes them all again
DEFAULT_CASES = 20  # of a page: about 80 MB
LONGEST_STEM = 100


@dataclass(frozen=True)
class CaseSource:
    """A case that goes into the viewer.

    Attributes:
        name: Of the case; no two cases of a page have the same one.
        files: What it is made from, by name; None for what is not there.
        settings: What else decides about it, as JSON values.
        read: Reads the case; where other processes pack, it is sent to them.
    """

    name: str
    files: Mapping[str, Path | None]
    settings: Mapping[str, Any]
    read: Callable[[], ViewerCase]


@dataclass(frozen=True)
class LesionRow:
    """A lesion of a case in the viewer; ``address`` is relative to the page that the folder belongs to."""

    label: str
    status: str
    cells: tuple[str, ...]
    address: str


@dataclass(frozen=True)
class ViewedCase:
    """A case in the viewer; ``address`` as in :class:`LesionRow`."""

    name: str
    address: str
    columns: tuple[str, ...] = ()
    lesions: tuple[LesionRow, ...] = ()


@dataclass(frozen=True)
class ViewerFolder:
    """What is in the viewer of a page.

    Attributes:
        address: Of the viewer, relative to the page; empty where no case is in it.
        cases: By name.
        left_out: Reasons by name.
    """

    address: str = ""
    cases: Mapping[str, ViewedCase] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


Written = ViewedCase | str  # a case in the viewer, or why it is not
WriteCase = Callable[[CaseSource], Written]
MapCases = Callable[[WriteCase, Sequence[CaseSource]], Iterable[Written]]


def viewer_folder(page: Path) -> Path:
    """The folder of a page's viewer: ``report_files`` of ``report.html``."""
    return page.with_name(f"{page.stem}_files")


def write_viewer_folder(
    page: Path,
    title: str,
    sources: Sequence[CaseSource],
    *,
    refused: tuple[type[Exception], ...] = (),
    map_cases: MapCases = map,
    done: Callable[[int, str], None] = lambda number, name: None,
) -> ViewerFolder:
    """Write the viewer beside a page: ``<page>_files/index.html`` and one script file for each case.

    Case files that are up to date are kept. Those of other cases are removed, and with the last one the viewer.

    Args:
        page: The page that will link to the viewer, and to which the viewer links back.
        title: Of the viewer.
        sources: The cases, in the order of the viewer's list.
        refused: Errors of reading a case that leave it out, with their message; others are raised.
        map_cases: Calls a function for each case, in order; ``map``, or in several processes.
        done: Called after each case with its number, from 1, and its name.
    """
    folder = viewer_folder(page)
    cases: dict[str, ViewedCase] = {}
    left_out: dict[str, str] = {}
    write = functools.partial(_write_case, folder=folder, refused=(*refused, ViewerError))
    for number, (source, written) in enumerate(zip(sources, map_cases(write, sources), strict=True), start=1):
        if isinstance(written, str):
            left_out[source.name] = written
        else:
            cases[source.name] = written
        done(number, source.name)
    _remove_others(folder, {file_stem(name) for name in cases})
    if not cases:
        return ViewerFolder(left_out=left_out)
    listed = [CaseFile(name, quote(f"{file_stem(name)}.js")) for name in cases]
    _write_text(folder / INDEX, format_page(title, files_of_cases=listed, back=f"../{quote(page.name)}"))
    return ViewerFolder(f"{quote(folder.name)}/{INDEX}", cases, left_out)


def file_stem(name: str) -> str:
    """A name as that of a file on any system; different names stay different.

    >>> file_stem("CHUM-001"), file_stem("a/b c.nii")
    ('CHUM-001', 'a=2fb=20c.nii')
    """
    safe = re.sub(r"[^A-Za-z0-9._+-]|^\.", lambda found: "".join(f"={byte:02x}" for byte in found[0].encode()), name)
    if len(safe) > LONGEST_STEM:
        safe = f"{safe[:40]}={hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"
    return safe


def _write_case(source: CaseSource, folder: Path, refused: tuple[type[Exception], ...]) -> Written:
    """Write the file of a case where it is not up to date."""
    target = folder / f"{file_stem(source.name)}.js"
    files = {name: None if path is None else InputFile(path) for name, path in source.files.items()}
    key = {"case": source.name, "format": FORMAT, "files": files, "settings": source.settings}
    cache = ArtifactCache(target.with_name(f"{target.stem}.json"), key, {"case": target})
    try:
        record = cache.get(functools.partial(_make_case, source, target))
    except refused as error:
        return str(error)
    return _read_viewed(source.name, folder, record)


def _make_case(source: CaseSource, target: Path) -> Mapping[str, Any]:
    case = source.read()
    _write_text(target, format_case_file(pack_case(case)))
    rows = [{"label": mark.label, "status": mark.status, "cells": list(mark.cells)} for mark in case.lesions]
    return {"columns": list(case.lesion_columns), "lesions": rows}


def _read_viewed(name: str, folder: Path, record: JsonObject) -> ViewedCase:
    def address(**more: object) -> str:
        return f"{quote(folder.name)}/{INDEX}#{urlencode({'case': name, **more})}"

    rows = [
        LesionRow(row["label"], row["status"], tuple(row["cells"]), address(lesion=number))
        for number, row in enumerate(record["lesions"], start=1)
    ]
    return ViewedCase(name, address(), tuple(record["columns"]), tuple(rows))


def _remove_others(folder: Path, stems: set[str]) -> None:
    """Remove files of cases that are no longer in the viewer: those that have a record beside them."""
    for record in folder.glob("*.json"):
        script = record.with_name(f"{record.stem}.js")
        if record.stem not in stems and script.is_file():
            script.unlink()
            record.unlink()
    if not stems and (folder / INDEX).is_file():
        (folder / INDEX).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
