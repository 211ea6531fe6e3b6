"""Formulas and pictures of the documentation, before they are on a page."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from docutils import nodes
from sphinx.errors import ExtensionError

from tests.docs import drawing
from tests.docs.drawing import DOCS, SCHEMES, SOURCES, write_block, write_inline, write_pictures


def written(write, node):
    """What a writer adds to the page for a node."""
    translator = SimpleNamespace(body=[])
    with pytest.raises(nodes.SkipNode):
        write(translator, node)
    return "".join(translator.body)


def test_a_formula_is_mathml():
    text = written(write_inline, nodes.math("", r"\sqrt{N'/N}"))
    assert text.startswith("<math")
    assert "<msqrt>" in text


def test_a_formula_of_two_lines_is_a_table():
    text = written(write_block, nodes.math_block("", r"a &= b \\ c &= d"))
    assert text.count("<mtr>") == 2


@pytest.mark.parametrize("code", [r"\nonsense{x}", r"a \\ b"])
def test_a_formula_that_cannot_be_translated_is_an_error(code):
    with pytest.raises(ExtensionError):
        write_inline(SimpleNamespace(body=[]), nodes.math("", code))


def test_a_picture_is_drawn_again_only_when_its_source_has_changed(tmp_path, monkeypatch):
    module = drawing.sys.modules["write_pictures"]
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    calls = []
    monkeypatch.setattr(module, "PICTURES", {"one": lambda scheme: calls.append(scheme.name) or empty_figure()})
    assert write_pictures(("one",)) == ["one"]
    first = (tmp_path / "one-light.webp").read_bytes()
    assert write_pictures(("one",)) == []
    assert calls == [scheme.name for scheme in SCHEMES]
    monkeypatch.setattr(module, "hash_sources", lambda: "other")
    assert write_pictures(("one",)) == ["one"]
    assert (tmp_path / "one-light.webp").read_bytes() == first


def empty_figure():
    return drawing.sys.modules["scheme"].new_figure(0.2, 0.2)


def test_sources_of_pictures_exist():
    assert all((DOCS.parent / source).exists() for source in SOURCES)
