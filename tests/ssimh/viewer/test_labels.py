"""Names of lesions in the viewer, apart from each other and from the cursor; a jump zooms in, a key shows the whole."""

import itertools

import numpy as np
import pytest

from tests.browser import PHONE
from tests.ssimh.viewer.scans import case_of, image_of, marks_at, write_page

SIZE_VOX, SPACING_MM = (100, 90, 40), (3.0, 3.0, 3.0)
CROWD = ((50, 45, 20), (52, 45, 20), (50, 47, 20), (53, 47, 20), (48, 44, 20), (50, 45, 22), (90, 10, 35))
VIEWS = ("axial", "coronal", "sagittal", "projection")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A page of seven lesions of a voxel, six of them within 15 mm."""
    ct = image_of(np.zeros(SIZE_VOX[::-1], np.int16), spacing=SPACING_MM)
    return write_page(tmp_path_factory.mktemp("crowded"), case_of(ct, lesions=marks_at(ct, CROWD)))


def shown(open_page, path, size, **options):
    opened = open_page(path, size=size, **options)
    opened.page.wait_for_selector("body[data-ready]")
    return opened


def labels(opened, view):
    """Names and their boxes (left, top, right, bottom) on a view, in pixels."""
    opened.page.evaluate("ssimhViewer.drawNow()")
    return {each["text"]: np.array(each["box"]) for each in opened.state()["labels"][view]}


def cursor_of(opened, view):
    """The cursor's place on a view, in pixels."""
    box = opened.page.locator(f"#view-{view} canvas").bounding_box()
    axes = opened.page.evaluate("view => ssimhViewer.cursor(view)", view)
    return np.array(axes), np.array([box["width"], box["height"]])


@pytest.mark.parametrize("is_whole", [False, True])
def test_names_cover_neither_each_other_nor_the_cursor(open_page, crowded, is_whole):
    opened = shown(open_page, crowded, (1280, 800))
    if is_whole:
        opened.page.locator("#view-axial canvas").press("0")
    for view in VIEWS:
        found = labels(opened, view)
        assert "N1" in found
        (x, y), (width, height) = cursor_of(opened, view)
        for left, top, right, bottom in found.values():
            assert 0 <= left < right <= width + 0.5
            assert 0 <= top < bottom <= height + 0.5
            assert right <= x or left >= x
            assert bottom <= y or top >= y
        for one, other in itertools.combinations(found.values(), 2):
            assert (one[:2] >= other[2:]).any() or (other[:2] >= one[2:]).any()
    assert {*labels(opened, "projection")} == {f"N{n}" for n in range(1, 8)}
    assert {*labels(opened, "axial")} >= {f"N{n}" for n in range(1, 6)}


def test_the_same_view_has_its_names_at_the_same_places(open_page, crowded):
    opened = shown(open_page, crowded, (1280, 800))
    first = labels(opened, "axial")
    opened.page.get_by_role("button", name="Next").click()
    assert {*labels(opened, "axial")} == {*first}
    opened.page.get_by_role("button", name="Previous").click()
    again = labels(opened, "axial")
    assert all((again[name] == box).all() for name, box in first.items())


@pytest.mark.parametrize(("size", "is_phone"), [((1280, 800), False), (PHONE, True)])
def test_a_case_opens_at_its_first_lesion_and_jumps_zoom_in(open_page, crowded, size, is_phone):
    opened = shown(open_page, crowded, size, touch=is_phone)
    page = opened.page

    def shown_mm():
        """The least that the shorter side of a plane covers."""
        found = []
        for view in VIEWS[: 1 if is_phone else 3]:
            ends = [page.evaluate(f"ssimhViewer.toPixel('{view}', [{mm}, {mm}, 0])") for mm in (0, 10)]
            box = page.locator(f"#view-{view} canvas").bounding_box()
            found.append(min(box["width"], box["height"]) / (ends[1][0] - ends[0][0]) * 10)
        return min(found)

    def is_in_the_middle(number):
        opened.page.evaluate("ssimhViewer.drawNow()")
        place, size = cursor_of(opened, "axial")
        return opened.state()["lesion"] == number and np.abs(place - size / 2).max() < 2

    assert opened.state()["projectionZoom"] == 1
    assert is_in_the_middle(0)
    assert shown_mm() == pytest.approx(70, abs=1)
    page.get_by_role("button", name="Whole image").click()
    page.evaluate("ssimhViewer.drawNow()")
    assert opened.state()["zoom"] == 1
    assert shown_mm() >= min(SIZE_VOX) * 3.0 - 1
    page.get_by_role("button", name="Go to N7").click()
    assert is_in_the_middle(6)
    assert shown_mm() == pytest.approx(70, abs=1)
    page.locator("#view-axial canvas").press("0")
    assert opened.state()["zoom"] == 1


def test_plus_zooms_the_view_that_has_the_focus(open_page, crowded):
    opened = shown(open_page, crowded, (1280, 800))
    before = opened.state()["zoom"]
    opened.page.locator("#view-projection canvas").press("+")
    assert (opened.state()["zoom"], opened.state()["projectionZoom"]) == (before, 1.25)
    opened.page.get_by_role("button", name="Zoom in").click()
    assert opened.state()["zoom"] == pytest.approx(before * 1.25)
    assert opened.state()["projectionZoom"] == pytest.approx(1.25**2)


def test_with_three_views_a_button_zooms_once(open_page, tmp_path):
    ct = image_of(np.zeros(SIZE_VOX[::-1], np.int16), spacing=SPACING_MM)
    made = case_of(ct)
    path = write_page(tmp_path, type(made)(made.name, made.scans, made.modes))
    opened = shown(open_page, path, (1280, 800))
    opened.page.get_by_role("button", name="Zoom in").click()
    assert opened.state()["zoom"] == 1.25
