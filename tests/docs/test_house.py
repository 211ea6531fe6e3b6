"""The picture of the house: rooms and arrows are those of the source, and the committed file is current."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
from draw_house import PACKAGES, PICTURE, draw_house
from read_house import FRONT_DOOR, SHARED, direct_arrows, layers, read_package, rooms_page


@pytest.fixture
def package(tmp_path):
    """cli imports workshop and tools; workshop imports tools inside a function; tools imports the front door."""
    files = {
        "__init__.py": '"""A package."""',
        "errors.py": '"""Errors of the package."""',
        "api.py": '"""What users call."""\nimport p.workshop.job',
        "__main__.py": "import p.cli.main",
        "cli/__init__.py": '"""Commands."""',
        "cli/main.py": '"""The command."""\nfrom p.workshop import job\nimport p.tools.hammer',
        "workshop/__init__.py": '"""Where work\nis done.\n\nMore about it."""',
        "workshop/job.py": '"""A :mod:`job` | with a bar."""\ndef f():\n    from p import tools',
        "tools/__init__.py": '"""Tools."""',
        "tools/hammer.py": '"""A hammer."""\nfrom p.errors import Broken\nimport numpy',
    }
    for name, text in files.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "p"


def test_rooms_are_read_from_the_source(package):
    rooms = read_package(package)
    assert list(rooms) == ["cli", "tools", "workshop", FRONT_DOOR, SHARED]
    assert {name: set(room.imports) for name, room in rooms.items()} == {
        "cli": {"workshop", "tools"},
        "workshop": {"tools"},
        "tools": {SHARED},
        FRONT_DOOR: {"workshop"},
        SHARED: set(),
    }
    assert rooms["workshop"].purpose == "Where work is done."
    assert [(module.name, module.summary) for module in rooms["tools"].modules] == [("hammer.py", "A hammer.")]


def test_layers_and_arrows(package):
    rooms = read_package(package)
    assert layers(rooms) == {"cli": 3, FRONT_DOOR: 3, "workshop": 2, "tools": 1, SHARED: 0}
    assert direct_arrows(rooms) == [
        ("cli", "workshop"),
        ("tools", SHARED),
        ("workshop", "tools"),
        (FRONT_DOOR, "workshop"),
    ]


def test_rooms_that_import_each_other_share_a_layer(package):
    with (package / "tools" / "hammer.py").open("a") as file:
        file.write("\nimport p.workshop.job\n")
    rooms = read_package(package)
    heights = layers(rooms)
    assert heights["workshop"] == heights["tools"] == 1
    assert {("workshop", "tools"), ("tools", "workshop")} <= set(direct_arrows(rooms))
    ElementTree.fromstring(draw_house([package]))


def test_the_page_lists_rooms_from_top_to_bottom(package):
    text = rooms_page([package])
    order = [text.index(name) for name in ("`p/cli/`", "`p/workshop/`", "`p/tools/`", "`p`: shared by all rooms")]
    assert order == sorted(order)
    assert r"| `job.py` | A {mod}`job` \| with a bar. |" in text


def test_the_picture_shows_every_room_and_arrow():
    root = ElementTree.fromstring(draw_house(PACKAGES))
    names = {element.text.rstrip("/") for element in root.findall(".//{*}text") if element.get("class") == "room"}
    packages = [read_package(folder) for folder in PACKAGES]
    assert names == {name for rooms in packages for name in rooms}
    arrows = [element for element in root.findall(".//{*}path") if element.get("class") == "arrow"]
    assert len(arrows) == sum(len(direct_arrows(rooms)) for rooms in packages)


def test_the_committed_picture_is_current():
    assert PICTURE.read_text(encoding="utf-8") == draw_house(PACKAGES), "run python docs/draw_house.py and commit"
