"""The law of the house: rooms, layers, lengths, and where implementations may be.

CONTRIBUTING.md explains it; import-linter (``make layers``) holds the direction of the imports.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from read_house import layers, read_package

ROOT = Path(__file__).parents[1]
FRONT_DOOR = {
    "hnseg": {
        *("__init__", "__main__", "errors", "locks", "outputs", "parallel", "progress", "provenance"),
        "workdir",
    },
    "ssimh": {
        *(
            "__init__",
            "__main__",
            "_version",
            "applied_field",
            "box",
            "box_swap",
            "histogram",
            "lazy_exports",
            "metrics",
            "orientation",
        ),
        "processes",
        *("reference", "swap", "tissue_warning", "units"),
    },
}
FILES = [path for package in FRONT_DOOR for path in sorted((ROOT / package).rglob("*.py"))]
PRINTS = {"hnseg/progress.py"}  # draws on the console that it gets
LAZY = ["__getattr__", "__dir__"]  # in an __init__.py: names that load when they are first used


def rooms(package: str) -> set[str]:
    """Folders of a package that hold modules."""
    return {path.parent.name for path in (ROOT / package).glob("*/*.py")}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("package", FRONT_DOOR)
def test_every_module_lives_in_a_room_or_at_the_front_door(package):
    assert {path.stem for path in (ROOT / package).glob("*.py")} <= FRONT_DOOR[package]


@pytest.mark.parametrize("package", FRONT_DOOR)
def test_every_room_says_what_it_is_for(package):
    for room in rooms(package):
        path = ROOT / package / room / "__init__.py"
        assert path.is_file(), f"{package}/{room} has no __init__.py"
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


@pytest.mark.parametrize("package", FRONT_DOOR)
def test_layers_are_rooms(package):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rows,) = [c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == [package]]
    assert len(rows) <= len(rooms(package))
    named = {name.strip(" ()") for row in rows for name in row.replace("|", ":").split(":")}
    assert named <= rooms(package) | FRONT_DOOR[package]
    assert rooms(package) <= named


@pytest.mark.parametrize("package", FRONT_DOOR)
def test_rooms_do_not_import_each_other_in_circles(package):
    rooms_read = read_package(ROOT / package)
    heights = layers(rooms_read)
    assert all(heights[name] > heights[target] for name, room in rooms_read.items() for target in room.imports)


def test_no_module_imports_itself_through_others():
    graph = grimp.build_graph(*FRONT_DOOR, cache_dir=None)
    circles = [
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if graph.find_shortest_chain(imported, importer)
    ]
    assert circles == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_a_docstring_and_400_lines_at_most(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    assert ast.get_docstring(ast.parse(text))


def test_no_function_has_more_than_60_lines_of_code():
    for path in FILES:
        for node in functions(path):
            body = [part for part in node.body if not isinstance(getattr(part, "value", None), ast.Constant)]
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{path}:{node.lineno} {node.name} has {length} lines of code"


def count_untyped_dictionaries(text: str) -> int:
    """How often signatures name ``dict[str, Any]``."""
    found = 0
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            types = [*(argument.annotation for argument in arguments), node.returns]
            found += sum(ast.unparse(kind).count("dict[str, Any]") for kind in types if kind)
    return found


def test_records_and_not_dictionaries_cross_modules():
    counts = {str(path.relative_to(ROOT)): count_untyped_dictionaries(path.read_text("utf-8")) for path in FILES}
    assert sum(counts.values()) <= 20, {name: count for name, count in counts.items() if count}


def test_untyped_dictionaries_are_counted():
    assert (
        count_untyped_dictionaries("def f(a: list[dict[str, Any]], *, b: dict[str, Any]) -> dict[str, Any]: ...") == 3
    )


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
        case ast.Assign(targets=[ast.Tuple(elts=names)]):
            return [ast.unparse(name) for name in names] == LAZY
    return False


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_init_file_holds_an_implementation(path):
    strange = [node.lineno for node in ast.parse(path.read_text(encoding="utf-8")).body if not is_declaration(node)]
    assert strange == []


def test_the_rule_about_init_can_fail():
    strange = (
        "def work(): pass",
        "class A: pass",
        "LIMIT = 3",
        "for k in range(3): pass",
        "if LIMIT: import os",
        "a, b = f()",
    )
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
    printing = {str(path.relative_to(ROOT)) for path in FILES if prints(path)}
    outside = {name for name in printing if "/cli/" not in name}
    assert outside == PRINTS
    assert printing - outside


def test_tests_mirror_the_tree():
    """A folder of tests is named like a room; helpers and tests of a whole package are beside the folders."""
    for package in FRONT_DOOR:
        folders = {path.parent.name for path in (ROOT / "tests" / package).glob("*/test_*.py")}
        assert folders <= rooms(package)
