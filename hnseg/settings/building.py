"""A configuration from names and values, with errors that say what was given, what is allowed, and where."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from hnseg.errors import SettingsError
from hnseg.settings.config import Config
from hnseg.settings.fields import list_fields, list_sections
from hnseg.settings.presets import PRESETS

Values = Mapping[str, object]


def flatten(config: Config) -> dict[str, object]:
    """Values of all settings by dotted name, JSON-ready.

    >>> flatten(Config.from_preset("paper"))["prepare.swap_threshold"]
    3
    """
    return dict(_leaves(config.model_dump(mode="json"), ""))


def _leaves(content: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def build_config(values: Values, *, base: Config | None = None, where: Mapping[str, str] | None = None) -> Config:
    """The settings of a base with some values in their place.

    Args:
        values: By dotted name; of the types that JSON has.
        base: What ``values`` says nothing of; None: the preset that ``values`` names under ``preset``.
        where: For messages: the place of each value, as ``run.yaml, line 3``.

    Raises:
        SettingsError: An unknown name, or a value that is not allowed: names all of them.
    """
    where = where or {}
    unknown = [name for name in values if name not in list_fields()]
    if unknown:
        raise SettingsError("; ".join(f"{_place(name, where)}{describe_unknown(name)}" for name in unknown))
    if base is None:
        base = _preset(values, where)
    flat = {**flatten(base), **values}
    try:
        return Config.model_validate_json(json.dumps(_nested(flat), default=str), strict=True)
    except ValidationError as error:
        raise SettingsError("; ".join(dict.fromkeys(_describe(error, flat, where)))) from error


def describe_unknown(name: str) -> str:
    """Message for a name that no setting has, with the nearest one.

    >>> describe_unknown("train.epoch")
    'train.epoch: no such setting; did you mean train.epochs?'
    """
    known = list(list_fields())
    if name in list_sections():
        inside = [entry for entry in known if entry.startswith(f"{name}.")]
        return f"{name}: a section of settings, not a setting; it has {', '.join(inside[:3])}, …"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        last = {entry.rpartition(".")[2]: entry for entry in known}
        near = [last[key] for key in difflib.get_close_matches(name.rpartition(".")[2], last, n=1, cutoff=0.6)]
    hint = f"did you mean {near[0]}?" if near else "`hnseg config` lists all"
    return f"{name}: no such setting; {hint}"


def _preset(values: Values, where: Mapping[str, str]) -> Config:
    name, names = values.get("preset"), ", ".join(PRESETS)
    if name is None:
        raise SettingsError(f"no preset is named: add `preset:`, one of {names}, or give --preset")
    if not isinstance(name, str) or name not in PRESETS:
        raise SettingsError(f"{_place('preset', where)}preset: {name!r} is not allowed; allowed: one of {names}")
    return Config.from_preset(name)  # type: ignore[arg-type]


def _nested(flat: Values) -> dict[str, object]:
    content: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        target = content
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return content


def _describe(error: ValidationError, flat: Values, where: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each setting that is wrong."""
    for found in error.errors(include_url=False):
        parts = [str(part) for part in found["loc"]]
        name = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in flat), None)
        if name is None:  # two settings that contradict each other
            section, message = ".".join(parts), found["msg"].removeprefix("Value error, ")
            places = [_place(key, where) for key in where if key.startswith(f"{section}.") or not section]
            yield f"{places[0] if places else ''}{section + ': ' if section else ''}{message}"
        else:
            allowed = list_fields()[name].allowed
            yield f"{_place(name, where)}{name}: {_shorten(flat[name])} is not allowed; allowed: {allowed}"


def _place(name: str, where: Mapping[str, str]) -> str:
    return f"{where[name]}: " if name in where else ""


def _shorten(value: object, most: int = 60) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}…"
