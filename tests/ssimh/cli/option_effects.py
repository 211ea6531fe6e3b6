"""The registry of what each parameter of a command changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Effect = Callable[[Path], None]
EFFECTS: dict[tuple[str, str], Effect] = {}


def effect(command: str, *parameters: str) -> Callable[[Effect], Effect]:
    """Register the test of a command's parameters."""

    def register(test: Effect) -> Effect:
        EFFECTS.update({(command, parameter): test for parameter in parameters})
        return test

    return register
