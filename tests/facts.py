"""Errors are tested by their type and by the facts they name, not by their wording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDERS = re.compile(r"(?<![\w.])/(?:[^/\s]+/)+")  # of an absolute path; those of a test carry its name


@contextmanager
def raises_naming(
    error: type[BaseException], *facts: object, case_id: str | None = None, path: Path | None = None
) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """As ``pytest.raises``, of this very type; the message must name every fact.

    Args:
        error: Type of the exception.
        facts: An argument, a value, a shape, a file, an option, a command; see :func:`names`. An error about a case is
            searched without its case and its file.
        case_id: The case that an error about a case is about.
        path: The file that the error is about; None for an error about a case that names no file.
    """
    with pytest.raises(error) as caught:
        yield caught
    assert type(caught.value) is error
    message = str(caught.value)
    if hasattr(caught.value, "case_id"):
        assert (caught.value.case_id, caught.value.path) == (case_id, path)
        message = caught.value.reason
    else:
        facts = (*facts, *(fact for fact in (case_id, path) if fact is not None))
    missing = [fact for fact in facts if not names(message, fact)]
    assert not missing, f"{missing} not in {message!r}"


def names(message: str, fact: object) -> bool:
    """Whether a message holds a fact, as ``str`` prints it, as a whole: 7 is in "at 7" and "7.0", not in "17" or "7.5".

    Folders of absolute paths count only for a fact that is a path itself.
    """
    text = str(fact)
    if "/" not in text:
        message = FOLDERS.sub("", message)
    before = r"(?<![\w.-])" if text[:1].isdigit() else r"(?<!\w)" if text[:1].isalnum() else ""
    after = r"(?!\w|\.(?!0\b)\d)" if text[-1:].isalnum() else ""
    return re.search(before + re.escape(text) + after, message) is not None


def names_all(message: str, *facts: object) -> bool:
    """Whether a message holds every fact; see :func:`names`."""
    return all(names(message, fact) for fact in facts)
