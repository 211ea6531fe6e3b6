"""The rooms of both packages, read from their source: files, one line each, and who imports whom.

A room is a folder directly below a package. Modules beside the rooms are in one of two groups: those that import no
room are shared by all rooms, the others are public functions at the front door. Nothing is imported: the source is
parsed, so imports inside functions count as well.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FRONT_DOOR = "front door"
SHARED = "shared by all rooms"
PURPOSES = {
    FRONT_DOOR: "Public functions and classes of the package.",
    SHARED: "Modules that import no room, and that every room may use.",
}


@dataclass(frozen=True)
class Module:
    """A source file: its path inside the room, and the summary line of its docstring."""

    name: str
    summary: str


@dataclass(frozen=True)
class Room:
    """A room of a package.

    Attributes:
        name: The folder's name, ``FRONT_DOOR`` or ``SHARED``.
        purpose: First paragraph of the docstring of its ``__init__.py``.
        modules: Its files, in alphabetical order, without ``__init__.py``.
        imports: Names of the rooms of the same package that it imports.
    """

    name: str
    purpose: str
    modules: tuple[Module, ...]
    imports: frozenset[str]


def read_package(folder: Path) -> dict[str, Room]:
    """Read the rooms of a package, by name, and behind them the modules beside the rooms.

    Args:
        folder: Folder of the package.

    Returns:
        Every folder with an ``__init__.py`` below ``folder``, and ``FRONT_DOOR`` and ``SHARED`` where they are not
        empty. ``__init__.py`` and ``__main__.py`` of the package are no part of it: they import what they like.
    """
    files = {path.parent.name: sorted(path.parent.rglob("*.py")) for path in sorted(folder.glob("*/__init__.py"))}
    beside = [path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("__")]
    front = _find_front_door(folder, beside, set(files))
    files |= {FRONT_DOOR: [path for path in beside if path.stem in front]}
    files |= {SHARED: [path for path in beside if path.stem not in front]}
    room_of = {path.stem: name for name in (FRONT_DOOR, SHARED) for path in files[name]}
    room_of |= {name: name for name in files}
    return {name: _read_room(folder, name, paths, room_of) for name, paths in files.items() if paths}


def _find_front_door(folder: Path, beside: list[Path], rooms: set[str]) -> set[str]:
    """Names of the modules beside the rooms that import a room, directly or through each other."""
    imports = {path.stem: {name for name, *_ in _internal_imports(folder, path)} for path in beside}
    front: set[str] = set()
    while more := {name for name, found in imports.items() if found & (rooms | front)} - front:
        front |= more
    return front


def _internal_imports(folder: Path, path: Path) -> list[list[str]]:
    """Imports of a file from its own package, as lists of names below the package."""
    names = [name.split(".") for name in imported_modules(path.read_text(encoding="utf-8"))]
    return [rest for package, *rest in names if package == folder.name and rest]


def imported_modules(source: str) -> set[str]:
    """Full names of everything that a source file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def layers(rooms: dict[str, Room]) -> dict[str, int]:
    """Height of each room: above every room that it imports, and close below those that import it.

    Rooms that import each other share a layer.
    """
    heights = _lowest_layers(rooms)
    arrows = direct_arrows(rooms)
    for name in sorted(rooms, key=lambda name: -heights[name]):
        importers = [upper for upper, lower in arrows if lower == name]
        imports = [lower for upper, lower in arrows if upper == name]
        if imports and len(importers) >= len(imports) and rooms[name].imports.isdisjoint(importers):
            heights[name] = min(heights[upper] for upper in importers) - 1
    return heights


def _lowest_layers(rooms: dict[str, Room]) -> dict[str, int]:
    """Height of each room above the lowest: one more than the highest room that it imports."""
    reach = {name: _reachable(rooms, name) for name in rooms}
    heights: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in heights:
            circle = {other for other in reach[name] if name in reach[other]} | {name}
            below = {target for member in circle for target in rooms[member].imports} - circle
            heights.update(dict.fromkeys(circle, 1 + max(map(height, below), default=-1)))
        return heights[name]

    return {name: height(name) for name in rooms}


def direct_arrows(rooms: dict[str, Room]) -> list[tuple[str, str]]:
    """Imports that no chain of other imports implies; between rooms that import each other, all of them."""
    reach = {name: _reachable(rooms, name) for name in rooms}
    arrows = []
    for name, room in rooms.items():
        for target in sorted(room.imports):
            above = {other for other in room.imports - reach[target] if name not in reach[other]}
            if not any(target in reach[other] for other in above - {target}):
                arrows.append((name, target))
    return arrows


def rooms_page(packages: list[Path]) -> str:
    """Markdown: for each package its rooms from top to bottom, what each is for, and what is in each file."""
    lines: list[str] = []
    for folder in packages:
        rooms = read_package(folder)
        heights = layers(rooms)
        lines += [f"## `{folder.name}`", ""]
        for room in sorted(rooms.values(), key=lambda room: -heights[room.name]):
            title = f"`{folder.name}`: {room.name}" if room.name in PURPOSES else f"`{folder.name}/{room.name}/`"
            lines += [f"### {title}", "", room.purpose, "", "| file | holds |", "|---|---|"]
            lines += [f"| `{module.name}` | {to_markdown(module.summary)} |" for module in room.modules]
            lines.append("")
    return "\n".join(lines)


def to_markdown(text: str) -> str:
    """Sphinx roles in MyST's spelling, and no bar that would end a table's cell."""
    return re.sub(r":(\w+):`", r"{\1}`", text).replace("|", "\\|")


def _read_room(folder: Path, name: str, paths: list[Path], room_of: dict[str, str]) -> Room:
    home = folder if name in PURPOSES else folder / name
    imports = {room_of.get(target, name) for path in paths for target, *_ in _internal_imports(folder, path)}
    files = [path for path in paths if path.name != "__init__.py"]
    modules = tuple(Module(path.relative_to(home).as_posix(), _docstring(path)) for path in files)
    purpose = PURPOSES[name] if name in PURPOSES else _docstring(home / "__init__.py")
    return Room(name, purpose, modules, frozenset(imports - {name}))


def _docstring(path: Path) -> str:
    """First paragraph of a module's docstring as one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def _reachable(rooms: dict[str, Room], name: str) -> set[str]:
    """Every room that a room imports, directly or through others."""
    found: set[str] = set()
    waiting = list(rooms[name].imports)
    while waiting:
        target = waiting.pop()
        if target not in found:
            found.add(target)
            waiting.extend(rooms[target].imports)
    return found
