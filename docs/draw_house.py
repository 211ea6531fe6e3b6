"""The picture of the house: rooms as boxes in layers, imports as arrows, as SVG.

    python docs/draw_house.py    # writes docs/house.svg; `make docs` does the same

Arrows that follow from others are left out. The layout is the usual one for layered graphs (Sugiyama, Tagawa and Toda
1981): an arrow that skips a layer gets a place of its own in it, and places are exchanged until the arrows are short.
"""

from __future__ import annotations

import itertools
import textwrap
from dataclasses import dataclass
from html import escape
from pathlib import Path

from read_house import PURPOSES, ROOT, Room, direct_arrows, layers, read_package

PICTURE = ROOT / "docs" / "house.svg"
PACKAGES = [ROOT / "hnseg", ROOT / "ssimh"]
BOX_WIDTH, LINE_HEIGHT, GAP_X, GAP_Y, MARGIN = 250, 15, 24, 52, 24
CHARACTERS = 38  # of a line in a box
WAYPOINT_WIDTH = 8
STYLE = """
svg { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
.paper { fill: #ffffff; } .box { fill: #eef3f8; stroke: #56708a; } text { fill: #1d2a36; }
.title { font-size: 21px; font-weight: 600; } .room { font-size: 15px; font-weight: 600; } .files { font-size: 11.5px; }
.arrow { fill: none; stroke: #7a8b9b; stroke-width: 1.4; } .head { fill: #7a8b9b; }
@media (prefers-color-scheme: dark) {
.paper { fill: #14191f; } .box { fill: #22303d; stroke: #6f8ba6; } text { fill: #e4ebf1; }
.arrow { stroke: #8497a8; } .head { fill: #8497a8; }
}
"""


@dataclass
class Place:
    """A box, or the waypoint of an arrow (no lines) in a layer that it passes.

    Attributes:
        key: Name of the room, or of the two rooms that the arrow joins.
        layer: Number of its layer, counted from the top.
        lines: Name of the room, then its files.
        x: Of its middle, in pixels.
        y: Of its upper edge.
        height: Of the box, or of the layer that the arrow passes.
    """

    key: str
    layer: int
    lines: tuple[str, ...] = ()
    x: float = 0.0
    y: float = 0.0
    height: float = 0.0

    @property
    def width(self) -> float:
        """Width in pixels."""
        return BOX_WIDTH if self.lines else WAYPOINT_WIDTH


def draw_house(packages: list[Path]) -> str:
    """The picture of all packages, one below the other, as the text of an SVG file."""
    parts: list[str] = []
    width, y = 0.0, 0.0
    for folder in packages:
        body, size_x, size_y = _draw_package(folder.name, read_package(folder))
        parts.append(f'<g transform="translate(0 {y:.0f})">\n{body}\n</g>')
        width, y = max(width, size_x), y + size_y
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {y:.0f}" width="{width:.0f}" '
        f'height="{y:.0f}" role="img">\n<title>The rooms of {" and ".join(folder.name for folder in packages)}; an '
        f"arrow runs from a room to one that it imports</title>\n<style>{STYLE}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto-start-reverse"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>\n'
        f'<rect class="paper" width="{width:.0f}" height="{y:.0f}" rx="8"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def write_house(path: Path = PICTURE) -> None:
    """Draw the house of this repository; the file is written only where it changes."""
    text = draw_house(PACKAGES)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _draw_package(title: str, rooms: dict[str, Room]) -> tuple[str, float, float]:
    """The boxes and arrows of a package, and their width and height."""
    heights = layers(rooms)
    top = max(heights.values())
    boxes = {name: Place(name, top - heights[name], tuple(_box_lines(room))) for name, room in rooms.items()}
    paths = [_path(boxes[upper], boxes[lower]) for upper, lower in direct_arrows(rooms)]
    rows = _order(boxes, paths, top + 1)
    width = _set_positions(rows)
    bottom = max(place.y + place.height for place in boxes.values())
    arrows = [_draw_arrow(path) for path in paths]
    drawn = [
        f'<text class="title" x="{MARGIN}" y="34">{escape(title)}</text>',
        *arrows,
        *map(_draw_box, boxes.values()),
    ]
    return "\n".join(drawn), width, bottom + MARGIN


def _box_lines(room: Room) -> list[str]:
    """Name of the room, then its files without their ending, wrapped."""
    files = ", ".join(module.name.removesuffix(".py") for module in room.modules)
    return [room.name, *textwrap.wrap(files, CHARACTERS, break_long_words=False, break_on_hyphens=False)]


def _path(upper: Place, lower: Place) -> list[Place]:
    """An arrow with a waypoint in every layer between its ends."""
    between = range(upper.layer + 1, lower.layer)
    return [upper, *(Place(f"{upper.key} {lower.key}", layer) for layer in between), lower]


def _order(boxes: dict[str, Place], paths: list[list[Place]], count: int) -> list[list[Place]]:
    """Places by layer, ordered within each so that no exchange of two makes the arrows shorter."""
    rows: list[list[Place]] = [[] for _ in range(count)]
    for place in [*boxes.values(), *(point for path in paths for point in path[1:-1])]:
        rows[place.layer].append(place)
    steps = [step for path in paths for step in itertools.pairwise(path)]

    def length() -> float:
        _set_positions(rows)
        return sum(abs(upper.x - lower.x) for upper, lower in steps)

    best, before = length(), float("inf")
    while best < before:
        before = best
        for row in rows:
            for first, second in itertools.combinations(range(len(row)), 2):
                row[first], row[second] = row[second], row[first]
                if (tried := length()) < best - 1:
                    best = tried
                else:
                    row[first], row[second] = row[second], row[first]
    _set_positions(rows)
    return rows


def _set_positions(rows: list[list[Place]]) -> float:
    """Set the rows below each other, each in the middle; returns the width of the picture."""
    widths = [sum(place.width + GAP_X for place in row) - GAP_X for row in rows]
    total = max(widths) + 2 * MARGIN
    y = 54.0
    for row, width in zip(rows, widths, strict=True):
        x = (total - width) / 2
        tallest = 18 + LINE_HEIGHT * max(len(place.lines) for place in row)
        for place in row:
            place.x, place.y = x + place.width / 2, y
            place.height = 18 + LINE_HEIGHT * len(place.lines) if place.lines else tallest
            x += place.width + GAP_X
        y += tallest + GAP_Y
    return total


def _draw_box(place: Place) -> str:
    """A rounded box with the room's name and files."""
    left = place.x - place.width / 2
    name = place.lines[0] if place.lines[0] in PURPOSES else f"{place.lines[0]}/"
    text = [f'<text class="room" x="{left + 12:.0f}" y="{place.y + 21:.0f}">{escape(name)}</text>']
    for number, line in enumerate(place.lines[1:], start=1):
        y = place.y + 22 + LINE_HEIGHT * number
        text.append(f'<text class="files" x="{left + 12:.0f}" y="{y:.0f}">{escape(line)}</text>')
    box = (
        f'<rect class="box" x="{left:.0f}" y="{place.y:.0f}" width="{place.width}" height="{place.height:.0f}" rx="6"/>'
    )
    return "\n".join([box, *text])


def _draw_arrow(path: list[Place]) -> str:
    """A smooth line from the lower edge of the first box to the upper edge of the last."""
    first, last = path[0], path[-1]
    if first.layer >= last.layer:  # rooms that import each other lie side by side, or the arrow runs up
        side = 1 if last.x > first.x else -1
        x0, x1 = first.x + side * first.width / 2, last.x - side * last.width / 2
        return (
            f'<path class="arrow" marker-end="url(#tip)" d="M{x0:.0f} {first.y + 14:.0f} L{x1:.0f} {last.y + 14:.0f}"/>'
        )
    curve = f"M{first.x:.0f} {first.y + first.height:.0f}"
    for upper, lower in itertools.pairwise(path):
        y0, y1 = upper.y + upper.height, lower.y - (lower is last)
        middle = (y0 + y1) / 2
        curve += f" C{upper.x:.0f} {middle:.0f} {lower.x:.0f} {middle:.0f} {lower.x:.0f} {y1:.0f}"
        if lower is not last:
            curve += f" L{lower.x:.0f} {lower.y + lower.height:.0f}"
    return f'<path class="arrow" marker-end="url(#tip)" d="{curve}"/>'


if __name__ == "__main__":
    write_house()
