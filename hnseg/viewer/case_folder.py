"""The viewer beside a page of hnseg: its cases packed in several processes, with hnseg's errors as reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnseg.errors import CaseError
from hnseg.parallel import map_processes
from hnseg.progress import ProgressCallback, no_progress
from hnseg.viewer.case_layers import CaseVolumes, build_case
from ssimh.viewer.case_folder import CaseSource, ViewerFolder, write_viewer_folder
from ssimh.viewer.fit_size import ViewerError
from ssimh.viewer.records import ViewerCase


@dataclass(frozen=True)
class BuiltCase:
    """Reads a case and builds its layers; can be sent to another process."""

    read: Callable[[], CaseVolumes]

    def __call__(self) -> ViewerCase:
        """The layers.

        Raises:
            ViewerError: The case cannot be read; the message has no case ID, which stands beside it.
        """
        try:
            return build_case(self.read())
        except CaseError as error:
            raise ViewerError(error.reason) from error


def make_source(
    case_id: str, files: Mapping[str, Path | None], settings: Mapping[str, Any], read: Callable[[], CaseVolumes]
) -> CaseSource:
    """A case of hnseg for the viewer; arguments as of :class:`ssimh.viewer.case_folder.CaseSource`."""
    return CaseSource(case_id, files, settings, BuiltCase(read))


def write_cases(
    page: Path,
    title: str,
    sources: Sequence[CaseSource],
    *,
    jobs: int = 1,
    progress: ProgressCallback = no_progress,
) -> ViewerFolder:
    """Write the viewer beside a page, see :func:`ssimh.viewer.case_folder.write_viewer_folder`.

    Args:
        page: The page that will link to the viewer.
        title: Of the viewer.
        sources: The cases, of :func:`make_source`.
        jobs: Processes.
        progress: Called after each case.
    """
    return write_viewer_folder(
        page,
        title,
        sources,
        map_cases=lambda write, cases: map_processes(write, cases, jobs),
        done=lambda number, name: progress(number, len(sources), name),
    )
