"""The tables of docs/hnseg/paper.md are what the presets say, and every setting has a row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from hnseg.settings.config import Config
from hnseg.settings.presets import PAPER_VALUES
from hnseg.settings.section import SOURCES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hnseg" / "paper.md").read_text(encoding="utf-8")
HEADER = ["§", "the paper", "setting", "value", "source", "literal", "how, and why"]


@dataclass(frozen=True)
class Row:
    """A row of the tables of sentences."""

    section: str
    sentence: str
    settings: tuple[str, ...]
    values: tuple[str, ...]
    sources: tuple[str, ...]
    literal: str
    why: str


def read_tables(text: str) -> Iterator[list[list[str]]]:
    """The tables of a Markdown page: rows of cells, header first."""
    for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        yield [row for row in rows if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]


def spans(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]*)`", cell))


def read_rows(text: str) -> list[Row]:
    """All sentences of the page."""
    found = []
    for header, *rows in read_tables(text):
        if header == HEADER:
            for section, sentence, settings, values, sources, literal, why in rows:
                words = tuple(word.strip() for word in sources.split(",") if word.strip())
                found.append(Row(section, sentence, spans(settings), spans(values), words, literal, why))
    return found


def parse(text: str) -> Any:
    """A value as the page has it: YAML, and ``none``."""
    return None if text == "none" else YAML(typ="safe").load(text)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def field_sources(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Sources of the fields by dotted name."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            found |= field_sources(type(field.default), f"{prefix}{name}.")
        else:
            assert isinstance(field.json_schema_extra, dict)
            found[f"{prefix}{name}"] = str(field.json_schema_extra["source"])
    return found


ROWS = read_rows(PAGE)
SETTINGS = [(row, name, value) for row in ROWS for name, value in zip(row.settings, row.values, strict=True)]
RECIPE = flatten(Config.from_preset("paper").model_dump(mode="json"))


def test_the_tables_are_read():
    assert len(ROWS) > 60
    assert all(row.literal in ("yes", "no", "open") for row in ROWS)
    assert all(set(row.sources) <= set(SOURCES) for row in ROWS)
    assert all(bool(row.settings) == bool(row.sources) for row in ROWS)


@pytest.mark.parametrize(("row", "name", "value"), SETTINGS, ids=[name for _, name, _ in SETTINGS])
def test_a_value_is_that_of_the_preset(row, name, value):
    assert name in RECIPE
    assert parse(value) == RECIPE[name]


def test_every_setting_has_a_row():
    assert {name for _, name, _ in SETTINGS} == set(RECIPE)


def test_every_departure_from_the_defaults_has_a_row():
    departures = set(flatten({section: dict(values) for section, values in PAPER_VALUES.items()}))
    assert departures <= {name for row, name, _ in SETTINGS if row.literal in ("yes", "open")}


def test_sources_are_those_of_the_fields():
    """Where the preset departs from the default, the field's source is about the default and may differ."""
    departures = set(flatten({section: dict(values) for section, values in PAPER_VALUES.items()}))
    sources = field_sources(Config)
    wrong = [
        (name, word)
        for row, name, _ in SETTINGS
        if name not in departures
        for word in row.sources
        if word not in sources[name]
    ]
    assert wrong == []


def test_what_deviates_says_why():
    assert all(row.why for row in ROWS if row.literal == "no")
    assert all(row.why for row in ROWS if "ours" in row.sources and row.literal == "open" and row.sentence)


def test_recommended_departs_where_the_page_says_so():
    (table,) = [rows for header, *rows in read_tables(PAGE) if header[:3] == ["setting", "`paper`", "`recommended`"]]
    stated = {
        name: (parse(published), parse(recommended))
        for names, published_values, recommended_values, evidence in table
        for name, published, recommended in zip(
            spans(names), spans(published_values), spans(recommended_values), strict=True
        )
        if evidence
    }
    recommended = flatten(Config.from_preset("recommended").model_dump(mode="json"))
    departs = {name for name in RECIPE if recommended[name] != RECIPE[name]} - {"preset"}
    assert stated == {name: (RECIPE[name], recommended[name]) for name in departs}


def test_the_papers_own_scores_are_marked_as_its_own():
    (table,) = [rows for header, *rows in read_tables(PAGE) if header[:2] == ["split", "GTVp Dice"]]
    assert [row[1:] for row in table] == [["0.8393", "0.7657", "0.5455"], ["0.5779", "0.5280", "0.3207"]]
    assert "None of them is a result of this software" in PAGE


def test_a_wrong_value_is_found():
    changed = PAGE.replace("| `[200, 200, 310]` | paper |", "| `[200, 200, 300]` | paper |")
    wrong = [
        name
        for row in read_rows(changed)
        for name, value in zip(row.settings, row.values, strict=True)
        if parse(value) != RECIPE[name]
    ]
    assert wrong == ["prepare.box_mm"]
