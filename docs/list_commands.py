"""The commands of an application as Markdown: for each its usage, and every argument and option with its values."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

PLACEHOLDERS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def command_list(name: str, app: typer.Typer) -> str:
    """Markdown of all commands, in the order of ``NAME --help``: a heading of the second level for each.

    Args:
        name: What is typed first.
        app: Its application.
    """
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return "\n".join(_describe(f"{name} {word}", command) for word, command in commands.items())


def _describe(name: str, command: Any) -> str:
    """One command: heading, help, usage, and a list of its parameters."""
    hints = typing.get_type_hints(inspect.unwrap(command.callback))
    parameters = [one for one in command.params if not one.hidden and one.name != "help"]
    arguments = [one for one in parameters if not one.opts[0].startswith("-")]
    options = [one for one in parameters if one.opts[0].startswith("-")]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
    entries = [entry for one in [*arguments, *options] for entry in _list_entry(one, hints[one.name])]
    return "\n".join([f"## {name}", "", escape(command.help), "", "```text", usage, "```", "", *entries])


def _usage(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _list_entry(parameter: Any, hint: Any) -> Iterator[str]:
    """An entry of a definition list: names and values, then what it does, and the default."""
    is_option = parameter.opts[0].startswith("-")
    names = [*parameter.opts, *parameter.secondary_opts] if is_option else [_usage(parameter).strip("[]")]
    values = parameter.metavar or describe_values(hint)
    shown = f"`{' / '.join(names)}`"
    if is_option and values:
        shown = f"`{names[0]} {values}`"
    notes = ["Required."] if is_option and parameter.required else []
    default = parameter.default.value if isinstance(parameter.default, enum.Enum) else parameter.default
    if default not in (None, False, "", []) and not callable(default) and "Default: " not in (parameter.help or ""):
        notes.append(f"Default: {'on' if default is True else f'`{default}`'}.")
    text = escape(parameter.help or "")
    yield f"{shown}\n: {' '.join([text if text.endswith('.') or not text else text + '.', *notes]).strip()}\n"


def describe_values(hint: Any) -> str:
    """What stands for a value: a placeholder, or the allowed words; empty for a switch.

    >>> describe_values(int | None), describe_values(typing.Literal["a", "b"]), describe_values(tuple[float, float])
    ('INTEGER', 'a|b', 'NUMBER NUMBER')
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return describe_values(next(one for one in inner if one is not type(None)))
    if origin is typing.Literal:
        return "|".join(map(str, inner))
    if origin in (list, tuple):
        return " ".join(describe_values(one) for one in inner)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return "|".join(str(one.value) for one in hint)
    return PLACEHOLDERS.get(hint, "")


def escape(text: str) -> str:
    """Help as Markdown: options, settings and code in code spans, nothing else with a meaning.

    >>> escape("the same as --set prepare.reference=…; not *this*")
    'the same as `--set prepare.reference=…`; not \\\\*this\\\\*'
    """
    parts = re.split(r"(``.+?``|`.+?`|(?<!\w)--[a-z][\w-]*(?: [\w.]+=[^\s;,)]*)?)", text)
    code = [f"`{part.strip('`')}`" if number % 2 else _escape_plain(part) for number, part in enumerate(parts)]
    return "".join(code)


def _escape_plain(text: str) -> str:
    return re.sub(r"([\\*_<>\[\]$|{}])", r"\\\1", text)
