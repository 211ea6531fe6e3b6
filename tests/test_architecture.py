"""Rules of CONTRIBUTING.md that concern single files, checked in the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("ssimh", "hnseg") for path in (ROOT / package).rglob("*.py"))
PRINTS = {"hnseg/progress.py"}  # draws on the console that it gets


def is_declaration(node: ast.stmt) -> bool:
    """Whether a statement of an ``__init__.py`` is a docstring, an import, a table of names, or lazy loading."""
    match node:
        case ast.Expr(ast.Constant()) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in ("__all__", "_HOME")
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return all(isinstance(inner, ast.ImportFrom) for inner in node.body)
        case ast.Try():  # an import whose absence gets a message
            return all(isinstance(inner, ast.Import) for inner in node.body)
        case ast.FunctionDef(name=name):
            return name in ("__getattr__", "__dir__")
    return False


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.name == "__init__.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_init_holds_an_implementation(path):
    strange = [node.lineno for node in ast.parse(path.read_text(encoding="utf-8")).body if not is_declaration(node)]
    assert strange == []


def test_the_rule_about_init_can_fail():
    strange = "def work(): pass", "class A: pass", "LIMIT = 3", "for k in range(3): pass", "if LIMIT: import os"
    assert not any(is_declaration(ast.parse(text).body[0]) for text in strange)


def prints(path: Path) -> bool:
    """Whether a module prints, or makes a console."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(
        (isinstance(call, ast.Name) and call.id in ("print", "Console"))
        or (isinstance(call, ast.Attribute) and call.attr in ("print", "echo", "print_json"))
        for call in calls
    )


def test_the_commands_are_the_only_rooms_that_print():
    printing = {str(path.relative_to(ROOT)) for path in SOURCES if prints(path)}
    outside = {name for name in printing if "/cli/" not in name}
    assert outside == PRINTS
    assert printing - outside
