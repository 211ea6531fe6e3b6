"""check.html: self-contained, nothing unescaped, a picture per image; its drawing puts the box where it is."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from hnseg.check.check_cohort import check_cohort
from hnseg.check.page import write_check_page
from hnseg.check.picture import draw_case
from hnseg.cohort.cases import discover_cases
from hnseg.cohort.checked_cohort import CohortCheck, Finding, Overview
from hnseg.cohort.table import cohort_table
from hnseg.images.geometry import Grid
from hnseg.images.image_io import to_sitk
from hnseg.pictures.palette import Color
from hnseg.pictures.planes import PLANES, box_on_plane
from hnseg.settings.config import Config

PREPARE = Config.from_preset("demo").prepare


@pytest.fixture
def page(make_case, tmp_path) -> str:
    for name in ("ONE-001", "ONE-002", "TWO-001"):
        root = make_case(name)
    cases = discover_cases(root)
    cases[1].pet.unlink()
    cases[2].label.unlink()
    check_cohort(root, PREPARE, work=tmp_path / "work")
    return (tmp_path / "work" / "check.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_else_and_shows_every_image(page):
    assert re.findall(r"https?://|src=\"(?!data:)|href=\"(?!#|data:)", page) == []
    assert "default-src 'none'" in page
    assert page.count('src="data:image/webp;base64,') == 4 + 2 + 4  # CT and PET, coronal and sagittal; one has no PET
    assert all(f'id="case-{name}"' in page for name in ("ONE-001", "ONE-002", "TWO-001"))


def test_the_worst_case_comes_first_and_every_severity_is_counted(page):
    assert re.findall(r'id="case-(\S+)"', page) == ["ONE-002", "ONE-001", "TWO-001"]
    for name, count in (("error", 1), ("warning", 2), ("info", 0), ("none", 0)):
        assert re.search(rf'value="{name}" checked> <span class="sev {name}">[a-z ]+</span> {count}<', page)


def test_what_comes_from_files_is_escaped(tmp_path):
    nasty = "<script>alert(1)</script>"
    check = CohortCheck(
        (),
        (Finding("A-1", "error", "x", nasty, f"/{nasty}"), Finding("cohort", "warning", "x", nasty)),
        (Overview("A-1", nasty, False, *[None] * 5, {"reason": nasty, "fallback": False, "in_view": 1.0}),),
    )
    write_check_page(check, {}, tmp_path / nasty, tmp_path / "check.html")
    assert nasty not in (tmp_path / "check.html").read_text()
    printed = Console(width=120, file=io.StringIO())
    printed.print(cohort_table(replace(check, overviews=(Overview("[red]A[/]", "B", False, *[None] * 6),))))
    assert "[red]A[/]" in printed.file.getvalue()  # rich's markup does nothing either


def test_the_page_is_written_whole_or_not_at_all(make_case, tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_text", lambda *args, **kwargs: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError) as caught:  # noqa: PT011  the number of the error decides
        check_cohort(make_case(), PREPARE, work=tmp_path / "work")
    assert caught.value.errno == 28
    assert list((tmp_path / "work").iterdir()) == []


def pixels(view) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(view.picture.uri.split(",")[1]))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_bone_and_box_are_drawn_where_they_are():
    """A bright block in the upper left of a dark CT; the box around its right half."""
    grid = Grid((60, 60, 60), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0))  # 0 to 120 mm along each axis
    ct = np.full(grid.shape, -1000, np.int16)
    ct[45:, :, :15] = 400  # z 90 … 120, x 0 … 30: the patient's right, in radiological view on the left
    box = Grid((60, 60, 60), (1.0, 1.0, 1.0), (40.5, 30.5, 20.5))  # 40 … 100, 30 … 90, 20 … 80
    coronal, _ = draw_case("A-1", to_sitk(ct, grid), None, None, box)
    assert (coronal.plane.name, coronal.position_mm) == ("coronal", 60.0)
    seen = pixels(coronal)
    height, width, _ = seen.shape
    assert (width, height) == (coronal.picture.width, coronal.picture.height)

    def at(x_mm: float, z_mm: float) -> np.ndarray:
        """Color at a place; the frame has a margin of 3 % around the scan."""
        across, down = (x_mm + 3.6) / 127.2, 1 - (z_mm + 3.6) / 127.2
        return seen[int(down * height), int(across * width)]

    assert at(15, 105).min() > 200
    assert at(60, 105).max() < 60
    assert at(15, 60).max() < 60
    for x_mm, z_mm in ((40, 50), (100, 50), (70, 20), (70, 80)):
        box_rgb = [int(Color.CROP_BOX[k : k + 2], 16) for k in (1, 3, 5)]
        assert np.abs(at(x_mm, z_mm) - box_rgb).max() < 60, (x_mm, z_mm)


def test_a_box_on_planes_of_an_upright_frame():
    seen = Grid((100, 100, 100), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    box = Grid((10, 20, 30), (1.0, 1.0, 1.0), (40.5, 30.5, 20.5))  # 40 … 50, 30 … 50, 20 … 50
    axial, coronal, sagittal = (box_on_plane(box, seen, plane) for plane in PLANES)
    assert axial == pytest.approx((39.5, 29.5, 10, 20))
    assert coronal == pytest.approx((39.5, 49.5, 10, 30))  # the head is up: z 50 is 50 rows from the top
    assert sagittal == pytest.approx((29.5, 49.5, 20, 30))
