"""The public names of a package as Markdown tables: functions, then classes, with the first line of each docstring."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from read_house import to_markdown


def api_tables(package: ModuleType) -> str:
    """Tables of everything in ``__all__`` that is a function or a class."""
    values = {name: getattr(package, name) for name in package.__all__}
    functions = {name: value for name, value in values.items() if inspect.isfunction(value)}
    classes = {name: value for name, value in values.items() if inspect.isclass(value)}
    return _table("function", functions) + "\n" + _table("class", classes)


def _table(kind: str, values: dict[str, Any]) -> str:
    lines = [f"| {kind} | module | summary |", "|---|---|---|"]
    for name, value in sorted(values.items()):
        summary = (inspect.getdoc(value) or "").split("\n\n")[0]
        lines.append(f"| `{name}` | `{value.__module__}` | {to_markdown(' '.join(summary.split()))} |")
    return "\n".join(lines) + "\n"
