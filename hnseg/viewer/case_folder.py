"""The viewer beside a page: a folder with one file for each case, which the browser loads when it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from hnseg.errors import CaseError
from hnseg.parallel import map_processes
from hnseg.progress import ProgressCallback, no_progress
from hnseg.viewer.case_layers import CaseVolumes, build_case
from hnseg.workdir import write_text
from ssimh.files.artifact_cache import ArtifactCache, InputFile
from ssimh.files.json_object import JsonObject
from ssimh.viewer.pack_case import ViewerError, pack_case
from ssimh.viewer.page import CaseFile, format_case_file, format_page

INDEX = "index.html"
FORMAT = 1  # of the case files; another number makes them all again
DEFAULT_CASES = 20  # of a report or a check: about 80 MB
UNSAFE = ("/", "\\", "\0")


@dataclass(frozen=True)
class CaseSource:
    """A case that goes into the viewer.

    Attributes:
        case_id: Of the case.
        files: What its file is made from, by name; None for what is not there.
        settings: What else decides about it, as JSON values.
        read: Reads the case; it can be sent to another process.
    """

    case_id: str
    files: Mapping[str, Path | None]
    settings: Mapping[str, Any]
    read: Callable[[], CaseVolumes]


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

    case_id: str
    address: str
    columns: tuple[str, ...] = ()
    lesions: tuple[LesionRow, ...] = ()


@dataclass(frozen=True)
class ViewerFolder:
    """What is in the viewer of a page.

    Attributes:
        address: Of the viewer, relative to the page; empty where no case is in it.
        cases: By ID.
        left_out: Reasons by ID.
    """

    address: str = ""
    cases: Mapping[str, ViewedCase] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def viewer_folder(page: Path) -> Path:
    """The folder of a page's viewer: ``report_files`` of ``report.html``."""
    return page.with_name(f"{page.stem}_files")


def write_viewer_folder(
    page: Path,
    title: str,
    sources: Sequence[CaseSource],
    *,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> ViewerFolder:
    """Write the viewer beside a page: ``<page>_files/index.html`` and ``<ID>.js`` of each case.

    Case files that are up to date are kept; those of other cases are removed, and the folder with the last one.

    Args:
        page: The page that will link to the viewer, and to which the viewer links back.
        title: Of the viewer.
        sources: The cases, in the order of the viewer's list.
        jobs: Processes.
        progress: Called after each case.
    """
    folder = viewer_folder(page)
    results = map_processes(functools.partial(_write_case, folder=folder), sources, jobs)
    cases: dict[str, ViewedCase] = {}
    left_out: dict[str, str] = {}
    for number, (source, result) in enumerate(zip(sources, results, strict=True), start=1):
        if isinstance(result, str):
            left_out[source.case_id] = result
        else:
            cases[source.case_id] = result
        progress(number, len(sources), source.case_id)
    _remove_others(folder, cases)
    if not cases:
        return ViewerFolder(left_out=left_out)
    listed = [CaseFile(case_id, quote(f"{case_id}.js")) for case_id in cases]
    write_text(folder / INDEX, format_page(title, files_of_cases=listed, back=f"../{quote(page.name)}"))
    return ViewerFolder(f"{quote(folder.name)}/{INDEX}", cases, left_out)


def _write_case(source: CaseSource, folder: Path) -> ViewedCase | str:
    """Write the file of a case where it is not up to date; the reason where it cannot be shown."""
    if any(sign in source.case_id for sign in UNSAFE) or source.case_id.startswith("."):
        return "its ID is no name of a file"
    target = folder / f"{source.case_id}.js"
    files = {name: None if path is None else InputFile(path) for name, path in source.files.items()}
    key = {"case": source.case_id, "format": FORMAT, "files": files, "settings": source.settings}
    cache = ArtifactCache(target.with_suffix(".json"), key, {"case": target})
    try:
        record = cache.get(functools.partial(_make_case, source, target))
    except CaseError as error:
        return error.reason
    except ViewerError as error:
        return str(error)
    return _read_viewed(source.case_id, folder, record)


def _make_case(source: CaseSource, target: Path) -> Mapping[str, Any]:
    case = build_case(source.read())
    write_text(target, format_case_file(pack_case(case)))
    rows = [{"label": mark.label, "status": mark.status, "cells": list(mark.cells)} for mark in case.lesions]
    return {"columns": list(case.lesion_columns), "lesions": rows}


def _read_viewed(case_id: str, folder: Path, record: JsonObject) -> ViewedCase:
    def address(**more: object) -> str:
        return f"{quote(folder.name)}/{INDEX}#{urlencode({'case': case_id, **more})}"

    rows = [
        LesionRow(row["label"], row["status"], tuple(row["cells"]), address(lesion=number))
        for number, row in enumerate(record["lesions"], start=1)
    ]
    return ViewedCase(case_id, address(), tuple(record["columns"]), tuple(rows))


def _remove_others(folder: Path, cases: Mapping[str, ViewedCase]) -> None:
    """Remove files of cases that are no longer in the viewer: those that have a record beside them."""
    for record in folder.glob("*.json"):
        if record.stem not in cases and record.with_suffix(".js").is_file():
            record.with_suffix(".js").unlink()
            record.unlink()
    if not cases and (folder / INDEX).is_file():
        (folder / INDEX).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
