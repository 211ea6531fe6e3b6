"""Records from JSON: the right type, or an error that says where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from ssimh.files.json_records import RecordError, decode_record


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Outer:
    name: str
    share: float
    note: str | None
    is_on: bool
    anything: object
    parts: Mapping[str, Inner]


GOOD = {
    "name": "a",
    "share": 1,
    "note": None,
    "is_on": True,
    "anything": [1, {}],
    "parts": {"x": {"sizes": [1, 2]}},
}


def test_a_good_record():
    outer = decode_record(Outer, GOOD, "file")
    assert outer == Outer("a", 1.0, None, True, [1, {}], {"x": Inner((1, 2))})
    assert isinstance(outer.share, float)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"share": "1"}, "share"),
        ({"share": True}, "share"),
        ({"note": 1}, "note"),
        ({"is_on": 1}, "is_on"),
        ({"parts": []}, "parts"),
        ({"parts": {"x": None}}, "parts.x"),
        ({"parts": {"x": {"sizes": [1, 2.5]}}}, "parts.x.sizes[1]"),
        ({"parts": {"x": {"sizes": [True]}}}, "parts.x.sizes[0]"),
        ({"parts": {"x": {"sizes": [], "more": 1}}}, "parts.x"),
        ({"parts": {"x": {}}}, "parts.x"),
        ({"unknown": 1}, "the content"),
    ],
)
def test_the_place_of_what_is_wrong_is_named(change, place):
    with pytest.raises(RecordError) as caught:
        decode_record(Outer, {**GOOD, **change}, "folder/file.json")
    assert str(caught.value).startswith(f"folder/file.json: {place} is ")


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_every_field_must_be_there(missing):
    with pytest.raises(RecordError):
        decode_record(Outer, {name: value for name, value in GOOD.items() if name != missing}, "file")


@pytest.mark.parametrize("value", [None, [], 1, "text", {}])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(RecordError):
        decode_record(Outer, value, "file")
