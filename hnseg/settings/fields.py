"""Every setting as a field: dotted name, description, unit, allowed values, and the source of its default."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hnseg.settings.config import Config

_BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
_TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class SettingField:
    """One setting.

    Attributes:
        name: Dotted, as ``train.epochs``.
        description: What it is.
        unit: Empty where it has none.
        source: Where its default comes from.
        allowed: Values in words, as ``whole number ≥ 1``.
        is_sequence: Whether it has several values.
        is_optional: Whether it may be null.
    """

    name: str
    description: str
    unit: str
    source: str
    allowed: str
    is_sequence: bool
    is_optional: bool


@cache
def list_fields() -> Mapping[str, SettingField]:
    """All settings of :class:`Config` by dotted name, in the order of the file.

    >>> list_fields()["train.epochs"].allowed
    'whole number ≥ 1'
    >>> list_fields()["train.patch_vox"].allowed
    '3 values, each a whole number ≥ 1'
    """
    return {field.name: field for field in _walk(Config, "")}


def list_sections() -> tuple[str, ...]:
    """Dotted names of the sections that hold settings, as ``train`` and ``train.augment``."""
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in list_fields() if "." in name))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[SettingField]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from _walk(type(field.default), f"{prefix}{name}.")
            continue
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        kinds = [kind for kind in _alternatives(field.annotation) if kind is not types.NoneType]
        yield SettingField(
            name=f"{prefix}{name}",
            description=field.description or "",
            unit=str(extra["unit"]),
            source=str(extra["source"]),
            allowed=_describe_allowed(field),
            is_sequence=any(get_origin(kind) is tuple for kind in kinds),
            is_optional=len(kinds) < len(_alternatives(field.annotation)),
        )


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (types.UnionType, Union) else (annotation,)


def _describe_allowed(field: FieldInfo) -> str:
    parts = [_describe_type(kind, field.metadata) for kind in _alternatives(field.annotation)]
    return " or ".join(parts)


def _describe_type(kind: Any, metadata: list[Any]) -> str:
    if kind is types.NoneType:
        return "null"
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        nested = [entry for part in more for entry in (part.metadata if isinstance(part, FieldInfo) else [part])]
        return _describe_type(inner, [*nested, *metadata])
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(kind))
    if get_origin(kind) is tuple:
        values = get_args(kind)
        if values[-1] is Ellipsis:
            least = next((entry.min_length for entry in metadata if isinstance(entry, MinLen)), 1)
            return f"{least} or more values, each a {_describe_type(values[0], [])}"
        return f"{len(values)} values, each a {_describe_type(values[0], [])}"
    bounds = [
        f"{sign} {_format_bound(getattr(entry, key))}"
        for entry in metadata
        for bound, (sign, key) in _BOUNDS.items()
        if isinstance(entry, bound)
    ]
    pattern = next((entry.pattern for entry in metadata if getattr(entry, "pattern", None)), None)
    return " ".join([_TYPES[kind], " and ".join(bounds)]).strip() + (f" that matches {pattern}" if pattern else "")


def _format_bound(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"
