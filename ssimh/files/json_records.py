"""Dataclasses from JSON; a value of another shape is one documented error with its position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class RecordError(ValueError):
    """A JSON value that is not the record it should be; the message names the place and what is expected."""


def decode_record(kind: type[T], value: object, where: str) -> T:
    """A dataclass from the JSON value of it, checked field by field.

    Args:
        kind: dataclass whose fields are ``str``, ``int``, ``float``, ``object``, ``X | None``, ``tuple[X, ...]``,
            ``Mapping[str, X]`` or dataclasses of the same kind.
        value: as :func:`json.loads` gives it.
        where: name of the value for the message.

    Raises:
        RecordError: a field that is missing, unknown or of another type.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Point:
    ...     name: str
    ...     xyz: tuple[float, ...]
    >>> decode_record(Point, {"name": "a", "xyz": [1, 2.5]}, "points.json")
    Point(name='a', xyz=(1.0, 2.5))
    >>> decode_record(Point, {"name": "a", "xyz": 3}, "points.json")
    Traceback (most recent call last):
    ...
    ssimh.files.json_records.RecordError: points.json: xyz is 3; expected is a list
    """
    decoded: T = _decode(kind, value, where, "")
    return decoded


def _decode(kind: Any, value: Any, where: str, place: str) -> Any:
    origin = get_origin(kind)
    if kind is object:
        return value
    if origin is UnionType:
        inner = next(option for option in get_args(kind) if option is not NoneType)
        return None if value is None else _decode(inner, value, where, place)
    if is_dataclass(kind):
        return _decode_fields(kind, value, where, place)
    if origin is tuple:
        _expect(isinstance(value, list), value, "a list", where, place)
        return tuple(_decode(get_args(kind)[0], item, where, f"{place}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        _expect(isinstance(value, dict), value, "an object", where, place)
        return {name: _decode(get_args(kind)[1], item, where, _join(place, name)) for name, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    _expect(type(value) is kind, value, f"of type {kind.__name__}", where, place)
    return value


def _decode_fields(kind: Any, value: Any, where: str, place: str) -> Any:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    _expect(isinstance(value, dict), value, "an object", where, place)
    _expect(set(value) == set(names), sorted(value), f"an object with {', '.join(names)}", where, place)
    return kind(**{name: _decode(hints[name], value[name], where, _join(place, name)) for name in names})


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _expect(is_right: bool, value: object, wanted: str, where: str, place: str) -> None:
    if not is_right:
        text = repr(value)
        text = text if len(text) <= 80 else f"{text[:80]}…"
        raise RecordError(f"{where}: {place or 'the content'} is {text}; expected is {wanted}")
