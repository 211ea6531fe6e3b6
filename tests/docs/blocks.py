"""Blocks of code in the documentation, and the command lines in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/*/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
    if "_generated" not in path.parts and "_build" not in path.parts
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: path of its page within the repository.
        line: line number of its first fence.
        language: what stands after the fence, ``console`` or ``{include} file``.
        text: what stands between the fences.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def kind(self) -> str:
        """The first word of the language."""
        return self.language.split()[0] if self.language else ""

    @property
    def commands(self) -> list[str]:
        """Command lines of a console block, without prompts; a line that ends in a backslash goes on."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [" ".join(line.removeprefix("$ ").split()) for line in lines if line.strip()]


def read_blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page.

    Raises:
        ValueError: a fence that is not closed.
    """
    page, begun = path.relative_to(ROOT).as_posix(), None
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r" *(`{3,}|~{3,}|:{3,})(.*)", line)
        if begun is None and fence:
            begun, inside = (number, fence[1], fence[2].strip()), []
        elif begun is not None and fence and fence[1].startswith(begun[1]) and not fence[2].strip():
            yield Block(page, begun[0], begun[2], "".join(f"{text}\n" for text in inside))
            begun = None
        elif begun is not None:
            inside.append(line)
    if begun is not None:
        raise ValueError(f"{page}:{begun[0]}: the block is not closed")


BLOCKS = [block for path in PAGES for block in read_blocks(path)]


def read_output(page: str) -> str:
    """What a tutorial says that its Python blocks print, all of it, without spaces at the ends of lines."""
    return "".join(block.text for block in BLOCKS if block.page == page and block.kind == "text")


def strip_lines(printed: str) -> str:
    """Lines without spaces at their ends."""
    return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
