"""Settings that are given on a command line: ``--set train.epochs=150``."""

from __future__ import annotations

from collections.abc import Sequence

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hnseg.errors import SettingsError
from hnseg.settings.building import describe_unknown
from hnseg.settings.fields import list_fields


def parse_assignments(assignments: Sequence[str]) -> dict[str, object]:
    """Values by dotted name; whether they are allowed is for :func:`hnseg.settings.building.build_config` to say.

    A value is a YAML scalar; several values are separated by commas, in brackets or without; ``null`` and ``none`` are
    no value.

    Raises:
        SettingsError: No equals sign, nothing after it, an unknown setting, or a setting that is given twice.

    >>> parse_assignments(["train.epochs=150", "train.patch_vox=96,96,128", "train.patience=none"])
    {'train.epochs': 150, 'train.patch_vox': [96, 96, 128], 'train.patience': None}
    """
    values: dict[str, object] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise SettingsError(f"--set {text}: expected KEY=VALUE, as train.epochs=150")
        if name not in list_fields():
            raise SettingsError(f"--set {describe_unknown(name)}")
        if name in values:
            raise SettingsError(f"--set {name} is given twice")
        values[name] = _parse_value(name, value.strip())
    return values


def format_value(value: object) -> str:
    """A value as ``--set`` takes it.

    >>> format_value([96, 96, 128]), format_value(None), format_value(0.5)
    ('96,96,128', 'none', '0.5')
    """
    if isinstance(value, list | tuple):
        return ",".join(format_value(entry) for entry in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def _parse_value(name: str, text: str) -> object:
    field = list_fields()[name]
    if not text:
        raise SettingsError(f"--set {name}=: the value is missing; expected {field.allowed}")
    if field.is_optional and text.lower() in ("none", "null"):
        return None
    if field.is_sequence:
        return [_parse_scalar(name, part) for part in _separate(name, text)]
    if field.allowed.startswith(("text", "one of")):
        return text.strip("\"'")
    return _parse_scalar(name, text)


def _separate(name: str, text: str) -> list[str]:
    """The parts of a list, as ``96,96,128`` or ``[96, 96, 128]``."""
    inside = text[1:-1] if (text[:1], text[-1:]) in (("[", "]"), ("(", ")")) else text
    parts = [part.strip() for part in inside.split(",")]
    if any(not part or set(part) & set("[]()") for part in parts):
        raise SettingsError(f"--set {name}={text}: expected {list_fields()[name].allowed}, separated by commas")
    return parts


def _parse_scalar(name: str, text: str) -> object:
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        raise SettingsError(f"--set {name}={text}: not a value") from error
    return value if isinstance(value, int | float | str | bool | list) or value is None else text
