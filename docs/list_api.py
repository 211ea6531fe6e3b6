"""The public names of a package as Markdown tables: functions, classes, types, with links and summaries."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any, get_args

from read_house import to_markdown


def api_tables(package: ModuleType) -> str:
    """Tables of everything in ``__all__`` but the version."""
    values = {name: getattr(package, name) for name in package.__all__ if not name.startswith("__")}
    functions = {name: value for name, value in values.items() if inspect.isfunction(value)}
    classes = {name: value for name, value in values.items() if inspect.isclass(value)}
    aliases = {name: value for name, value in values.items() if name not in functions | classes}
    homes = package._HOME
    tables = (("function", functions), ("class", classes), ("type", aliases))
    return "\n".join(_table(kind, some, homes) for kind, some in tables if some)


def _table(kind: str, values: dict[str, Any], homes: dict[str, str]) -> str:
    lines = [f"| {kind} | module | summary |", "|---|---|---|"]
    for name, value in sorted(values.items()):
        summary = "" if kind == "type" else (inspect.getdoc(value) or "").split("\n\n")[0]
        text = to_markdown(" ".join(summary.split())) or f"One of {', '.join(f'`{one}`' for one in get_args(value))}."
        lines.append(f"| {{py:obj}}`{name} <{homes[name]}.{name}>` | `{homes[name]}` | {text} |")
    return "\n".join(lines) + "\n"
