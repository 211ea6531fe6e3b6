"""The built pages of the documentation as links, anchors, pictures and fetched files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"}
INDEXES = {"search.html"}  # opened by the box above the list of pages, and by no link


@dataclass
class Page:
    """A built page.

    Attributes:
        path: Its file.
        anchors: All ``id`` of its elements.
        links: ``href`` of its links, as they are written.
        pictures: ``src`` and ``alt`` of its pictures; None without an ``alt``.
        fetched: What a browser loads with the page.
        headings: How many headings of the first level it has.
        language: ``lang`` of the page.
        text: What is read on it.
    """

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str | None]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    headings: int = 0
    language: str | None = None
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.page.anchors.add(str(values["id"]))
        if tag == "a" and values.get("href") is not None:
            self.page.links.append(str(values["href"]))
        if tag == "img":
            self.page.pictures.append((values.get("src") or "", values.get("alt")))
        if tag in FETCHED and values.get(FETCHED[tag]):
            self.page.fetched.append(str(values[FETCHED[tag]]))
        if tag == "link" and FETCHED_LINKS & set((values.get("rel") or "").split()):
            self.page.fetched.append(values.get("href") or "")
        self.page.fetched += re.findall(r"url\(([^)]*)\)", values.get("style") or "")
        self.page.headings += tag == "h1"
        if tag == "html":
            self.page.language = values.get("lang")

    def handle_data(self, data: str) -> None:
        self.page.text += data


def read_page(path: Path) -> Page:
    """Read a page."""
    page = Page(path)
    reader = _Reader(page)
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return page


def read_site(root: Path) -> dict[Path, Page]:
    """All pages below a folder, by file."""
    return {path: read_page(path) for path in sorted(root.resolve().rglob("*.html"))}


def is_external(link: str) -> bool:
    """Whether a link leaves the site."""
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def target_of(page: Page, link: str) -> tuple[Path, str]:
    """File and anchor of an internal link."""
    parts = urlsplit(link)
    path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    return path, unquote(parts.fragment)


def find_dead_links(pages: Mapping[Path, Page]) -> Iterator[str]:
    """Internal links to files or anchors that are not there."""
    for page in pages.values():
        for link in page.links:
            if is_external(link):
                continue
            path, anchor = target_of(page, link)
            if not path.is_file() or (anchor and path in pages and anchor not in pages[path].anchors):
                yield f"{page.path.name}: {link}"


def find_malformed_links(pages: Mapping[Path, Page]) -> Iterator[str]:
    """Links that leave the site and are no addresses of pages or of mail."""
    for page in pages.values():
        for link in filter(is_external, page.links):
            parts = urlsplit(link)
            well_formed = parts.scheme in ("http", "https") and re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", parts.netloc)
            if not (well_formed or parts.scheme == "mailto") or re.search(r"\s", link):
                yield f"{page.path.name}: {link}"


def find_orphans(pages: Mapping[Path, Page], first: Path) -> set[Path]:
    """Pages that no chain of links reaches from the first one."""
    found, waiting = {first}, [first]
    while waiting:
        page = pages[waiting.pop()]
        targets = {target_of(page, link)[0] for link in page.links if not is_external(link)}
        waiting += (targets & set(pages)) - found
        found |= targets & set(pages)
    return {path for path in set(pages) - found if path.name not in INDEXES}


def find_remote(pages: Mapping[Path, Page], root: Path) -> Iterator[str]:
    """What a page or a style sheet fetches from elsewhere than the site, or that is not there."""
    for page in pages.values():
        for source in page.fetched:
            if source.startswith("data:"):
                continue
            if is_external(source) or not target_of(page, source)[0].is_file():
                yield f"{page.path.name}: {source}"
    for path in root.rglob("*.css"):
        for source in re.findall(r"url\(([^)]*)\)|@import\s+([^;]+)", path.read_text(encoding="utf-8")):
            address = "".join(source).strip("'\" ")
            if is_external(address) and not address.startswith("data:"):
                yield f"{path.name}: {address}"


def find_without_alternative(pages: Mapping[Path, Page]) -> Iterator[str]:
    """Pictures without an alternative text, or with their own file's name as one."""
    for page in pages.values():
        for source, text in page.pictures:
            if not text or not text.strip() or Path(source).name == text or text.endswith((".png", ".svg", ".webp")):
                yield f"{page.path.name}: {source}"
