"""Errors are tested by their type and by the facts they name, not by their wording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def raises_naming(error: type[Exception], *facts: object) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """As ``pytest.raises``; the message must name every fact: an argument, a value, a shape, a file, an option.

    Args:
        error: Type of the exception.
        facts: Each is looked for as ``str`` prints it; a number must not be part of a longer one.
    """
    with pytest.raises(error) as caught:
        yield caught
    message = str(caught.value)
    missing = [fact for fact in facts if not _names(message, fact)]
    assert not missing, f"{missing} not in {message!r}"


def _names(message: str, fact: object) -> bool:
    if isinstance(fact, int | float):
        return re.search(rf"(?<![\w.]){re.escape(str(fact))}(?!\w)", message) is not None
    return str(fact) in message
