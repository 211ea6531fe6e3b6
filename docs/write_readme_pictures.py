"""The two pictures of the README, from a finished demo and from the pictures that the documentation draws.

make demo && python docs/write_readme_pictures.py demo    # needs Chromium
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "pictures"))

from doors import draw_harmonize
from PIL import Image
from playwright.sync_api import sync_playwright
from scheme import LIGHT

FOLDER = Path(__file__).parent / "_static"
VIEWER, HARMONIZATION = FOLDER / "readme_viewer.png", FOLDER / "readme_harmonization.png"
SIZE = {"width": 1200, "height": 760}
COLORS = 256  # of a palette: half the file


def shoot_viewer(work: Path) -> None:
    """The viewer of a finished demo, at its best found lesion."""
    page_path = (work / "report_files" / "index.html").resolve()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(page_path.as_uri())
        choice = page.locator("select").first
        choice.select_option(index=choice.locator("option").count() - 1)  # the worst case comes first
        page.wait_for_timeout(3000)
        page.screenshot(path=VIEWER)
        browser.close()
    save_small(Image.open(VIEWER).convert("RGB"), VIEWER)


def draw_harmonization() -> None:
    """The picture of the first page of the documentation, on white."""
    figure = draw_harmonize(LIGHT)
    figure.savefig(HARMONIZATION, dpi=130, facecolor="white")
    save_small(Image.open(HARMONIZATION).convert("RGB"), HARMONIZATION)


def save_small(image: Image.Image, path: Path) -> None:
    """Save with a palette that keeps thin colored lines."""
    image.quantize(COLORS, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    shoot_viewer(Path(sys.argv[1]))
    draw_harmonization()
