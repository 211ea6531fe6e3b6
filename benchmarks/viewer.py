"""Size of a viewer page and time of one step through it, in headless Chromium: ``python benchmarks/viewer.py``.

The cases are a head and neck CT of 512 × 512 × 160 voxels (0.98 × 0.98 × 3 mm), which has to be averaged to fit into
5 MB, and one of 220 × 220 × 150 voxels (2 mm), both as noisy as a diagnostic CT, with a PET of 4 mm voxels and two
masks. A step changes the axial slice or the angle of the projection and draws all views; a pixel of each is read back,
so that the drawing is done. ``--page FILE`` measures a page that is there. The browser has no GPU.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnseg.images.geometry import Grid
from hnseg.images.image_io import write_image
from hnseg.report.view_page import write_view

CASES = {"0.98 mm": ((512, 512, 160), (0.98, 0.98, 3.0)), "2 mm": ((220, 220, 150), (2.0, 2.0, 2.0))}
NOISE_HU = 12.0
STEPS = 40
# Times in ms of steps through the slices of a plane, and of turns of the projection.
MEASURE = """([key, steps]) => {
  const slider = document.querySelector(`#view-${key} input`), times = [];
  for (let n = 0; n < steps; n++) {
    const begin = performance.now();
    slider.value = Number(slider.min) + ((n + 10) * Number(slider.step)) % Number(slider.max);
    slider.dispatchEvent(new Event("input"));
    ssimhViewer.drawNow();
    for (const canvas of document.querySelectorAll(".picture canvas")) canvas.getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - begin);
  }
  return times;
}"""


def draw(grid: Grid, inside: float, outside: float, noise: float) -> NDArray[np.float32]:
    """A body (an elliptic cylinder) on a grid, with noise."""
    low, high = grid.bounds_mm()
    middle, half = (low + high) / 2, (high - low) / 2 * (0.55, 0.42, 1.0)
    y, x = (grid.origin_mm[n] + np.arange(grid.size[n]) * grid.spacing_mm[n] for n in (1, 0))
    body = ((x - middle[0]) / half[0]) ** 2 + ((y[:, None] - middle[1]) / half[1]) ** 2 < 1
    rng = np.random.default_rng(0)
    values = np.where(body, inside, outside) + rng.normal(0, noise, grid.shape)
    return np.asarray(values, np.float32)


def write_case(folder: Path, size: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Path:
    """The page of a generated case."""
    grid = Grid(size, spacing_mm, (0.0, 0.0, 0.0))
    extent = [n * step for n, step in zip(size, spacing_mm, strict=True)]
    pet_grid = Grid((int(extent[0] / 4), int(extent[1] / 4), int(extent[2] / 4)), (4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
    write_image(folder / "ct.nii.gz", np.rint(draw(grid, 40.0, -1000.0, NOISE_HU)).astype(np.int16), grid)
    write_image(folder / "pet.nii.gz", np.abs(draw(pet_grid, 1.2, 0.02, 0.15)), pet_grid)
    for name, shift in (("truth", 0), ("prediction", 2)):
        mask = np.zeros(grid.shape, np.uint8)
        z, y, x = (n // 2 + shift for n in grid.shape)
        mask[z - 6 : z + 6, y - 12 : y + 12, x - 12 : x + 12] = 1
        mask[z - 20 : z - 14, y : y + 8, x + 30 : x + 38] = 2
        write_image(folder / f"{name}.nii.gz", mask, grid)
    files = [folder / f"{name}.nii.gz" for name in ("ct", "pet", "truth")]
    return write_view(*files, folder / "view.html", prediction=folder / "prediction.nii.gz")


def measure(page: Path) -> dict[str, list[float]]:
    """Times in ms: until the case is drawn, of steps through the slices, of turns of the projection."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        shown = browser.new_page(viewport={"width": 1280, "height": 800})
        begin = time.perf_counter()
        shown.goto(page.absolute().as_uri())
        shown.wait_for_selector("body[data-ready]")
        found = {"load": [1000 * (time.perf_counter() - begin)]}
        found["slice"] = shown.evaluate(MEASURE, ["axial", STEPS])
        found["turn"] = shown.evaluate(MEASURE, ["projection", STEPS])
        browser.close()
    return found


def report(name: str, page: Path, seconds: float | None) -> None:
    """Print one line of a page."""
    times = measure(page)
    made = "" if seconds is None else f", written in {seconds:.1f} s"
    steps = ", ".join(
        f"{kind} {statistics.median(times[kind]):.0f} ms (largest {max(times[kind]):.0f})" for kind in ("slice", "turn")
    )
    print(
        f"{name}: {page.stat().st_size / 1e6:.2f} MB{made}, shown after {times['load'][0]:.0f} ms; {steps}", flush=True
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, action="append", default=[])
    given = parser.parse_args()
    for page in given.page:
        report(page.name, page, None)
    if given.page:
        return
    for name, (size, spacing_mm) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            page = write_case(Path(folder), size, spacing_mm)
            report(name, page, time.perf_counter() - begin)


if __name__ == "__main__":
    main()
