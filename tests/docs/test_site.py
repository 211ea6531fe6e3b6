"""The built pages: no dead link, no orphan, nothing from the network, every public name and every command.

``make docs`` builds the pages and runs what carries the marker ``site`` on them; nothing here builds.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer

import hnseg
import ssimh
import ssimh.torchio
from hnseg.cli import commands as hnseg_commands
from ssimh.cli.app import app as ssimh_app
from tests.docs.drawing import PICTURES, SCHEMES
from tests.docs.site import (
    Page,
    find_dead_links,
    find_malformed_links,
    find_orphans,
    find_remote,
    find_without_alternative,
    read_site,
)

BUILT = Path(__file__).parents[2] / "docs" / "_build" / "html"
PACKAGES = {"hnseg": hnseg, "ssimh": ssimh, "ssimh.torchio": ssimh.torchio}
APPS = {"hnseg": hnseg_commands.app, "ssimh": ssimh_app}
NAMES = [(package, name) for package, module in PACKAGES.items() for name in module.__all__ if name != "__version__"]


@pytest.fixture(scope="module")
def root():
    assert (BUILT / "index.html").is_file(), f"{BUILT} has no pages: `make docs` builds them and runs this test"
    return BUILT.resolve()


@pytest.fixture(scope="module")
def pages(root):
    return read_site(root)


@pytest.mark.site
def test_no_link_is_dead(pages):
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert list(find_dead_links(pages)) == []


@pytest.mark.site
def test_links_to_elsewhere_are_well_formed(pages):
    assert list(find_malformed_links(pages)) == []


@pytest.mark.site
def test_every_page_is_reached_from_the_first_one(pages, root):
    assert find_orphans(pages, root / "index.html") == set()


@pytest.mark.site
def test_no_page_fetches_anything_from_the_network(pages, root):
    assert sum(len(page.fetched) for page in pages.values()) > 100
    assert list(find_remote(pages, root)) == []


@pytest.mark.site
def test_every_picture_has_an_alternative_text(pages):
    assert sum(len(page.pictures) for page in pages.values()) > 20
    assert list(find_without_alternative(pages)) == []


@pytest.mark.site
def test_every_page_has_a_language_and_a_heading(pages):
    wrong = [path.name for path, page in pages.items() if page.language != "en" or page.headings < 1]
    assert set(wrong) <= {"search.html"}  # its heading is written by the theme's script


@pytest.mark.site
def test_every_picture_that_is_drawn_is_shown_in_both_schemes(pages):
    shown = {Path(source).name for page in pages.values() for source, _ in page.pictures}
    assert {f"{name}-{scheme.name}.webp" for name in PICTURES for scheme in SCHEMES} <= shown


@pytest.mark.site
@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(pages, root, package):
    anchors = pages[root / package.partition(".")[0] / "reference.html"].anchors
    missing = []
    for name in (name for home, name in NAMES if home == package):
        value = getattr(PACKAGES[package], name)
        home = PACKAGES[package]._HOME[name] if hasattr(PACKAGES[package], "_HOME") else value.__module__
        if not {f"{package}.{name}", f"{home}.{name}"} & anchors:
            missing.append(name)
    assert missing == []


@pytest.mark.site
@pytest.mark.parametrize("program", APPS)
def test_every_command_and_option_is_on_its_page(pages, root, program):
    page = pages[root / program / "commands.html"]
    for name, command in typer.main.get_command(APPS[program]).commands.items():
        assert f"{program}-{name}" in page.anchors
        for parameter in command.params:
            if parameter.name != "help":
                written = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name.upper()
                assert written in page.text, f"{program} {name}: {written}"


@pytest.mark.site
def test_every_page_can_be_searched(pages, root):
    index = (root / "searchindex.js").read_text(encoding="utf-8")
    (names,) = re.findall(r'"?docnames"?:\s*\[([^\]]*)\]', index)
    built = {path.relative_to(root).with_suffix("").as_posix() for path in pages}
    assert {name.strip('" ') for name in names.split(",")} == built - {"genindex", "py-modindex", "search"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_documentation(package):
    values = {name: getattr(PACKAGES[package], name) for home, name in NAMES if home == package}
    values.pop("Harmonization", None)  # described by the string below it, which Sphinx reads
    assert [name for name, value in values.items() if not inspect.getdoc(value)] == []


def write_page(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f'<html lang="en"><body><h1 id="top">x</h1>{body}</body></html>')


@pytest.fixture
def small(tmp_path):
    """A first page with what is right, to which a test adds what is wrong."""
    write_page(tmp_path, "other.html", '<a href="index.html#top">back</a>')
    (tmp_path / "p.png").write_bytes(b"")
    good = '<a href="other.html#top">a</a> <a href="https://doi.org/10.1/x">b</a> <img src="p.png" alt="a picture">'

    def build(body: str = "") -> dict[Path, Page]:
        write_page(tmp_path, "index.html", good + body)
        return read_site(tmp_path)

    return build


def test_a_right_page_has_no_findings(small, tmp_path):
    pages = small()
    assert [*find_dead_links(pages), *find_malformed_links(pages), *find_without_alternative(pages)] == []
    assert [*find_remote(pages, tmp_path), *find_orphans(pages, tmp_path.resolve() / "index.html")] == []


@pytest.mark.parametrize("link", ["none.html", "other.html#none", "#none", "../docs/none.md"])
def test_a_dead_link_is_found(small, link):
    assert list(find_dead_links(small(f'<a href="{link}">x</a>'))) == [f"index.html: {link}"]


@pytest.mark.parametrize("link", ["https://", "http:/doi.org/x", "htp://doi.org", "https://doi.org/a b"])
def test_a_malformed_link_is_found(small, link):
    assert list(find_malformed_links(small(f'<a href="{link}">x</a>'))) == [f"index.html: {link}"]


@pytest.mark.parametrize(
    "element",
    [
        '<script src="https://cdn.example.org/x.js"></script>',
        '<script src="//cdn.example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example.org/x.css">',
        '<img src="https://example.org/x.png" alt="x">',
        '<p style="background: url(https://example.org/x.png)">x</p>',
        '<script src="none.js"></script>',
    ],
)
def test_what_is_fetched_from_elsewhere_is_found(small, tmp_path, element):
    assert len(list(find_remote(small(element), tmp_path))) == 1


def test_a_style_sheet_that_fetches_is_found(small, tmp_path):
    (tmp_path / "x.css").write_text('@import "https://example.org/x.css"; p { background: url(here.png) }')
    assert list(find_remote(small(), tmp_path)) == ["x.css: https://example.org/x.css"]


@pytest.mark.parametrize("element", ['<img src="p.png">', '<img src="p.png" alt="">', '<img src="p.png" alt="p.png">'])
def test_a_picture_without_alternative_text_is_found(small, element):
    assert list(find_without_alternative(small(element))) == ["index.html: p.png"]


def test_an_orphan_is_found(small, tmp_path):
    write_page(tmp_path, "alone.html", '<a href="index.html">x</a>')
    assert {path.name for path in find_orphans(small(), tmp_path.resolve() / "index.html")} == {"alone.html"}
