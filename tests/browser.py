"""A browser for tests of pages: the Chromium that is installed, and what a page asked for and complained of.

The fixture lives for one file: while Playwright's synchronous interface runs, no other event loop can.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = "SSIMH_REQUIRE_BROWSER"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-3d-apis"),
)
DESKTOP, PHONE = (1280, 800), (360, 740)


@dataclass
class OpenPage:
    """A page in the browser.

    Attributes:
        page: Playwright's page.
        requests: Addresses that it asked for.
        complaints: Errors and warnings of its console, and exceptions.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def state(self) -> Any:
        """What the viewer shows."""
        return self.page.evaluate("ssimhViewer.state()")

    def value(self, name: str) -> str:
        """A row of the values at the cursor."""
        row = self.page.locator("#values tr", has=self.page.get_by_role("rowheader", name=name, exact=True))
        return str(row.locator("td").text_content())


def find_browser() -> str | None:
    """The installed browser."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; the test is skipped where there is none, and fails where SSIMH_REQUIRE_BROWSER is set."""
    path = find_browser()
    if path is None:
        message = f"no browser: none of {', '.join(NAMES)} is installed"
        pytest.fail(message) if os.environ.get(REQUIRED) else pytest.skip(message)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., OpenPage]]:
    """Opens a file in a page; at the end of the test no page has complained or has left its folder."""
    opened: list[tuple[OpenPage, Path]] = []

    def open_file(path: Path, *, size: tuple[int, int] = DESKTOP, touch: bool = False, part: str = "") -> OpenPage:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, has_touch=touch)
        made = OpenPage(page)
        opened.append((made, path.parent))
        page.on("request", lambda request: made.requests.append(request.url))
        page.on("console", lambda message: made.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        page.goto(f"{path.as_uri()}{part}")
        return made

    yield open_file
    for made, folder in opened:
        made.page.close()
        assert made.complaints == []
        assert [url for url in made.requests if not url.startswith((f"{folder.as_uri()}/", "data:"))] == []
