"""Exceptions of hnseg.

HnsegError                  the base: everything a user can correct; the command line prints it without a traceback
├── CohortError             a data root as a whole cannot be used
├── CaseError               one case cannot be used; names the case and the file
├── DicomError              one DICOM series cannot be used; names the series and the tag, and no identifier
├── SuvError                the SUV of a PET cannot be computed; names the tag
├── WorkDirError            a work directory does not hold what a stage needs, or holds another run's
├── InUseError              another process writes there at this moment
├── OptionError             an option that does not apply to what the other ones ask for
│   └── SettingsError       a setting that does not exist, or a value that it cannot have
└── OutputPathError         an output would replace an input, or a file that hnseg did not write
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names for a message, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class HnsegError(Exception):
    """Base class: the message says what was given, what is allowed, and where."""


class CohortError(HnsegError):
    """A data root that cannot be used at all (missing, empty, no case left)."""


class WorkDirError(HnsegError):
    """A work directory that lacks what a stage needs, or belongs to a run with other settings."""


class InUseError(HnsegError):
    """What is to be written is being written by another process; the message says by which one."""


class OptionError(HnsegError):
    """Options that contradict each other, or one that would change nothing; the message says when it applies."""


class SettingsError(OptionError):
    """A setting that does not exist or a value that it cannot have; the message says where and what is allowed."""


class OutputPathError(HnsegError):
    """An output that would replace an input or a file that hnseg did not write; the message names it."""


class CaseError(HnsegError):
    """One case that cannot be used.

    Args:
        case_id: The case, as its folder is named.
        message: What is wrong and what is allowed.
        path: The file at fault.
    """

    def __init__(self, case_id: str, message: str, path: Path | None = None) -> None:
        self.case_id = case_id
        self.path = path
        self.reason = message
        where = f" [{path}]" if path is not None else ""
        super().__init__(f"{case_id}: {message}{where}")

    def __reduce__(self) -> tuple[type[CaseError], tuple[str, str, Path | None]]:
        # Exceptions with several arguments do not survive a trip through a worker process otherwise.
        return CaseError, (self.case_id, self.reason, self.path)


class DicomError(HnsegError):
    """One DICOM series that cannot be used.

    The message holds no patient name, ID, date, UID or path: a series has a number and a size, a file its position.

    Args:
        series: The series, as in ``"PET series 3 (128 × 128 × 267)"``.
        message: What is wrong and what is allowed.
        tag: Keyword of the DICOM attribute at fault; None where it is not a single one.
    """

    def __init__(self, series: str, message: str, tag: str | None = None) -> None:
        self.series = series
        self.reason = message
        self.tag = tag
        where = f" [{tag}]" if tag is not None else ""
        super().__init__(f"{series}: {message}{where}")

    def __reduce__(self) -> tuple[type[DicomError], tuple[str, str, str | None]]:
        return DicomError, (self.series, self.reason, self.tag)


class SuvError(HnsegError):
    """A PET whose SUV cannot be computed.

    Args:
        tag: Keyword of the DICOM attribute at fault, or column of the table (``--tags``).
        message: What is wrong and what is allowed.
    """

    def __init__(self, tag: str, message: str) -> None:
        self.tag = tag
        self.reason = message
        super().__init__(f"{message} [{tag}]")

    def __reduce__(self) -> tuple[type[SuvError], tuple[str, str]]:
        return SuvError, (self.tag, self.reason)
